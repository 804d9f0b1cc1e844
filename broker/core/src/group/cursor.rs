//! How far a group is in one topic: what is settled, what has been fetched, what waits for what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::ranges::Ranges;
use super::record::{BLOCK, Block, Letter, Place};
use super::tried::{FAILURE_BYTES_MAX, FAILURES_MAX, Failure, Tried, shed};
use super::{Consumer, Output};
use crate::directory::Entry;
use crate::message::Hole;

/// Bytes that a block or a place takes in the journal beside its topic and what it holds.
const KEY_BYTES: usize = 336;
/// Bytes of a range that is settled.
const SETTLED_BYTES: usize = 4;
/// Bytes of a message that was tried, beside its failures.
const TRIED_BYTES: usize = 18;

/// A message that has been fetched and is not settled.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) time_ms: u64,
    /// The attributes of its DELIVER.
    pub(super) attributes: Bytes,
    pub(super) payload: Bytes,
    /// Its key, in a group that keeps the order of keys.
    pub(super) key: Option<Arc<str>>,
    pub(super) state: State,
    /// The dead letter that it was.
    pub(super) returned: Option<u64>,
}

/// What a job waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// An older message of its key.
    Behind,
    /// A consumer.
    Ready,
    /// Its consumer.
    Held { by: Consumer, until: Instant },
    /// Its time.
    Parked { until: Instant },
}

impl Job {
    /// Bytes that the job takes.
    pub(super) fn bytes(&self) -> usize {
        self.attributes.len() + self.payload.len() + size_of::<Job>()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Held { until, .. } | State::Parked { until } => Some(until),
            State::Behind | State::Ready => None,
        }
    }
}

/// A group in one topic.
#[derive(Debug)]
pub(super) struct Cursor {
    pub(super) entry: Arc<Entry>,
    pub(super) epoch: u64,
    /// Everything up to here is settled.
    pub(super) done: u64,
    /// What is settled above.
    pub(super) settled: Ranges,
    /// What is remembered of messages that were handed out and are not settled.
    pub(super) tried: BTreeMap<u64, Tried>,
    /// Bytes of the failures in there, by block.
    failure_bytes: BTreeMap<u64, usize>,
    pub(super) open: BTreeMap<u64, Job>,
    /// First offset that has not been fetched.
    pub(super) next: u64,
    /// One above the last offset at the owner.
    pub(super) end: u64,
    /// Whether the owner has said where the topic stands.
    pub(super) is_known: bool,
    /// The time of the first message that is wanted, while its offset is not known.
    pub(super) since_ms: Option<u64>,
    /// The page on its way.
    pub(super) asked: Option<u32>,
    /// Offsets that wait for a consumer.
    pub(super) ready: BTreeSet<u64>,
    /// For every key with an open message, what is behind its oldest.
    keys: BTreeMap<Arc<str>, BTreeSet<u64>>,
    /// Whether the topic is in the list of those with ready jobs, and of those to be fetched from.
    pub(super) is_listed: bool,
    pub(super) is_hungry: bool,
    /// What the owner was last asked to keep.
    pub(super) pinned: u64,
    /// Blocks that differ from what is stored.
    pub(super) changed: BTreeSet<u64>,
    /// Whether epoch or `done` differ from what is stored.
    pub(super) moved: bool,
    /// Whether what is stored of blocks is of another epoch, so that it is removed before the place is
    /// stored.
    pub(super) is_of_new_epoch: bool,
}

impl Cursor {
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        Cursor {
            entry,
            epoch: 0,
            done: 0,
            settled: Ranges::default(),
            tried: BTreeMap::new(),
            failure_bytes: BTreeMap::new(),
            open: BTreeMap::new(),
            next: 1,
            end: 1,
            is_known: false,
            since_ms: None,
            asked: None,
            ready: BTreeSet::new(),
            keys: BTreeMap::new(),
            is_listed: false,
            is_hungry: false,
            pinned: 0,
            changed: BTreeSet::new(),
            moved: false,
            is_of_new_epoch: false,
        }
    }

    /// Asks the owner to keep what is not settled.
    pub(super) fn pin(&mut self) -> Output {
        self.pinned = self.done + 1;
        Output::Pin { entry: self.entry.clone(), offset: self.pinned }
    }

    pub(super) fn place(&self) -> Place {
        Place { epoch: self.epoch, done: self.done }
    }

    /// Takes over what was stored.
    pub(super) fn restore_place(&mut self, place: Place) {
        self.epoch = place.epoch;
        self.done = place.done;
        self.next = place.done + 1;
        self.end = self.next;
        self.is_known = true;
    }

    /// Takes over a stored block; to be called after [`Cursor::restore_place`].
    pub(super) fn restore(&mut self, block: Block) {
        for (from, to) in block.settled {
            self.settled.insert(from, to);
        }
        for (offset, tried) in block.tried {
            *self.failure_bytes.entry(offset / BLOCK).or_default() += tried.failure_bytes();
            self.tried.insert(offset, tried);
        }
        self.advance();
    }

    /// Messages at the owner that are not settled.
    pub(super) fn lag(&self) -> u64 {
        self.end.saturating_sub(self.done + 1).saturating_sub(self.settled.count())
    }

    pub(super) fn is_settled(&self, offset: u64) -> bool {
        offset <= self.done || self.settled.contains(offset)
    }

    /// Whether the message has been fetched, in this life or an earlier one.
    pub(super) fn is_fetched(&self, offset: u64) -> bool {
        offset < self.next || self.open.contains_key(&offset) || self.is_settled(offset)
    }

    /// Settles `from..=to`.
    pub(super) fn settle(&mut self, from: u64, to: u64) {
        let from = from.max(self.done + 1);
        if from > to {
            return;
        }
        if from == self.done + 1 {
            self.done = to;
            self.moved = true;
        } else {
            self.settled.insert(from, to);
            self.changed.extend(from / BLOCK..=to / BLOCK);
        }
        self.advance();
    }

    /// Moves `done` over what is settled behind it.
    fn advance(&mut self) {
        while let Some((from, to)) = self.settled.take_reaching(self.done + 1) {
            self.changed.extend(from / BLOCK..=to / BLOCK);
            self.done = self.done.max(to);
            self.moved = true;
        }
    }

    /// Notes what has become of a message that was handed out.
    pub(super) fn note(&mut self, offset: u64) -> &mut Tried {
        self.changed.insert(offset / BLOCK);
        self.tried.entry(offset).or_default()
    }

    /// Notes a failed attempt. A message keeps the newest `FAILURES_MAX`; a block that holds too much
    /// gives up its oldest, so that it can always be stored.
    pub(super) fn note_failure(&mut self, offset: u64, failure: Failure) {
        let number = offset / BLOCK;
        let bytes = self.failure_bytes.entry(number).or_default();
        *bytes += failure.bytes();
        let failures = &mut self.tried.entry(offset).or_default().failures;
        if failures.len() >= FAILURES_MAX {
            *bytes -= failures.remove(0).bytes();
        }
        failures.push(failure);
        if *bytes > FAILURE_BYTES_MAX {
            let block = self.tried.range_mut(number * BLOCK..(number + 1) * BLOCK);
            *bytes -= shed(block, *bytes - FAILURE_BYTES_MAX / 2);
        }
        self.changed.insert(number);
    }

    /// Bytes that a block takes when it is stored, about, with its key.
    pub(super) fn block_bytes(&self, number: u64) -> usize {
        let tried = self.tried.range(number * BLOCK..(number + 1) * BLOCK).count();
        let failures = self.failure_bytes.get(&number).copied().unwrap_or(0);
        let settled = self.settled.within(number * BLOCK, number * BLOCK + BLOCK - 1).len();
        let names = 2 * (self.entry.topic.as_str().len() + KEY_BYTES);
        names + settled * SETTLED_BYTES + tried * TRIED_BYTES + failures
    }

    /// The part of the topic's state that a block holds.
    pub(super) fn block(&self, number: u64) -> Block {
        Block::of(number, &self.settled, &self.tried)
    }

    pub(super) fn attempts(&self, offset: u64) -> u32 {
        self.tried.get(&offset).map_or(0, |tried| tried.attempts)
    }

    /// Whether the open message has ever been handed out; one that was a dead letter has.
    pub(super) fn was_handed_out(&self, offset: u64) -> bool {
        let is_returned = self.open.get(&offset).is_some_and(|job| job.returned.is_some());
        is_returned || self.attempts(offset) > 0
    }

    /// Forgets what is remembered of a message.
    pub(super) fn forget(&mut self, offset: u64) {
        let Some(tried) = self.tried.remove(&offset) else { return };
        let number = offset / BLOCK;
        self.changed.insert(number);
        if let Some(bytes) = self.failure_bytes.get_mut(&number) {
            *bytes = bytes.saturating_sub(tried.failure_bytes());
            if *bytes == 0 {
                self.failure_bytes.remove(&number);
            }
        }
    }

    /// Adds a message; it waits behind others of its key.
    pub(super) fn add(&mut self, offset: u64, mut job: Job) {
        job.state = State::Ready;
        if let Some(key) = &job.key {
            if let Some(behind) = self.keys.get_mut(key) {
                behind.insert(offset);
                job.state = State::Behind;
            } else {
                self.keys.insert(key.clone(), BTreeSet::new());
            }
        }
        if job.state == State::Ready {
            self.ready.insert(offset);
        }
        self.open.insert(offset, job);
    }

    /// Takes a message out, and lets the next of its key come forward.
    pub(super) fn remove(&mut self, offset: u64) -> Option<Job> {
        let job = self.open.remove(&offset)?;
        self.ready.remove(&offset);
        let Some(key) = &job.key else { return Some(job) };
        if job.state == State::Behind {
            if let Some(behind) = self.keys.get_mut(key) {
                behind.remove(&offset);
            }
            return Some(job);
        }
        match self.keys.get_mut(key).and_then(BTreeSet::pop_first) {
            Some(next) => {
                if let Some(next_job) = self.open.get_mut(&next) {
                    next_job.state = State::Ready;
                    self.ready.insert(next);
                }
            }
            None => {
                self.keys.remove(key);
            }
        }
        Some(job)
    }

    /// Starts anew behind `done`, in this epoch; what was fetched and has never been given up is
    /// forgotten, and so is what was remembered. Answers what was open.
    pub(super) fn restart(&mut self, epoch: u64, done: u64) -> BTreeMap<u64, Job> {
        self.changed.extend(self.tried.keys().map(|offset| offset / BLOCK));
        for (from, to) in std::mem::take(&mut self.settled).iter() {
            self.changed.extend(from / BLOCK..=to / BLOCK);
        }
        self.tried.clear();
        self.failure_bytes.clear();
        self.is_of_new_epoch |= self.epoch != epoch;
        self.keys.clear();
        self.ready.clear();
        (self.epoch, self.done, self.next) = (epoch, done, done + 1);
        self.end = self.end.max(self.next);
        self.is_known = true;
        self.since_ms = None;
        self.asked = None;
        self.moved = true;
        std::mem::take(&mut self.open)
    }

    /// Where the next page starts, if there is one to be asked for.
    pub(super) fn wants(&self) -> bool {
        self.is_known && self.asked.is_none() && (self.since_ms.is_some() || self.next < self.end)
    }

    /// Counts the unsettled offsets of a hole and settles them.
    pub(super) fn skip(&mut self, hole: Hole) -> u64 {
        let (from, to) = (hole.from.max(self.next), hole.to.min(self.end.saturating_sub(1)));
        if from > to {
            return 0;
        }
        let before = self.done + self.settled.count();
        let gone: Vec<u64> = self.tried.range(from..=to).map(|(offset, _)| *offset).collect();
        for offset in gone {
            if !self.open.contains_key(&offset) {
                self.forget(offset);
            }
        }
        self.settle(from, to);
        self.next = self.next.max(to + 1);
        (self.done + self.settled.count()).saturating_sub(before)
    }

    /// The message as a dead letter.
    pub(super) fn letter(&self, offset: u64, job: &Job, reason: Arc<str>, moved_ms: u64) -> Letter {
        let tried = self.tried.get(&offset).cloned().unwrap_or_default();
        Letter {
            topic: self.entry.topic.clone(),
            epoch: self.epoch,
            offset,
            time_ms: job.time_ms,
            moved_ms,
            attempts: tried.attempts,
            reason,
            failures: tried.failures,
            attributes: job.attributes.clone(),
            payload: job.payload.clone(),
        }
    }
}
