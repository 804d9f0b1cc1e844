//! Publishes that wait for their ack, and the bytes of the publish stream.
//!
//! Every publish that wants an ack is kept until it has one, in a ring indexed by its sequence, and
//! is sent again under that sequence on the next connection. The broker tells repeats apart by
//! (producer, sequence).

use std::collections::VecDeque;

use bytes::Bytes;

use super::output::Run;
use super::unsent::{Ids, Unsent};
use crate::attribute::Attributes;
use crate::class::AckLevel;
use crate::error::Error;
use crate::frame::{Frame, flag};
use crate::limits::{ATTRIBUTES_BYTES_MAX, HEADER_BYTES, TOPIC_BYTES_MAX};
use crate::topic::Topic;

/// Bytes of encoded publishes that wait for the shell; above it, publishes without ack are refused.
pub const UNSENT_BYTES_MAX: usize = 1024 * 1024;

/// A message to publish.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The topic.
    pub topic: Topic,
    /// Encoded attributes, none of them the topic.
    pub attributes: Bytes,
    /// The payload.
    pub payload: Bytes,
    /// What the ack must say; the topic's default if none.
    pub level: Option<AckLevel>,
}

impl Publish {
    fn bytes(&self) -> usize {
        HEADER_BYTES + self.attributes.len() + self.payload.len()
    }
}

/// Why a publish was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// Too many publishes, or bytes of them, wait for their ack or for the shell.
    Full,
    /// A field is larger than its limit.
    TooLarge {
        /// Which field.
        field: &'static str,
        /// The limit, bytes.
        max: usize,
        /// What was given.
        had: usize,
    },
    /// A field is not valid.
    Invalid {
        /// Which field.
        field: &'static str,
    },
    /// There is no session, and the publish is not one to keep.
    NotLive,
    /// The job is not this client's any more: the broker has taken it back.
    NotHeld,
    /// The client is closed.
    Closed,
}

/// Bounds on what is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct Publishes {
    bounds: Bounds,
    /// Sequence of the ring's front; the sequence after the last one given if the ring is empty.
    first: u64,
    /// Kept publishes; `None` where one is settled or wanted no ack. The front is always `Some`.
    ring: VecDeque<Option<Publish>>,
    /// Whether there is a session.
    live: bool,
    /// Sequences below may have reached the broker in an earlier session.
    doubtful: u64,
    kept: usize,
    kept_bytes: usize,
    unsent: Unsent,
    ids: Ids,
}

impl Publishes {
    pub(super) fn new(bounds: Bounds) -> Self {
        Publishes {
            bounds,
            first: 1,
            ring: VecDeque::new(),
            live: false,
            doubtful: 0,
            kept: 0,
            kept_bytes: 0,
            unsent: Unsent::default(),
            ids: Ids::default(),
        }
    }

    /// Publishes that wait for their ack.
    pub(super) fn pending(&self) -> usize {
        self.kept
    }

    fn next(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// Takes a publish and answers its sequence. `send` says whether there is a session.
    pub(super) fn push(
        &mut self,
        publish: Publish,
        payload_bytes_max: usize,
        send: bool,
    ) -> Result<u64, NotTaken> {
        check(&publish, payload_bytes_max)?;
        let bytes = publish.bytes();
        // An empty ring takes any one message, so that the byte bound cannot block a large one.
        let fits = self.ring.is_empty() || self.kept_bytes + bytes <= self.bounds.bytes;
        if self.ring.len() >= self.bounds.messages || !fits {
            return Err(NotTaken::Full);
        }
        let sequence = self.next();
        if send {
            self.unsent.write(&publish, sequence, true, &self.ids);
        }
        self.kept += 1;
        self.kept_bytes += bytes;
        self.ring.push_back(Some(publish));
        Ok(sequence)
    }

    /// Sends a publish that wants no ack.
    pub(super) fn send(
        &mut self,
        publish: &Publish,
        payload_bytes_max: usize,
    ) -> Result<u64, NotTaken> {
        check(publish, payload_bytes_max)?;
        let full = !self.ring.is_empty() && self.ring.len() >= self.bounds.messages;
        if full || self.unsent.bytes > UNSENT_BYTES_MAX {
            return Err(NotTaken::Full);
        }
        let sequence = self.next();
        self.unsent.write(publish, sequence, false, &self.ids);
        if self.ring.is_empty() {
            self.first += 1;
        } else {
            self.ring.push_back(None);
        }
        Ok(sequence)
    }

    /// Forgets what the lost connection was still to send.
    pub(super) fn disconnected(&mut self) {
        if std::mem::take(&mut self.live) {
            self.doubtful = self.next();
        }
        self.unsent = Unsent::default();
    }

    /// Encodes every kept publish again, in order, for a new session. Topic ids are only valid
    /// within one broker process.
    pub(super) fn connected(&mut self, same_boot: bool) {
        self.live = true;
        self.unsent = Unsent::default();
        if !same_boot {
            self.ids = Ids::default();
        }
        for (sequence, publish) in (self.first..).zip(&self.ring) {
            if let Some(publish) = publish {
                self.unsent.write(publish, sequence, true, &self.ids);
            }
        }
    }

    /// The next bytes of the publish stream: one chunk of whole frames, or a part of a large one.
    pub(super) fn unsent(&mut self) -> Option<Bytes> {
        self.unsent.take()
    }

    /// Whether [`Publishes::unsent`] has something.
    pub(super) fn has_unsent(&self) -> bool {
        self.unsent.bytes > 0
    }

    /// Settles what a PUBLISHED acknowledges. `None` if all of it was settled before.
    pub(super) fn published(&mut self, frame: &Frame) -> Result<Option<Run>, Error> {
        const INVALID: Error = Error::Invalid { field: "published" };
        let attributes = Attributes::parse(frame.attribute_bytes())?;
        let last = attributes.sequence.ok_or(INVALID)?;
        let count = attributes.count.unwrap_or(1);
        let header = frame.header;
        if count == 0 || count > last || count > header.number + 1 || last >= self.next() {
            return Err(INVALID);
        }
        let level = AckLevel::from_number(header.flags & flag::LEVEL_MASK).ok_or(INVALID)?;
        let first = last - count + 1;
        self.learn(last, header.topic_id);
        // Repeats that were acked before may lead the run; they are skipped.
        let skipped = self.first.saturating_sub(first);
        if skipped >= count {
            return Ok(None);
        }
        let run = Run {
            first: first + skipped,
            count: count - skipped,
            epoch: attributes.epoch.unwrap_or(0),
            offset: header.number + 1 - count + skipped,
            level,
            duplicate: header.flags & flag::DUPLICATE != 0,
            stale: header.flags & flag::STALE != 0,
        };
        self.settle(run.first, run.count);
        Ok(Some(run))
    }

    /// Settles a refused publish; whether it was sent in an earlier session too, whose broker may
    /// have taken it.
    pub(super) fn refused(&mut self, sequence: u64, unknown_topic: bool) -> bool {
        if unknown_topic {
            self.ids = Ids::default();
        }
        let open = sequence >= self.first && sequence < self.next();
        if open {
            self.settle(sequence, 1);
        }
        sequence < self.doubtful
    }

    /// Drops everything; the client is closed.
    pub(super) fn clear(&mut self) {
        *self = Publishes { first: self.next(), ..Publishes::new(self.bounds) };
    }

    /// Empties `count` places from `sequence` on, all of them in the ring.
    fn settle(&mut self, sequence: u64, count: u64) {
        let from = usize::try_from(sequence - self.first).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        for place in self.ring.iter_mut().skip(from).take(count) {
            if let Some(publish) = place.take() {
                self.kept -= 1;
                self.kept_bytes -= publish.bytes();
            }
        }
        while let Some(None) = self.ring.front() {
            self.ring.pop_front();
            self.first += 1;
        }
    }

    /// Remembers the topic id that an ack names, for the next publish of that topic.
    fn learn(&mut self, sequence: u64, id: u64) {
        let place = sequence.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(Some(publish)) = place.and_then(|at| self.ring.get(at))
            && id != 0
        {
            self.ids.learn(&publish.topic, id);
        }
    }
}

fn check(publish: &Publish, payload_bytes_max: usize) -> Result<(), NotTaken> {
    let limits = [
        ("payload", publish.payload.len(), payload_bytes_max),
        ("attributes", publish.attributes.len(), ATTRIBUTES_BYTES_MAX - TOPIC_BYTES_MAX - 3),
    ];
    match limits.into_iter().find(|(_, had, max)| had > max) {
        Some((field, had, max)) => Err(NotTaken::TooLarge { field, max, had }),
        None => Ok(()),
    }
}
