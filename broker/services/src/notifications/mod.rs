//! Notifications: what a user is told, by which way, when, and what has become of it.

pub mod model;
pub mod rules;
pub mod send;
