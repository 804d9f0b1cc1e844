//! What every service is made of: answers, authorizers, consumers and sweeps on one session.

mod asker;
mod counters;
mod host;
mod problem;
mod sweep;

pub use asker::{Asker, Verdict};
pub use counters::Counters;
pub use host::Host;
pub use problem::{CODES, Problem};
