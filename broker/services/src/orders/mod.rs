//! Orders and where they are: what a carrier says becomes what a customer is told, once.

mod asked;
pub mod carriers;
mod events;
pub mod model;
pub mod rules;
mod service;
mod store;

pub use asked::{
    Checked, Heard, History, HistoryWanted, List, ListWanted, StatusTold, Summary, Upsert, Wanted,
};
pub use sampan_client::orders::{GET, HISTORY, LIST, STATUS, SUMMARY, TRACK, UNTRACK, UPSERT};
pub use service::serve;
pub(crate) use store::SCHEMA;
pub use store::{Orders, Whose};
