//! Scenarios.
mod clean;
mod same;
