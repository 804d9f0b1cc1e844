//! Messages, requests and answers as JSON. The forms are described in `spec/bridge.md`.

mod answer;
mod cache;
mod depth;
mod message;
mod payload;
mod publish;
mod start;

pub(crate) use answer::{Acked, Gone, History, Member, Members};
pub(crate) use cache::Cache;
pub(crate) use depth::is_shallow;
pub(crate) use message::Reply;
pub(crate) use publish::{Publish, present};
pub(crate) use start::Start;
