//! Live chat: conversations, messages, agents, and who answers whom.

mod access;
mod beside;
pub mod canned;
pub mod course;
pub mod files;
pub mod model;
pub mod ratings;
pub mod rules;
pub mod service;
pub mod store;

pub use beside::Beside;
