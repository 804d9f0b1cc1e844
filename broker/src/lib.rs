//! The Sampan broker: configuration, shard threads and sockets, authentication, wiring and command line.

pub mod auth;
pub mod udp;
