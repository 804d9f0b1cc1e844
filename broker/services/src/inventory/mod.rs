//! Stock, and what customers hold of it while they pay.

mod counters;
mod desk;
pub mod model;
pub mod rules;
mod service;
pub mod store;

pub use counters::Counters;
pub use service::serve;
