//! One shard of the broker as a pure state machine.
//!
//! Nothing here reads a clock, a socket, a disk or a source of randomness: time, seeds and every
//! input are arguments.

pub mod bucket;
pub mod class;
pub mod dedupe;
pub mod grant;
pub mod journal;
pub mod presence;
pub mod trie;
