//! The HTTP side for operators: is the process up, does it deliver, what has it counted.
//!
//! HTTP/1.1 without TLS, since it shows nothing that is secret and carries no messages.

mod health;
mod listener;
mod metrics;
mod routes;
#[cfg(test)]
mod tests;

pub use health::{Health, NotReady, Phase};
pub use listener::{Limits, serve};
pub use metrics::{Latencies, Metrics, Reading};
pub use routes::router;
