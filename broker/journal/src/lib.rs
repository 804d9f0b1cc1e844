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
mod checksum;
mod clean;
mod damage;
mod dedupe;
mod depot;
mod encode;
mod error;
mod extent;
mod identity;
mod index;
mod keeper;
mod key;
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
mod survey;
mod topic;
mod writer;

pub use api::{Damage, Opening, Page, Standing, Stats, Write, Written};
pub use error::{Error, OpenError};
pub use keeper::{Keeper, Work};
pub use mark::{Checkpoint, Located};
pub use open::Log;
pub use options::Options;
pub use reader::{Reader, Wanted};
pub use survey::{Repaired, Report, SegmentReport, TopicReport, inspect, repair, verify};
pub use writer::Writer;

#[cfg(test)]
mod tests;
