//! The command line end to end: every command as a real process against a real broker.
//!
//! What is held here is the contract: names, flags, output, exit codes.

mod access;
mod bench;
mod catalog;
mod detour;
mod groups;
mod harness;
mod journal;
mod messages;
mod operation;
mod questions;
