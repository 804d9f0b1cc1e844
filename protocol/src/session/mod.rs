//! Both ends of a session as state machines. The rules are in `spec/session.md`.

pub mod client;
pub mod server;
mod settle;

pub use client::Client;
pub use server::Server;
