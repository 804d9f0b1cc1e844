//! Orders and where they are: what a carrier says becomes what a customer is told, once.

mod asked;
pub mod carriers;
mod events;
pub mod model;
pub mod rules;
mod service;
mod store;

pub use asked::{
    Heard, History, HistoryWanted, List, ListWanted, StatusTold, Summary, Upsert, Wanted,
};
pub use service::{GET, HISTORY, LIST, STATUS, SUMMARY, TRACK, UNTRACK, UPSERT, serve};
pub(crate) use store::SCHEMA;
pub use store::{Orders, Whose};
