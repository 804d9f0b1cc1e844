//! Live chat: conversations, messages, agents, and who answers whom.

pub mod model;
pub mod rules;
pub mod service;
pub mod store;
