//! All topics of a memory journal: names, the shared capacity, and ages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::Topic;

use super::log::{Log, cost};
use super::state::{Put, State};
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
    pub(super) damaged: Vec<Hole>,
}

/// Every topic's log, and what is needed to find the oldest run of all.
#[derive(Debug)]
pub(super) struct Store {
    classes: Arc<Table>,
    topics_max: usize,
    window: Duration,
    pub(super) logs: Vec<Log>,
    pub(super) state: State,
    names: BTreeMap<Topic, usize>,
    ids: BTreeMap<u64, usize>,
    /// Memory that the stored runs are counted with.
    bytes: usize,
    /// Runs stored so far.
    places: u64,
    /// The oldest run of each topic that has one which may be dropped, by place.
    oldest: BTreeMap<u64, usize>,
    looks: BTreeSet<(Instant, usize)>,
    /// Topics whose floor has moved and was not told.
    moved: BTreeSet<usize>,
}

impl Store {
    /// An empty store that remembers publishes for `window`.
    pub(super) fn new(classes: Arc<Table>, topics_max: usize, window: Duration) -> Self {
        Store {
            classes,
            topics_max,
            window,
            logs: Vec::new(),
            state: State::default(),
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
        self.bytes + self.state.bytes()
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
        let end = runs.last().map_or(next - 1, |run| run.to);
        let damaged = log.map_or_else(Vec::new, |log| log.damaged(from, end));
        let runs = runs.iter().map(|run| run.named(topic_id)).collect();
        Page { floor, next, from, runs, damaged }
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

    /// Stores a run, and drops what the topic's retention no longer keeps. With keys it is one of
    /// kept values.
    pub(super) fn push(&mut self, index: usize, run: Arc<Run>, keys: &[Arc<str>], now: Instant) {
        let log = &mut self.logs[index];
        log.window.record(&run, now, self.window);
        if !keys.is_empty() {
            log.reach(&run);
            let (taken, freed) = log.values.put(&run, keys);
            self.bytes = self.bytes + taken - freed;
            return;
        }
        self.bytes += cost(&run);
        self.places += 1;
        let was_empty = log.oldest_to().is_none();
        log.push(run, now, self.places);
        if was_empty {
            self.look_at(index, None);
        }
        self.list(index);
        while self.logs[index].is_over() {
            self.pop(index);
        }
    }

    /// Stores values under keys.
    pub(super) fn put(&mut self, values: Vec<Put>) {
        self.state.put(values);
    }

    /// Holds what is at or above an offset for a name, or for the name no more.
    pub(super) fn pin(&mut self, topic_id: u64, name: Arc<str>, offset: Option<u64>) {
        let Some(&index) = self.ids.get(&topic_id) else { return };
        self.bytes -= self.logs[index].pin(name, offset);
        self.list(index);
    }

    /// Loses the runs of a topic with any of these offsets.
    pub(super) fn damage(&mut self, topic: &Topic, hole: Hole) {
        let Some(&index) = self.names.get(topic) else { return };
        self.bytes -= self.logs[index].damage(hole);
        self.list(index);
    }

    /// Drops the oldest runs of all topics until there is room for `bytes` below `capacity`; whether
    /// there is now.
    pub(super) fn make_room(&mut self, bytes: usize, capacity: usize) -> bool {
        while self.bytes().saturating_add(bytes) > capacity {
            let Some((_, index)) = self.oldest.first_key_value() else { return false };
            self.pop(*index);
        }
        true
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
        self.bytes -= self.logs[index].restart(epoch);
        self.look_at(index, None);
        self.list(index);
        (hole.from <= hole.to).then_some(hole)
    }

    /// Moves the floor of a topic above its oldest run.
    fn pop(&mut self, index: usize) {
        let log = &mut self.logs[index];
        let Some(freed) = log.pop() else { return };
        self.bytes -= freed;
        self.moved.insert(index);
        if log.oldest_to().is_none() {
            self.look_at(index, None);
        }
        self.list(index);
    }

    /// Lists the oldest run of a topic that may be dropped.
    fn list(&mut self, index: usize) {
        let log = &mut self.logs[index];
        let droppable = log.droppable();
        if droppable != log.listed {
            log.listed.map(|place| self.oldest.remove(&place));
            log.listed = droppable;
            self.oldest.extend(droppable.map(|place| (place, index)));
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
