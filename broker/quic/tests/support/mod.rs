//! A broker, clients and a network between them, in virtual time and from a seed.

#![allow(dead_code, unused_imports, unreachable_pub, reason = "every test uses another part")]

mod directory;
mod network;
pub mod raw;
mod world;

pub use self::network::Weather;
pub use self::world::{World, certificate};
