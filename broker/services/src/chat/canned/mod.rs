//! Texts that agents keep at hand: stored, listed, and filled in.
//!
//! A team is the agents who have the skill of its name.

mod service;
mod store;

pub use sampan_client::chat::{
    CANNED_DELETE as DELETE, CANNED_LIST as LIST, CANNED_PUT as PUT, CANNED_USE as USE,
    CannedDeleted as Deleted, CannedFilled as Filled, CannedList as List,
    CannedListWanted as ListWanted, CannedOf as Wanted, CannedPut as Put, CannedUse as Use,
};
pub use service::{Canned, serve};
pub(crate) use store::SCHEMA;
pub use store::Shelf;
