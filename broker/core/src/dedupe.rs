//! What a topic's owner remembers of its publishers, so that a message sent again is stored once.
//!
//! A publish is known by its producer and sequence, and by its idempotency key if it has one. A
//! producer's sequence rises over all its topics, so that one topic sees it with holes; a sequence
//! that was never recorded is new, however far it lags behind. Whatever is forgotten counts as new
//! as well: a message may be doubled after the window, but none is ever taken for another.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::journal::Sent;

/// How much one topic remembers.
///
/// Worst-case memory of the default is 6 MiB: 40 bytes per run and about 300 per key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Producers; the one that has been silent for longest is forgotten. Default 1,024.
    pub producers_max: usize,
    /// Runs of one producer. Beyond it, the offsets of its oldest sequences are forgotten, and
    /// where they have holes the sequences too. A client has fewer publishes in flight. Default
    /// 1,024.
    pub runs_max: usize,
    /// Runs that the producers share: each has an equal part of them, but 16 at least. Default
    /// 16,384.
    pub runs_shared: usize,
    /// Idempotency keys; the oldest is forgotten. Default 4,096.
    pub keys_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { producers_max: 1024, runs_max: 1024, runs_shared: 16_384, keys_max: 4096 }
    }
}

/// The first time a publish was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// The offset that it was given, or 0 if that is no longer known.
    pub offset: u64,
}

/// The memory of one topic. Empty, it holds no allocation.
///
/// Remembers for the window at least, within its limits; what is exceeded there is forgotten oldest
/// first.
#[derive(Debug)]
pub struct Dedupe {
    window: Duration,
    limits: Limits,
    producers: BTreeMap<u64, Producer>,
    /// Each producer once, with a time at which it was active, roughly from the longest silent on.
    silent: VecDeque<(Instant, u64)>,
    /// The offset of each key's message, and when it was recorded.
    keys: BTreeMap<Arc<str>, (u64, Instant)>,
    /// Each key once, oldest first.
    key_order: VecDeque<Arc<str>>,
}

impl Dedupe {
    /// How long a publish is remembered by default: 5 minutes.
    pub const WINDOW: Duration = Duration::from_secs(300);

    /// Remembers nothing yet.
    #[must_use]
    pub fn new(window: Duration, limits: Limits) -> Self {
        Dedupe {
            window,
            limits,
            producers: BTreeMap::new(),
            silent: VecDeque::new(),
            keys: BTreeMap::new(),
            key_order: VecDeque::new(),
        }
    }

    /// Whether nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.keys.is_empty()
    }

    /// The first time that this sequence was seen, if it is remembered.
    #[must_use]
    pub fn check(&self, now: Instant, producer: u64, sequence: u64) -> Option<First> {
        let run = self.producers.get(&producer)?.find(sequence)?;
        (!self.is_old(now, run.at)).then(|| First { offset: run.offset_of(sequence) })
    }

    /// Remembers a sequence and the offset that it was given; one that is known keeps its first.
    pub fn record(&mut self, now: Instant, producer: u64, sequence: u64, offset: u64) {
        self.add(now, producer, Run { first: sequence, last: sequence, offset, at: now });
    }

    /// Remembers what a journal has told of earlier runs of the broker, `age` old by now. Calls come
    /// oldest first.
    pub fn restore(&mut self, now: Instant, age: Duration, sent: &Sent) {
        let Sent { producer, sequence, offset, count } = *sent;
        let at = now.checked_sub(age).unwrap_or(now);
        let last = count.checked_sub(1).and_then(|more| sequence.checked_add(more));
        let Some(last) = last.filter(|_| offset.checked_add(count).is_some()) else { return };
        if !self.is_old(now, at) {
            self.add(at, producer, Run { first: sequence, last, offset, at });
        }
    }

    /// Remembers an idempotency key that a journal has told of, `age` old by now. Calls come oldest
    /// first.
    pub fn restore_key(&mut self, now: Instant, age: Duration, key: Arc<str>, offset: u64) {
        let at = now.checked_sub(age).unwrap_or(now);
        if !self.is_old(now, at) {
            self.record_key(at, key, offset);
        }
    }

    fn add(&mut self, now: Instant, producer: u64, run: Run) {
        self.expire(now);
        if !self.producers.contains_key(&producer) {
            self.make_room();
            self.silent.push_back((now, producer));
        }
        let share = self.share();
        let entry = self.producers.entry(producer).or_insert_with(|| Producer::new(now));
        entry.drop_old(now, self.window);
        entry.record(run);
        entry.trim(share);
    }

    /// Forgets these sequences, since their messages could not be stored: sent again, they are new.
    pub fn forget(&mut self, sent: &Sent) {
        let share = self.share();
        if let Some(entry) = self.producers.get_mut(&sent.producer) {
            let last = sent.sequence.saturating_add(sent.count.saturating_sub(1));
            entry.forget(sent.sequence, last);
            entry.trim(share);
        }
    }

    /// The first time that this idempotency key was seen, if it is remembered.
    #[must_use]
    pub fn check_key(&self, now: Instant, key: &str) -> Option<First> {
        let (offset, at) = *self.keys.get(key)?;
        (!self.is_old(now, at)).then_some(First { offset })
    }

    /// Remembers an idempotency key and the offset of its message; one that is known keeps its
    /// first.
    pub fn record_key(&mut self, now: Instant, key: impl Into<Arc<str>>, offset: u64) {
        self.expire(now);
        let key = key.into();
        if self.limits.keys_max == 0 || self.keys.contains_key(&key) {
            return;
        }
        while self.keys.len() >= self.limits.keys_max {
            self.drop_oldest_key();
        }
        self.keys.insert(key.clone(), (offset, now));
        self.key_order.push_back(key);
    }

    /// Forgets an idempotency key, since its message could not be stored.
    pub fn forget_key(&mut self, key: &str) {
        if self.keys.remove(key).is_some()
            && let Some(at) = self.key_order.iter().rposition(|known| **known == *key)
        {
            self.key_order.remove(at);
        }
    }

    /// Frees what has left the window. Recording does so too; this is for a topic that is silent.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.silent.front()
            && self.is_old(now, at)
        {
            self.silent.pop_front();
            match self.producers.get(&id) {
                Some(entry) if !self.is_old(now, entry.active) => {
                    self.silent.push_back((entry.active, id));
                }
                _ => {
                    self.producers.remove(&id);
                }
            }
        }
        let recorded = |key| self.keys.get(key).is_none_or(|(_, at)| self.is_old(now, *at));
        let old = self.key_order.iter().take_while(|key| recorded(&***key)).count();
        (0..old).for_each(|_| self.drop_oldest_key());
    }

    fn is_old(&self, now: Instant, at: Instant) -> bool {
        now.saturating_duration_since(at) > self.window
    }

    /// Runs that each producer may have.
    fn share(&self) -> usize {
        let part = self.limits.runs_shared / self.producers.len().max(1);
        part.max(16).min(self.limits.runs_max).max(1)
    }

    /// Forgets producers until there is room for one more.
    fn make_room(&mut self) {
        while self.producers.len() >= self.limits.producers_max.max(1)
            && let Some((at, id)) = self.silent.pop_front()
        {
            match self.producers.get(&id) {
                Some(entry) if entry.active > at => self.silent.push_back((entry.active, id)),
                _ => {
                    self.producers.remove(&id);
                }
            }
        }
    }

    fn drop_oldest_key(&mut self) {
        if let Some(key) = self.key_order.pop_front() {
            self.keys.remove(&key);
        }
    }
}

/// What is remembered of one producer.
#[derive(Debug)]
struct Producer {
    /// By rising sequence, apart from each other or with offsets that do not join.
    runs: VecDeque<Run>,
    /// When something was last recorded.
    active: Instant,
}

/// Consecutive sequences.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: u64,
    last: u64,
    /// Offset of the first, from which the others count up; 0 if no longer known.
    offset: u64,
    /// When the last of them was recorded.
    at: Instant,
}

impl Run {
    fn offset_of(&self, sequence: u64) -> u64 {
        if self.offset == 0 { 0 } else { self.offset + (sequence - self.first) }
    }

    /// Whether `next` follows in sequence.
    fn meets(&self, next: &Run) -> bool {
        self.last.checked_add(1) == Some(next.first)
    }

    /// Whether `next` follows in sequence and in offset.
    fn joins(&self, next: &Run) -> bool {
        self.meets(next) && self.offset != 0 && self.offset_of(next.first) == next.offset
    }
}

impl Producer {
    fn new(now: Instant) -> Self {
        Producer { runs: VecDeque::new(), active: now }
    }

    /// The index of the first run that ends at or after `sequence`.
    fn seek(&self, sequence: u64) -> usize {
        match self.runs.back() {
            Some(last) if last.last < sequence => self.runs.len(),
            _ => self.runs.partition_point(|run| run.last < sequence),
        }
    }

    fn find(&self, sequence: u64) -> Option<&Run> {
        self.runs.get(self.seek(sequence)).filter(|run| run.first <= sequence)
    }

    /// Drops the oldest runs that have left the window.
    fn drop_old(&mut self, now: Instant, window: Duration) {
        let old = |run: &Run| now.saturating_duration_since(run.at) > window;
        while self.runs.front().is_some_and(old) {
            self.runs.pop_front();
        }
    }

    /// Adds a run.
    fn record(&mut self, new: Run) {
        self.active = self.active.max(new.at);
        // Whoever records asked before and was told that it is new, so a run that holds one of the
        // sequences is out of the window.
        self.forget(new.first, new.last);
        let index = self.seek(new.first);
        match index.checked_sub(1).and_then(|before| self.runs.get_mut(before)) {
            Some(before) if before.joins(&new) => (before.last, before.at) = (new.last, new.at),
            _ => self.runs.insert(index, new),
        }
    }

    /// Forgets the sequences `first..=last`.
    fn forget(&mut self, first: u64, last: u64) {
        loop {
            let index = self.seek(first);
            let Some(run) = self.runs.get(index).copied().filter(|run| run.first <= last) else {
                return;
            };
            self.runs.remove(index);
            if last < run.last {
                let first = last + 1;
                self.runs.insert(index, Run { first, offset: run.offset_of(first), ..run });
            }
            if run.first < first {
                self.runs.insert(index, Run { last: first - 1, ..run });
            }
        }
    }

    /// Gives up the oldest until at most `max` runs are left: first their offsets, by joining runs
    /// that meet, else the sequences.
    fn trim(&mut self, max: usize) {
        while self.runs.len() > max
            && let (Some(first), Some(second)) = (self.runs.pop_front(), self.runs.pop_front())
        {
            let offset = if first.joins(&second) { first.offset } else { 0 };
            let at = first.at.max(second.at);
            self.runs.push_front(match first.meets(&second) {
                true => Run { first: first.first, offset, at, ..second },
                // Offsets rise with time: the lower run filled a hole late if its offset is higher.
                false if first.offset > second.offset => first,
                false => second,
            });
        }
    }
}

#[cfg(test)]
mod tests;
