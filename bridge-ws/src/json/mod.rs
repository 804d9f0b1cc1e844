//! Messages, requests and answers as JSON. The forms are described in `spec/bridge.md`.

mod answer;
mod cache;
mod consume;
mod depth;
mod handle;
mod header;
mod message;
mod past;
mod payload;
mod publish;
mod runs;
mod start;

pub(crate) use answer::{Acked, Away, Gone, History, Member, Members};
pub(crate) use cache::Cache;
pub(crate) use consume::Consume;
pub(crate) use depth::is_shallow;
pub(crate) use handle::Handle;
pub(crate) use message::{Job, object, reply};
pub(crate) use past::Past;
pub(crate) use payload::{Payload, is_json};
pub(crate) use publish::{Publish, present};
pub(crate) use start::Start;

/// The text of a body. Bodies are texts, numbers and lists of them, which always have a JSON form.
pub(crate) fn text(body: &impl serde::Serialize) -> String {
    serde_json::to_string(body).unwrap_or_else(|_| "null".to_owned())
}
