//! `sampan serve`: puts the broker together, runs it, and stops it gently.

pub mod system;
