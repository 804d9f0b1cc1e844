//! The Sampan broker: configuration, shard threads and sockets, authentication, wiring and command line.

pub mod auth;
pub mod config;
pub mod data_dir;
pub mod udp;
