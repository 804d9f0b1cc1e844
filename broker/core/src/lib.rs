//! One shard of the broker as a pure state machine.
//!
//! Nothing here reads a clock, a socket, a disk or a source of randomness: time, seeds and every
//! input are arguments. Start reading at [`shard`].

mod audience;
mod batch;
pub mod bucket;
mod call;
pub mod class;
pub mod config;
pub mod counters;
pub mod dedupe;
pub mod directory;
mod flight;
pub mod grant;
pub mod group;
pub mod hash;
pub mod journal;
pub mod latency;
mod latest;
pub mod message;
pub mod outbox;
pub mod presence;
mod room;
pub mod session;
pub mod shard;
mod timer;
pub mod trie;
