//! The outbox: an event leaves if and only if the transaction that it belongs to has committed.
//!
//! A service writes an event's row in the transaction that makes it true; the relay publishes rows
//! in order and marks them. Whatever the relay does twice, because it or the broker stopped in
//! between, the broker takes once: the event's id is the idempotency key.

mod counters;
mod event;
mod held;
mod relay;
mod rows;
mod source;

pub use counters::Counters;
pub use event::{DASHBOARD, Event};
pub use relay::Relay;
pub(crate) use rows::SCHEMA;
pub use rows::{add, add_of_row};
pub use source::{Done, Open, Source};
