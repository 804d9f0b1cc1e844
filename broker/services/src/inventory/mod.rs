//! Stock, and what customers hold of it while they pay.

pub mod model;
pub mod rules;
pub mod store;
