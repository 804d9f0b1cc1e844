//! Texts that agents keep at hand: stored, listed, and filled in.
//!
//! A team is the agents who have the skill of its name.

mod service;
mod store;

pub use service::{
    Canned, DELETE, Deleted, Filled, LIST, List, ListWanted, PUT, Put, USE, Use, Wanted, serve,
};
pub(crate) use store::SCHEMA;
pub use store::Shelf;
