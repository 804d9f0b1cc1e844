//! One topic's stored runs: appending, moving the floor, reading pages.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use super::seen::Window;
use super::values::Values;
use super::{Error, Hole, Run, Start};
use crate::class::Retention;

/// Bytes that a stored run costs beside its frames: its allocation, its entry, and one allocation
/// per chunk.
const RUN_BYTES: usize = 192;
const CHUNK_BYTES: usize = 96;
const SENT_BYTES: usize = 40;
const KEY_BYTES: usize = 64;

/// Lost ranges remembered per topic; beyond that the floor moves above the oldest.
const HOLES_MAX: usize = 64;

/// Bytes of memory that a run is counted with.
pub(super) fn cost(run: &Run) -> usize {
    let chunks = run.chunks.len().saturating_mul(CHUNK_BYTES);
    let sent = run.sent.len().saturating_mul(SENT_BYTES);
    let keys = run.keys.iter().map(|(_, key)| key.len() + KEY_BYTES).sum();
    [RUN_BYTES, chunks, sent, keys].into_iter().fold(run.bytes, usize::saturating_add)
}

/// What is stored of one topic.
#[derive(Debug)]
pub(super) struct Log {
    /// The topic's id in this broker process, once it was named.
    pub(super) topic_id: Option<u64>,
    /// Epoch of the history, once it is set.
    pub(super) epoch: Option<u64>,
    /// No completion of this topic's appends is due before this.
    pub(super) due: Option<Instant>,
    /// When to look at the age of the oldest run.
    pub(super) looks: Option<Instant>,
    /// Place of the oldest run that may be dropped, as the store has it listed.
    pub(super) listed: Option<u64>,
    /// How the publishers called what was stored lately.
    pub(super) window: Window,
    /// What is kept of a topic of kept values; it has no runs then.
    pub(super) values: Values,
    given: u64,
    floor: u64,
    next: u64,
    runs: VecDeque<Kept>,
    /// Runs at the front that lie below the floor and are pinned.
    below: usize,
    /// Bytes of frames at or above the floor.
    bytes: u64,
    holes: VecDeque<Hole>,
    damaged: VecDeque<Hole>,
    pins: BTreeMap<Arc<str>, u64>,
    retention: Retention,
}

#[derive(Debug)]
struct Kept {
    run: Arc<Run>,
    at: Instant,
    /// Place in the order of all runs of the journal.
    place: u64,
    /// Messages of the topic that were stored before this run.
    before: u64,
    /// Latest time of this run and all before it, so that a search by time can halve.
    latest_ms: u64,
}

impl Kept {
    /// Messages stored up to and with this run.
    fn through(&self) -> u64 {
        self.before + self.run.count()
    }
}

impl Log {
    pub(super) fn new(retention: Retention) -> Self {
        Log {
            topic_id: None,
            epoch: None,
            given: 0,
            due: None,
            looks: None,
            listed: None,
            window: Window::default(),
            values: Values::default(),
            floor: 1,
            next: 1,
            runs: VecDeque::new(),
            below: 0,
            bytes: 0,
            holes: VecDeque::new(),
            damaged: VecDeque::new(),
            pins: BTreeMap::new(),
            retention,
        }
    }

    /// First offset that may still be stored.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// One above the highest offset that is stored or lost.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Highest offset that any append carried, stored or not.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Marks the run's offsets as given out, whatever becomes of it.
    pub(super) fn give(&mut self, epoch: u64, run: &Run) -> Result<(), Error> {
        if *self.epoch.get_or_insert(epoch) != epoch {
            return Err(Error::WrongEpoch);
        }
        if run.from <= self.given || run.to < run.from {
            return Err(Error::OffsetReused);
        }
        self.given = run.to;
        Ok(())
    }

    /// What crashes took above the floor.
    pub(super) fn holes(&self) -> Vec<Hole> {
        self.holes.iter().copied().collect()
    }

    /// Place of the oldest run in the order of all runs, unless a pin holds it.
    pub(super) fn droppable(&self) -> Option<u64> {
        let oldest = self.runs.front().filter(|kept| !is_held(&self.pins, &kept.run))?;
        Some(oldest.place)
    }

    /// When the oldest run above the floor is too old; `None` if there is none or it never will be.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.runs.get(self.below)?.at.checked_add(self.retention.age)
    }

    pub(super) fn push(&mut self, run: Arc<Run>, at: Instant, place: u64) {
        let before = self.runs.back().map_or(0, Kept::through);
        let latest_ms = self.runs.back().map_or(0, |kept| kept.latest_ms).max(run.last_ms);
        self.reach(&run);
        self.bytes += run.bytes as u64;
        self.runs.push_back(Kept { run, at, place, before, latest_ms });
    }

    /// Notes that everything up to the end of this run is stored or lost.
    pub(super) fn reach(&mut self, run: &Run) {
        self.given = self.given.max(run.to);
        self.next = run.to + 1;
    }

    /// Moves the floor above the oldest run that is not below it, and drops that run unless a pin
    /// holds it; the memory that this frees, or `None` if there is no such run.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let run = self.runs.get(self.below)?.run.clone();
        self.bytes -= run.bytes as u64;
        self.below += 1;
        self.raise(run.to + 1);
        Some(self.release())
    }

    /// Holds what is at or above an offset for a name, or for the name no more; the memory that this
    /// frees.
    pub(super) fn pin(&mut self, name: Arc<str>, offset: Option<u64>) -> usize {
        match offset {
            Some(offset) => self.pins.insert(name, offset),
            None => self.pins.remove(&name),
        };
        self.release()
    }

    /// Drops what is below the floor and not held; the memory that this frees.
    fn release(&mut self) -> usize {
        let mut freed = 0;
        while self.below > 0
            && self.runs.front().is_some_and(|kept| !is_held(&self.pins, &kept.run))
            && let Some(kept) = self.runs.pop_front()
        {
            self.below -= 1;
            freed += cost(&kept.run);
        }
        let from = self.first_kept();
        while self.damaged.front().is_some_and(|hole| hole.to < from) {
            self.damaged.pop_front();
        }
        freed
    }

    /// The floor, or where the pinned runs below it start.
    fn first_kept(&self) -> u64 {
        let pinned = self.runs.front().filter(|_| self.below > 0);
        pinned.map_or(self.floor, |kept| kept.run.from)
    }

    /// Loses the runs with any of these offsets; the memory that this frees.
    pub(super) fn damage(&mut self, hole: Hole) -> usize {
        let (values, mut freed) = self.values.damage(hole.from, hole.to);
        let values = values.into_iter().map(|offset| Hole { from: offset, to: offset });
        self.damaged.extend(values);
        let mut below = 0;
        for (index, kept) in std::mem::take(&mut self.runs).into_iter().enumerate() {
            let Kept { run, .. } = &kept;
            if run.to < hole.from || hole.to < run.from {
                below += usize::from(index < self.below);
                self.runs.push_back(kept);
                continue;
            }
            freed += cost(run);
            self.bytes -= if index < self.below { 0 } else { run.bytes as u64 };
            self.damaged.push_back(Hole { from: run.from, to: run.to });
        }
        self.below = below;
        self.damaged.make_contiguous().sort_by_key(|hole| hole.from);
        freed
    }

    /// What damage took between these offsets, both included.
    pub(super) fn damaged(&self, from: u64, to: u64) -> Vec<Hole> {
        let within = |hole: &&Hole| hole.from <= to && from <= hole.to;
        self.damaged.iter().filter(within).copied().collect()
    }

    /// Whether the oldest run has to go by size or count. The newest run always stays, and a count
    /// is kept in full: it is exceeded by part of a run at most.
    pub(super) fn is_over(&self) -> bool {
        let (Some(oldest), Some(newest)) = (self.runs.get(self.below), self.runs.back()) else {
            return false;
        };
        let kept_without = newest.through() - oldest.through();
        let count_reached = self.retention.count.is_some_and(|count| kept_without >= count);
        kept_without > 0 && (self.bytes > self.retention.bytes || count_reached)
    }

    /// Gives up everything given out and not stored; the range, if there is any.
    pub(super) fn lose_tail(&mut self) -> Option<Hole> {
        let hole = Hole { from: self.next, to: self.given };
        if hole.from > hole.to {
            return None;
        }
        self.next = hole.to + 1;
        self.holes.push_back(hole);
        Some(hole)
    }

    /// Where the floor has to move so that the lost ranges stay bounded.
    pub(super) fn crowded(&self) -> Option<u64> {
        (self.holes.len() > HOLES_MAX).then(|| self.holes.front().map(|hole| hole.to + 1))?
    }

    /// Last offset of the oldest run above the floor.
    pub(super) fn oldest_to(&self) -> Option<u64> {
        self.runs.get(self.below).map(|kept| kept.run.to)
    }

    /// Moves the floor up; the caller has dropped the runs below.
    pub(super) fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while self.holes.front().is_some_and(|hole| hole.to < self.floor) {
            self.holes.pop_front();
        }
    }

    /// Forgets everything and starts another epoch above every offset given; the memory that this
    /// frees.
    pub(super) fn restart(&mut self, epoch: u64) -> usize {
        let runs: usize = self.runs.iter().map(|kept| cost(&kept.run)).sum();
        let freed = runs + self.values.clear();
        self.runs.clear();
        self.damaged.clear();
        self.pins.clear();
        self.window = Window::default();
        (self.below, self.bytes, self.epoch) = (0, 0, Some(epoch));
        self.next = self.given + 1;
        self.raise(self.next);
        freed
    }

    /// The offset at which a page starts, and its messages.
    pub(super) fn page(
        &self,
        start: Start,
        max_bytes: usize,
        max_count: u32,
    ) -> (u64, Vec<Arc<Run>>) {
        let from = self.resolve(start);
        if !self.values.is_empty() {
            return (from, self.values.page(from, max_bytes, max_count));
        }
        let first = self.runs.partition_point(|kept| kept.run.to < from);
        let (mut runs, mut bytes, mut count) = (Vec::new(), max_bytes, u64::from(max_count));
        for kept in self.runs.range(first..) {
            let wanted = u32::try_from(count).unwrap_or(u32::MAX);
            let Some(part) = kept.run.part(from, wanted, bytes) else { break };
            if part.bytes > bytes && !runs.is_empty() {
                break;
            }
            let cut = part.to < kept.run.to;
            bytes = bytes.saturating_sub(part.bytes);
            count = count.saturating_sub(part.count());
            runs.push(part);
            if cut {
                break;
            }
        }
        (from, runs)
    }

    fn resolve(&self, start: Start) -> u64 {
        let kept_values = !self.values.is_empty();
        match start {
            Start::Offset(offset) => offset.max(self.first_kept()),
            Start::Last(count) if kept_values => self.values.last(count).unwrap_or(self.next),
            Start::Since(ms) if kept_values => self.values.since(ms).unwrap_or(self.next),
            Start::Last(count) => {
                let end = self.runs.back().map_or(0, Kept::through);
                let least = self.runs.get(self.below).map_or(end, |kept| kept.before);
                let first = end.saturating_sub(count.into()).max(least);
                let index = self.runs.partition_point(|kept| kept.through() <= first);
                let kept = self.runs.get(index);
                kept.map_or(self.next, |kept| kept.run.from + first.saturating_sub(kept.before))
            }
            Start::Since(ms) => {
                // The first run whose latest time is late enough holds the message, unless clocks
                // went back and the late message has left: then it is further on.
                let index = self.runs.partition_point(|kept| kept.latest_ms < ms).max(self.below);
                let late = self.runs.range(index..).filter(|kept| kept.run.last_ms >= ms);
                late.filter_map(|kept| kept.run.first_since(ms)).next().unwrap_or(self.next)
            }
        }
    }
}

/// Whether a pin holds this run.
fn is_held(pins: &BTreeMap<Arc<str>, u64>, run: &Run) -> bool {
    pins.values().any(|offset| *offset <= run.to)
}

#[cfg(test)]
mod tests;
