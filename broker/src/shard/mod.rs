//! Shard threads: one core shard, one QUIC endpoint and one socket each, in a loop without locks.
//!
//! [`Broker::start`] binds the sockets and starts the threads. What reaches a shard comes by three
//! ways: datagrams, one bounded ring per other shard, and an inbox for what is rare or lives
//! outside the shards (in-process sessions, commands). The rules of delivery are in `sampan_core`
//! and the transport in `sampan_quic`; nothing here decides anything that a client can see.

mod broker;
mod command;
mod directory;
mod drain;
mod error;
mod link;
mod linked;
mod manage;
mod mesh;
mod outlet;
mod runner;
mod setup;
#[cfg(test)]
mod tests;

pub use broker::{Broker, Counters};
pub use directory::Names;
pub use drain::Drain;
pub use error::Error;
pub use setup::{Authenticate, OpenStore, Setup, Store, Wake};
