//! The history of a run: what clients did and what they were told, in order, written down outside
//! of the store under test.

use std::sync::Arc;

/// What is true of an acknowledged message, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nothing survives; only the offset is taken.
    Routed,
    /// It survives the end of the process.
    Logged,
    /// It survives a power cut.
    Synced,
}

/// A message: the how manieth of which producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Message {
    /// Who sent it.
    pub producer: u64,
    /// Rises by one with every message of the producer.
    pub sequence: u64,
}

/// A message's place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The topic.
    pub topic: Arc<str>,
    /// The incarnation of the topic's history.
    pub epoch: u64,
    /// Where in the topic.
    pub offset: u64,
}

/// Something that a client did or was told.
#[derive(Clone, Debug)]
pub enum Event {
    /// A producer sent a message for the first time.
    Sent {
        /// The message.
        message: Message,
        /// Where to.
        topic: Arc<str>,
        /// Bytes of the payload; see [`crate::payload`].
        bytes: usize,
    },
    /// The store refused a message for good: it must not be kept.
    Refused(Message),
    /// The store told the producer where the message is.
    Acked {
        /// The message.
        message: Message,
        /// Where it is.
        place: Place,
        /// What else is true of it.
        level: Level,
    },
    /// The store handed a message to a reader or a group before the crash.
    Shown(Place, Message),
    /// The store told a consumer that the group will not get this place again.
    Settled {
        /// The group.
        group: Arc<str>,
        /// What was settled.
        place: Place,
        /// What survives.
        level: Level,
    },
    /// A group was given a place after it had been settled, or before; the order tells.
    Given {
        /// The group.
        group: Arc<str>,
        /// What it was given.
        place: Place,
    },
}

/// A message as it was read after the crash.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it is.
    pub place: Place,
    /// What it carries.
    pub payload: Vec<u8>,
}

/// What the store holds in the end.
#[derive(Clone, Debug, Default)]
pub struct Aftermath {
    /// Every kept message in the order in which it was read; per topic by rising offset.
    pub found: Vec<Found>,
    /// Per topic the first offset that limits still keep.
    pub floors: Vec<(Arc<str>, u64)>,
    /// Groups that have consumed all that they are owed, each with the topic that they read.
    pub drained: Vec<(Arc<str>, Arc<str>)>,
}
