//! The services of a shop on Sampan: chat with routing, orders, inventory, notifications.
//!
//! They are ordinary clients of the broker: what they need from it is a public feature that any
//! backend team can use too. Rules (`*/rules`) are free of I/O and clocks; stores and the service
//! frame are the shell around them.

pub mod chat;
mod days;
pub mod figures;
pub mod http;
mod id;
pub mod inventory;
mod moment;
pub mod notifications;
pub mod orders;
mod outbound;
pub mod outbox;
mod refusal;
mod role;
mod secret;
pub mod service;
mod services;
pub mod signature;
pub mod store;
pub mod users;

pub use id::{Id, check_id};
pub use moment::Moment;
pub use refusal::Refusal;
pub use role::Role;
pub use services::{SCHEMAS, Services, Settings};
