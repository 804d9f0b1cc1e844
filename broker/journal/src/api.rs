//! What a log is asked and what it answers.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::{Hole, Run, Seen, SeenKey};
use sampan_protocol::Topic;

/// One thing to be written, all or none of it.
#[derive(Clone, Debug)]
pub enum Write {
    /// Messages of a topic.
    Append {
        /// The topic.
        topic: Topic,
        /// The epoch that the offsets belong to; the first append to a new topic sets it.
        epoch: u64,
        /// The messages; the first offset is above every one written before.
        run: Arc<Run>,
        /// Whether the offsets are to be shown to anybody before they are synced.
        early: bool,
        /// For a topic of kept values, the message key of each message: a newer message of a key
        /// replaces the older one. Empty for any other topic.
        replaces: Vec<Arc<str>>,
    },
    /// Values under keys of at most 60,000 bytes; `None` removes. The last one of a key counts.
    Put(Vec<(Bytes, Option<Bytes>)>),
    /// Keeps what is at or above an offset of a topic readable although the floor moves past it,
    /// for as long as the same name is not given another offset. A topic that nothing was written
    /// to has nothing to keep.
    Pin {
        /// The topic.
        topic: Topic,
        /// Who needs it.
        name: Arc<str>,
        /// First offset needed; `None` releases.
        offset: Option<u64>,
    },
}

/// What is true of something that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Whether its offsets may be shown: no crash can make the log give them to other messages.
    /// Otherwise they may be after the next sync, like everything.
    pub shown: bool,
}

/// Where a topic stands; what is synced, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Epoch of its history.
    pub epoch: u64,
    /// First offset that retention lets be read; 1 for a new topic.
    pub floor: u64,
    /// First offset that was never given out; 1 for a new topic.
    pub next: u64,
    /// What crashes and damage took, ascending and above the floor.
    pub lost: Vec<Hole>,
    /// Publishes of the dedupe window, oldest first.
    pub seen: Vec<Seen>,
    /// Idempotency keys of the dedupe window, oldest first.
    pub keys: Vec<SeenKey>,
}

/// A page of a topic's messages; what is synced, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// First offset that retention lets be read.
    pub floor: u64,
    /// The offset at which the page starts: the asked one, or the first that is kept if that is
    /// higher, or what `Last` or `Since` came to; `next` if they found nothing.
    pub from: u64,
    /// One above the highest offset that is stored or lost.
    pub next: u64,
    /// Messages from `from` on, by rising offset, under the asked topic id.
    pub runs: Vec<Arc<Run>>,
    /// What was lost to damage between `from` and the end of the runs, or `next` if there are none;
    /// ascending.
    pub damaged: Vec<Hole>,
}

/// What opening a log found.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// Whether the log was closed cleanly, or is new.
    pub clean: bool,
    /// Bytes behind the last whole block that were cut; nothing synced is among them.
    pub torn_bytes: u64,
    /// What is damaged. None of it is deleted.
    pub damaged: Vec<Damage>,
    /// Offsets that were given out and are gone, or may have been, by topic.
    pub lost: Vec<(Topic, Hole)>,
    /// Whether the values were taken from the checkpoint that was given.
    pub known: bool,
    /// Identity of the store.
    pub store_id: u64,
}

/// A part of the log that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Number of the segment.
    pub segment: u64,
    /// First byte in it.
    pub at: u64,
    /// Bytes, as far as known; 0 for all of the segment.
    pub bytes: u64,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage { segment, at, bytes, what } = self;
        write!(f, "segment {segment:016x}: {what} at byte {at}")?;
        if *bytes > 0 { write!(f, ", {bytes} bytes") } else { Ok(()) }
    }
}

/// Counts since the log was opened, and what there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes written to segments, index files apart.
    pub written_bytes: u64,
    /// Bytes of payload among them: frames, and values of puts.
    pub payload_bytes: u64,
    /// Syncs of a segment that was written to.
    pub syncs: u64,
    /// Blocks written.
    pub commits: u64,
    /// Records written.
    pub records: u64,
    /// Segments that hold something, or are to.
    pub segments: u64,
    /// Damaged places found so far.
    pub damaged: u64,
    /// Live values under keys.
    pub values: u64,
    /// Topics.
    pub topics: u64,
    /// Bytes of the segments' files.
    pub stored_bytes: u64,
}
