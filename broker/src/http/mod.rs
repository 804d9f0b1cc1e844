//! The HTTP listener, and its routes for operators: is the process up, does it deliver, what has it
//! counted. The routes for clients are the bridge's.
//!
//! HTTP/1.1 without TLS: clients of other machines come through a proxy that adds it.

mod health;
mod listener;
mod metrics;
mod routes;
#[cfg(test)]
mod tests;

pub use health::{Health, NotReady, Phase};
pub use listener::{Limits, Refusals, serve};
pub use metrics::{Latencies, Metrics, Reading};
pub use routes::router;
