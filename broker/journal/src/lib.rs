//! The message log of one shard: segments in a directory, group commit, recovery, retention.
//!
//! [`Log::open`] gives a [`Writer`] for one thread and a [`Reader`] for any. What is written is in
//! the page cache; what is synced is durable, and only that is read. The log holds two sorts of
//! things: the messages of topics, and values under keys of which the newest counts.
//!
//! Every byte is drawn in `spec/journal.md`. A block (`block`) of records (`record`) is one write;
//! `scan` finds blocks again and tells a torn tail from damage; `state` is what is known in memory;
//! `recover` and `open` rebuild it.

mod api;
mod aside;
mod block;
mod checkpoint;
mod checksum;
mod clean;
mod damage;
mod dedupe;
mod depot;
mod encode;
mod error;
mod extent;
pub mod front;
mod identity;
mod index;
mod keeper;
mod key;
mod ledger;
mod mark;
mod open;
mod options;
mod read;
mod reader;
mod record;
mod recover;
mod retain;
mod scan;
mod seal;
mod seen;
mod segment;
mod shared;
mod state;
pub mod storage;
mod stored;
mod survey;
mod topic;
mod writer;

pub use api::{Damage, Opening, Page, Standing, Stats, Write, Written};
pub use checkpoint::Fault;
pub use error::{Error, OpenError, Reported};
pub use keeper::{Keeper, Work};
pub use mark::{Checkpoint, Located};
pub use open::Log;
pub use options::Options;
pub use reader::{Reader, Wanted};
pub use stored::{Index, Stored};
pub use survey::{Repaired, Report, SegmentReport, TopicReport, inspect, repair, verify};
pub use writer::Writer;

/// The number of logs that the one in this directory was made as one of; `None` if there is none.
///
/// # Errors
/// If the store cannot be read, or is in use.
pub fn logs(path: &std::path::Path) -> Result<Option<u32>, OpenError> {
    if !path.is_dir() {
        return Ok(None);
    }
    let store = identity::read(&storage::Disk::open(path)?)?;
    Ok(store.map(|(_, _, logs)| logs))
}

#[cfg(test)]
mod tests;
