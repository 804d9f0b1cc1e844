//! What clients did and were told, in the order in which it happened. The checker reads it and
//! nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use sampan_protocol::control::{GapReason, Start};
use sampan_protocol::session::client::Message;
use sampan_protocol::{AckLevel, Code, Pattern, Topic};

use crate::payload;

/// One message: the client that published it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id {
    pub(crate) seat: u32,
    pub(crate) ordinal: u64,
}

/// A topic's number in the history.
pub(crate) type TopicNumber = u32;
/// A reader's number in the history.
pub(crate) type ReaderNumber = u32;

/// One subscription of a client.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) seat: u32,
    pub(crate) pattern: Pattern,
    pub(crate) start: Start,
}

/// How a request ended for the one who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With the answer to this question.
    Answer(Id),
    /// With bytes that answer nothing.
    Nonsense,
    Failed {
        code: Code,
        may_have_happened: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A message was given to the session to publish.
    Called {
        id: Id,
        topic: TopicNumber,
        key: u32,
        level: Option<AckLevel>,
        wants_ack: bool,
    },
    Acked {
        id: Id,
        epoch: u64,
        offset: u64,
        level: AckLevel,
        duplicate: bool,
        stale: bool,
    },
    Refused {
        id: Id,
        code: Code,
        may_have_happened: bool,
    },
    /// A subscription was confirmed for the first time; for one topic, after this epoch and offset.
    Joined {
        reader: ReaderNumber,
        position: Option<(u64, u64)>,
    },
    /// A message arrived; without an id it is damaged.
    Message {
        reader: ReaderNumber,
        topic: TopicNumber,
        epoch: u64,
        offset: u64,
        id: Option<Id>,
    },
    Gap {
        reader: ReaderNumber,
        topic: TopicNumber,
        epoch: u64,
        from: u64,
        to: u64,
        reason: GapReason,
    },
    /// A subscription was taken back.
    Left {
        reader: ReaderNumber,
    },
    /// A subscription was refused.
    Ended {
        reader: ReaderNumber,
        code: Code,
    },
    /// A client has a session.
    Live {
        seat: u32,
    },
    /// A client has lost its session, or an attempt at one.
    Away {
        seat: u32,
        why: String,
    },
    /// A client is closed for good.
    Closed {
        seat: u32,
        code: Code,
    },
    /// The disks fail now and then, or have failed.
    Faulty,
    /// A client was told to connect elsewhere.
    Draining {
        seat: u32,
    },
    /// The broker crashed, and these offsets are gone.
    Crashed {
        lost: Vec<(TopicNumber, u64, u64)>,
    },
    Asked {
        id: Id,
    },
    Served {
        id: Id,
    },
    Answered {
        id: Id,
        outcome: Outcome,
    },
    /// What a watcher knows of a topic's members after what it was told.
    Present {
        seat: u32,
        topic: TopicNumber,
        count: u32,
        users: Vec<String>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// Since the start.
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) now: Duration,
    pub(crate) records: Vec<Record>,
    pub(crate) topics: Vec<Topic>,
    numbers: BTreeMap<Topic, TopicNumber>,
    pub(crate) readers: Vec<Reader>,
}

impl History {
    pub(crate) fn note(&mut self, what: What) {
        self.records.push(Record { at: self.now, what });
    }

    pub(crate) fn topic(&mut self, topic: &Topic) -> TopicNumber {
        if let Some(number) = self.numbers.get(topic) {
            return *number;
        }
        let number = TopicNumber::try_from(self.topics.len()).expect("few topics");
        self.topics.push(topic.clone());
        self.numbers.insert(topic.clone(), number);
        number
    }

    pub(crate) fn reader(&mut self, reader: Reader) -> ReaderNumber {
        self.readers.push(reader);
        ReaderNumber::try_from(self.readers.len() - 1).expect("few readers")
    }

    pub(crate) fn message(&mut self, reader: ReaderNumber, message: &Message) {
        let topic = self.topic(&message.topic);
        let id = payload::decode(message.frame.body_bytes());
        let (epoch, offset) = (message.epoch, message.frame.header.number);
        self.note(What::Message { reader, topic, epoch, offset, id });
    }

    /// How many records are of this sort.
    pub(crate) fn count(&self, of: impl Fn(&What) -> bool) -> usize {
        self.records.iter().filter(|record| of(&record.what)).count()
    }
}

impl std::fmt::Display for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, topic) in self.topics.iter().enumerate() {
            writeln!(f, "topic {number} is {topic}")?;
        }
        for (number, Reader { seat, pattern, start }) in self.readers.iter().enumerate() {
            writeln!(f, "reader {number} on seat {seat} reads {pattern} from {start:?}")?;
        }
        for Record { at, what } in &self.records {
            writeln!(f, "{:>12.4} {what:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
