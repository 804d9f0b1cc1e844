//! All topics of a memory journal: names, the shared capacity, and ages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::Topic;

use super::log::{Log, cost};
use super::{Hole, Run, Start};
use crate::class::{Retention, Table};

/// A topic's ages are looked at once in this time, so that a steady stream of expiring runs does
/// not wake the owner for each.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a read found; see [`Completion::Page`](super::Completion::Page).
pub(super) struct Page {
    pub(super) floor: u64,
    pub(super) next: u64,
    pub(super) from: u64,
    pub(super) runs: Vec<Arc<Run>>,
}

/// Every topic's log, and what is needed to find the oldest run of all.
#[derive(Debug)]
pub(super) struct Store {
    classes: Arc<Table>,
    topics_max: usize,
    pub(super) logs: Vec<Log>,
    names: BTreeMap<Topic, usize>,
    ids: BTreeMap<u64, usize>,
    /// Memory that the stored runs are counted with.
    bytes: usize,
    /// Runs stored so far.
    places: u64,
    /// The oldest run of each topic that has one, by place.
    oldest: BTreeMap<u64, usize>,
    looks: BTreeSet<(Instant, usize)>,
    /// Topics whose floor has moved and was not told.
    moved: BTreeSet<usize>,
}

impl Store {
    pub(super) fn new(classes: Arc<Table>, topics_max: usize) -> Self {
        Store {
            classes,
            topics_max,
            logs: Vec::new(),
            names: BTreeMap::new(),
            ids: BTreeMap::new(),
            bytes: 0,
            places: 0,
            oldest: BTreeMap::new(),
            looks: BTreeSet::new(),
            moved: BTreeSet::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn log_mut(&mut self, topic_id: u64) -> Option<&mut Log> {
        self.ids.get(&topic_id).and_then(|index| self.logs.get_mut(*index))
    }

    /// A page of a topic; one that nothing is known of is empty.
    pub(super) fn page(
        &self,
        topic_id: u64,
        start: Start,
        max_bytes: usize,
        max_count: u32,
    ) -> Page {
        let none = || Log::new(Retention::DEFAULT).page(start, max_bytes, max_count);
        let log = self.ids.get(&topic_id).and_then(|index| self.logs.get(*index));
        let (from, runs) = log.map_or_else(none, |log| log.page(start, max_bytes, max_count));
        let (floor, next) = log.map_or((1, 1), |log| (log.floor(), log.next()));
        let runs = runs.iter().map(|run| run.named(topic_id)).collect();
        Page { floor, next, from, runs }
    }

    /// Each topic and the index of its log, by name.
    pub(super) fn topics(&self) -> Vec<(Topic, usize)> {
        self.names.iter().map(|(topic, index)| (topic.clone(), *index)).collect()
    }

    /// The log of this topic, made if there is none; `None` if there are too many.
    pub(super) fn open(&mut self, topic_id: u64, topic: &Topic) -> Option<usize> {
        if let Some(index) = self.ids.get(&topic_id) {
            return Some(*index);
        }
        let index = match self.names.get(topic) {
            Some(index) => *index,
            None if self.logs.len() >= self.topics_max => return None,
            None => {
                self.logs.push(Log::new(self.classes.rule(topic).retention));
                self.names.insert(topic.clone(), self.logs.len() - 1);
                self.logs.len() - 1
            }
        };
        self.ids.insert(topic_id, index);
        self.logs[index].topic_id = Some(topic_id);
        Some(index)
    }

    /// Forgets the ids of the broker process that has ended.
    pub(super) fn forget_ids(&mut self) {
        self.ids.clear();
        self.moved.clear();
        self.logs.iter_mut().for_each(|log| (log.topic_id, log.due) = (None, None));
    }

    /// Stores a run, and drops what the topic's retention no longer keeps.
    pub(super) fn push(&mut self, index: usize, run: Arc<Run>, now: Instant) {
        self.bytes += cost(&run);
        self.places += 1;
        let log = &mut self.logs[index];
        log.push(run, now, self.places);
        if log.oldest_place() == Some(self.places) {
            self.oldest.insert(self.places, index);
            self.look_at(index, None);
        }
        while self.logs[index].is_over() {
            self.pop(index);
        }
    }

    /// Drops the oldest runs of all topics until there is room for `bytes` below `capacity`.
    pub(super) fn make_room(&mut self, bytes: usize, capacity: usize) {
        while self.bytes.saturating_add(bytes) > capacity
            && let Some((_, index)) = self.oldest.first_key_value()
        {
            self.pop(*index);
        }
    }

    /// Drops what is too old by now; whether any floor has moved.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        while let Some(&(at, index)) = self.looks.first()
            && at <= now
        {
            self.looks.remove(&(at, index));
            while self.logs[index].expires().is_some_and(|expires| expires <= now) {
                self.pop(index);
            }
            self.look_at(index, Some(now));
        }
        !self.moved.is_empty()
    }

    /// When something may be too old.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// A topic whose floor has moved, and where to.
    pub(super) fn moved(&mut self) -> Option<(u64, u64)> {
        loop {
            let log = self.moved.pop_first().map(|index| &self.logs[index])?;
            if let Some(topic_id) = log.topic_id {
                return Some((topic_id, log.floor()));
            }
        }
    }

    /// Gives up what was given out and not stored; the range, if there is any.
    pub(super) fn lose_tail(&mut self, index: usize) -> Option<Hole> {
        let hole = self.logs[index].lose_tail();
        if let Some(floor) = self.logs[index].crowded() {
            while self.logs[index].oldest_to().is_some_and(|to| to < floor) {
                self.pop(index);
            }
            self.logs[index].raise(floor);
        }
        hole
    }

    /// Drops a topic's history and starts another epoch; what was there, if anything.
    pub(super) fn reset(&mut self, index: usize, epoch: u64) -> Option<Hole> {
        let hole = Hole { from: self.logs[index].floor(), to: self.logs[index].given() };
        while self.logs[index].oldest_place().is_some() {
            self.pop(index);
        }
        self.logs[index].restart(epoch);
        (hole.from <= hole.to).then_some(hole)
    }

    /// Drops the oldest run of a topic.
    fn pop(&mut self, index: usize) {
        let log = &mut self.logs[index];
        let Some(place) = log.oldest_place() else { return };
        self.oldest.remove(&place);
        self.bytes -= log.pop().unwrap_or(0);
        self.moved.insert(index);
        match log.oldest_place() {
            Some(place) => {
                self.oldest.insert(place, index);
            }
            None => self.look_at(index, None),
        }
    }

    /// Plans the next look at a topic's ages, after one at `looked`.
    fn look_at(&mut self, index: usize, looked: Option<Instant>) {
        let log = &mut self.logs[index];
        let earliest = looked.map(|now| now + LOOK_EVERY);
        let planned = log.expires().map(|at| earliest.map_or(at, |earliest| at.max(earliest)));
        if let Some(old) = std::mem::replace(&mut log.looks, planned) {
            self.looks.remove(&(old, index));
        }
        self.looks.extend(planned.map(|at| (at, index)));
    }
}
