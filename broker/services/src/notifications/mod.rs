//! Notifications: what a user is told, by which way, when, and what has become of it.

mod asked;
mod counters;
mod desk;
mod dispatch;
pub mod model;
mod peers;
pub mod rules;
pub mod send;
mod service;
mod shipped;
pub mod store;

pub use asked::*;
pub use counters::Counters;
pub use dispatch::Dispatch;
pub use peers::Senders;
pub use service::*;
