//! The contract between a topic's owner and whatever keeps its messages.
//!
//! A journal is asynchronous from the outside: a request carries a [`Ticket`], and completions
//! that repeat it come out of [`Journal::poll`] later. It knows topics, offsets and bytes; what a
//! message means, who may read it and who waits for it is the owner's business. Beside the messages
//! it keeps values under keys, for whatever the owner has to remember. [`Memory`] is the
//! implementation without a disk.
//!
//! **Stored order.** One topic's messages are stored by rising offset. Offsets may be missing,
//! since an append can fail or be lost; they are never given twice. A later append that succeeds
//! does not prove that an earlier one did.
//!
//! **Order of completions.** The last completions of the appends to one topic (`Stored` with
//! [`Journal::best`], or `Failed`) come in the order in which they were submitted, and so do those
//! of every lower level. The same holds among the puts. Nothing is promised between topics, between
//! appends and puts, or between those and reads.
//!
//! **Order of durability.** The appends and puts of one journal become durable in the order of
//! submission, whatever their topics: a crash keeps a prefix of them. A later one never survives an
//! earlier one that does not, unless that one had failed.
//!
//! **Topics of kept values.** A run with [`Request::Append::replaces`] belongs to a topic that keeps
//! the newest message per key. The messages that it replaces are gone from reads, and retention does
//! not touch the newest ones; the owner bounds them.
//!
//! **Epoch.** The incarnation of a topic's history; it changes only when history was lost or cut,
//! as a whole. The journal names it in `Opened`. The first append to a topic that was never opened
//! sets it; after that an append with another one fails with [`Error::WrongEpoch`], because its
//! offsets would belong to a history that no longer exists.
//!
//! **Reads** see what is stored at the best level and nothing else, so that nobody is shown a
//! message that a crash can take back.

mod chance;
mod config;
mod log;
mod memory;
mod pending;
mod run;
mod seen;
mod state;
mod store;
mod values;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::{AckLevel, Now, Topic};

pub use config::{Config, Faults, Lost};
pub use memory::Memory;
pub use run::{Chunk, Deliver, Frames, Run, Sent};

/// Bytes of keys and values, with 48 for each, that every journal has to be able to store at once;
/// groups need no more.
pub const PUT_BYTES_MAX: usize = 2 * 1024 * 1024 - 16 * 1024;

/// The caller's name for a request, repeated in its completions. The journal does not compare them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// Where a read starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this offset, or the first stored after it.
    Offset(u64),
    /// With the last so many stored messages.
    Last(u32),
    /// With the first stored message at or after this time, Unix milliseconds.
    Since(u64),
}

/// What a journal is asked to do.
#[derive(Clone, Debug)]
pub enum Request {
    /// Tell where a topic stands. Answered by `Opened` or `Failed`.
    Open {
        /// Repeated in the answer.
        ticket: Ticket,
        /// The topic's id in this broker process; later requests use it.
        topic_id: u64,
        /// The topic.
        topic: Topic,
    },
    /// Store a run. Answered by one `Stored` per level from `Logged` to the best, weakest first, or
    /// by `Failed`. A journal whose best level is `Routed` answers with that.
    Append {
        /// Repeated in the answers.
        ticket: Ticket,
        /// The topic's id in this broker process.
        topic_id: u64,
        /// The topic.
        topic: Topic,
        /// The epoch that the run's offsets belong to.
        epoch: u64,
        /// The messages; the first offset is above every one appended before.
        run: Arc<Run>,
        /// Whether the run's offsets are to be shown to anybody before it has reached the best
        /// level. Then `Stored` with `Routed` comes first, as soon as no crash can make the journal
        /// give them to other messages.
        early: bool,
        /// For a topic of kept values, the message key of each message of the run: a newer message
        /// of a key replaces the older one in reads. Empty for any other topic.
        replaces: Vec<Arc<str>>,
    },
    /// Read a page. Answered by `Page` or `Failed`; a topic that was neither opened nor appended to
    /// is empty.
    Read {
        /// Repeated in the answer.
        ticket: Ticket,
        /// The topic's id in this broker process.
        topic_id: u64,
        /// Where the page starts.
        from: Start,
        /// Bytes of frames wanted at most; the first message comes even if it is larger.
        max_bytes: usize,
        /// Messages wanted at most.
        max_count: u32,
    },
    /// Store values under keys, all or none. Answered like an append.
    Put {
        /// Repeated in the answers.
        ticket: Ticket,
        /// Keys with their new values; `None` removes. The last one of a key counts.
        values: Vec<(Bytes, Option<Bytes>)>,
    },
    /// Read values by key. Answered by `Values` or `Failed`.
    Load {
        /// Repeated in the answer.
        ticket: Ticket,
        /// What the keys start with.
        prefix: Bytes,
        /// Only keys above this one.
        after: Option<Bytes>,
        /// Bytes of keys and values wanted at most; the first value comes even if it is larger.
        max_bytes: usize,
    },
    /// Keep what is at or above an offset readable although the floor moves past it, for as long as
    /// the same name is not given another offset. Not answered. A crash may forget that a pin was
    /// raised or released, which only keeps more.
    Pin {
        /// The topic's id in this broker process; one that was neither opened nor appended to has
        /// nothing to keep.
        topic_id: u64,
        /// Who needs it.
        name: Arc<str>,
        /// First offset needed; `None` releases.
        offset: Option<u64>,
    },
}

/// Why a request could not be carried out.
///
/// The messages of a failed append are not stored, and reads do not see them. Whether they never
/// will be is certain once a later append to the topic is stored. After `Storage` or `Fenced` a
/// journal on a disk stores nothing more, because it cannot know: a restart may find them, in the
/// order of durability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The storage reported an error.
    Storage,
    /// The storage reported an error earlier; nothing is written until it is recovered.
    Fenced,
    /// The topic's history has another epoch; open the topic again.
    WrongEpoch,
    /// The run starts at or below an offset that was appended before.
    OffsetReused,
    /// The run is larger than all that the journal may keep.
    TooLarge,
    /// There is no space for it now; the same may be stored later.
    Full,
    /// The journal holds as many topics as it may.
    TooManyTopics,
    /// What was to be read is damaged, and how much of it is not known.
    Damaged,
}

/// Why a request was not taken at all; no completion follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Too much is waiting to be stored.
    Full {
        /// When there may be room again.
        retry_after: Duration,
    },
    /// The storage reported an error, and nothing is taken until it is recovered.
    Fenced,
}

/// Offsets `from..=to` that a crash or damage took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// First lost offset.
    pub from: u64,
    /// Last lost offset.
    pub to: u64,
}

/// Stored publishes, for telling repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How the publisher called them, and where they are.
    pub sent: Sent,
    /// How long ago they were stored, by a clock that nobody sets; the time in which the journal was
    /// closed does not count.
    pub age: Duration,
}

/// A stored idempotency key, for telling repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenKey {
    /// The key.
    pub key: Arc<str>,
    /// The offset of its message.
    pub offset: u64,
    /// How long ago it was stored, as in [`Seen`].
    pub age: Duration,
}

/// What has become of a request, or of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Where the opened topic stands.
    Opened {
        /// The request's.
        ticket: Ticket,
        /// The topic.
        topic_id: u64,
        /// Epoch of its history.
        epoch: u64,
        /// First offset that may still be stored; 1 for a new topic.
        floor: u64,
        /// First offset that was never given out; 1 for a new topic.
        next: u64,
        /// What crashes took from this epoch, ascending and above the floor.
        lost: Vec<Hole>,
        /// Publishes of the dedupe window, oldest first.
        seen: Vec<Seen>,
        /// Idempotency keys of the dedupe window, oldest first.
        keys: Vec<SeenKey>,
    },
    /// The run, or the values of a put, have reached this level. `Routed` ahead of others says that
    /// the offsets of an early append may be shown.
    Stored {
        /// The request's.
        ticket: Ticket,
        /// What is true of the run.
        level: AckLevel,
    },
    /// The request failed.
    Failed {
        /// The request's.
        ticket: Ticket,
        /// Why.
        error: Error,
    },
    /// A page of a topic's messages.
    Page {
        /// The request's.
        ticket: Ticket,
        /// First offset that may still be stored.
        floor: u64,
        /// The offset at which the page starts: the asked one, or the first that is kept if that is
        /// higher, which is the floor or, with a pin, below it; or what `Last` or `Since` came to,
        /// which never go below the floor; `next` if they found nothing.
        from: u64,
        /// One above the highest offset that is stored or lost. A page without runs that starts
        /// below it says that nothing is stored between the two.
        next: u64,
        /// Messages from `from` on, by rising offset. Their frames carry the topic id of the
        /// request, whatever it was in the broker process that stored them.
        runs: Vec<Arc<Run>>,
        /// What was lost to damage between `from` and the end of the runs, or `next` if there are
        /// none; ascending.
        damaged: Vec<Hole>,
    },
    /// Values by key.
    Values {
        /// The request's.
        ticket: Ticket,
        /// What is stored at the best level, ascending by key.
        values: Vec<(Bytes, Bytes)>,
        /// Whether there are more above the last one.
        more: bool,
    },
    /// Retention or capacity moved a topic's floor.
    Floor {
        /// The topic.
        topic_id: u64,
        /// First offset that may still be stored.
        floor: u64,
    },
}

/// Keeps the messages of topics, and its owner's state.
///
/// Law: one call of [`Journal::submit`], then [`Journal::poll`] until it answers `None`, then wait
/// for the next request, for [`Journal::deadline`], or for whatever else the implementation says
/// wakes its owner.
pub trait Journal {
    /// The strongest level that this journal ever gives.
    fn best(&self) -> AckLevel;

    /// Takes a request.
    ///
    /// # Errors
    /// If it cannot be taken; it has no effect then, and no completion follows.
    fn submit(&mut self, now: Now, request: Request) -> Result<(), Refused>;

    /// The next completion, if there is one by now.
    fn poll(&mut self, now: Now) -> Option<Completion>;

    /// When to poll again although nothing was submitted.
    fn deadline(&self) -> Option<Instant>;
}
