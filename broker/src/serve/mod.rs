//! `sampan serve`: puts the broker together, runs it, and stops it gently.
//!
//! Shard threads carry messages; a small tokio runtime beside them carries HTTP, signals, key
//! refreshes and the broker's own session.

mod answers;
mod banner;
mod beside_chat;
mod bridge;
mod chat;
mod clock;
mod error;
mod groups;
mod journals;
mod log;
mod notifications;
mod orders;
mod own;
mod probe;
mod run;
mod services;
mod signals;
mod stock;
pub mod system;
mod tokens;

pub use clock::{now, unix_ms};
pub use error::Error;
pub(crate) use log::start as log;
pub use run::run;
