//! Orders and where they are: what a carrier says becomes what a customer is told, once.

pub mod model;
pub mod rules;
