//! The Sampan broker: configuration, shard threads and sockets, authentication, wiring and command line.

pub mod auth;
pub mod cli;
pub mod config;
pub mod data_dir;
mod durable;
pub mod http;
pub mod scaling;
pub mod serve;
pub mod shard;
pub mod udp;
