//! MongoDB behind one door: nothing else names the driver.
//!
//! Every change is an update of one document, which is atomic on any server. Writes are told when
//! most members of the replica set have them on disk.

mod collection;
mod fault;
mod field;
mod lease;
mod server;
mod shape;

pub(crate) use mongodb::bson::{Bson, Document, doc};

pub(crate) use collection::Collection;
pub(crate) use field::Fields;
pub use server::Mongo;
pub(crate) use shape::{Index, Shape, shape};
