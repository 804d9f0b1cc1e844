//! What is known of the log in memory: what is synced, and where it is.
//!
//! Changes come from three places and are applied in one: from blocks as they are synced, from
//! blocks as they are found at opening, and from index files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::class::Table;
use sampan_core::journal::{Hole, Run};
use sampan_protocol::Topic;
use sampan_protocol::limits::NUMBER_MAX;

use crate::api::{Damage, Stats};
use crate::extent::{Extent, Region};
use crate::key::{self, Sort};
use crate::mark::Changed;
use crate::segment::SEGMENT_BYTES_MAX;
use crate::topic::Standings;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) segment: u64,
    pub(crate) at: u64,
    /// With its head.
    pub(crate) bytes: u64,
}

/// The newest value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) place: Place,
    /// Whether the key was removed. It is remembered for as long as an older value may be found.
    pub(crate) absent: bool,
    /// Of a [`Sort::Newest`], the offset of the message. Of any other, the first segment that may
    /// have an older value of the key.
    pub(crate) mark: u64,
    /// The value, unless it is read when it is needed.
    pub(crate) body: Option<Bytes>,
}

impl Value {
    /// Whether a segment may have it: what a checksum says to be right need not make sense.
    pub(crate) fn is_possible(&self) -> bool {
        let Place { at, bytes, .. } = self.place;
        let end = at.checked_add(bytes).is_some_and(|end| end <= SEGMENT_BYTES_MAX);
        end && self.mark <= NUMBER_MAX
    }
}

/// One thing that a block did.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Messages of a topic, in one record.
    Run { topic: u32, segment: u64, source: Option<u16>, region: Region },
    /// A value.
    Value { key: Bytes, value: Value },
}

impl Change {
    /// Where its record starts.
    pub(crate) fn at(&self) -> u64 {
        match self {
            Change::Run { region, .. } => region.at,
            Change::Value { value, .. } => value.place.at,
        }
    }

    /// Whether it makes sense.
    pub(crate) fn is_possible(&self) -> bool {
        match self {
            Change::Run { region, .. } => region.is_possible(),
            Change::Value { value, .. } => value.is_possible(),
        }
    }
}

/// A segment that holds something.
#[derive(Debug)]
pub(crate) struct Segment<F> {
    /// Opened when it is read.
    pub(crate) file: Option<Arc<F>>,
    /// Where its last block ends.
    pub(crate) end: u64,
    /// Bytes of records of live values.
    pub(crate) live_bytes: u64,
    /// Whether something in it is damaged, so that it is never deleted.
    pub(crate) damaged: bool,
    /// First and last commit in it.
    pub(crate) commits: (u64, u64),
    /// The last value of each key in it, until it has an index.
    pub(crate) unfiled: BTreeMap<Bytes, Value>,
    /// Topics with messages in it, until it has an index.
    pub(crate) topics: BTreeSet<u32>,
    /// Latest time of a block in it.
    pub(crate) time_ms: u64,
    /// Records in it.
    pub(crate) records: u64,
    /// Whether it has an index.
    pub(crate) filed: bool,
}

impl<F> Segment<F> {
    /// A segment of which nothing was applied yet.
    pub(crate) fn new(end: u64) -> Self {
        Segment {
            file: None,
            end,
            live_bytes: 0,
            damaged: false,
            commits: (0, 0),
            unfiled: BTreeMap::new(),
            topics: BTreeSet::new(),
            time_ms: 0,
            records: 0,
            filed: false,
        }
    }
}

/// Everything that is synced.
#[derive(Debug)]
pub(crate) struct State<F> {
    pub(crate) topics: Standings,
    pub(crate) values: BTreeMap<Bytes, Value>,
    pub(crate) segments: BTreeMap<u64, Segment<F>>,
    /// Keys of values that are absent.
    removed: BTreeSet<Bytes>,
    /// Segments that were deleted.
    pub(crate) gone: Vec<Hole>,
    /// Epoch of new topics.
    pub(crate) epoch: u64,
    pub(crate) damaged: Vec<Damage>,
    pub(crate) stats: Stats,
    /// Keys for whoever keeps a checkpoint.
    pub(crate) changed: Changed,
    /// The runs that were written last, by topic, oldest first.
    recent: VecDeque<(u32, usize)>,
    recent_bytes: usize,
    tail_bytes: usize,
}

/// Damaged places that are remembered one by one.
const DAMAGE_MAX: usize = 1024;

/// Bytes of memory that a run is counted with, beside its frames.
const RUN_BYTES: usize = 256;
const CHUNK_BYTES: usize = 96;

impl<F> State<F> {
    pub(crate) fn new(classes: Arc<Table>, tail_bytes: usize) -> Self {
        State {
            topics: Standings::new(classes),
            values: BTreeMap::new(),
            segments: BTreeMap::new(),
            removed: BTreeSet::new(),
            gone: Vec::new(),
            epoch: 1,
            damaged: Vec::new(),
            stats: Stats::default(),
            changed: Changed::default(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            tail_bytes,
        }
    }

    /// Applies what a block did.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Run { topic, segment, source, region } => {
                self.topics.entry(topic).store(segment, source, region);
                if let Some(segment) = self.segments.get_mut(&segment) {
                    segment.topics.insert(topic);
                }
            }
            Change::Value { key, value } => {
                if let Some(segment) = self.segments.get_mut(&value.place.segment) {
                    segment.unfiled.insert(key.clone(), value.clone());
                }
                self.put(key, value);
            }
        }
    }

    /// Ends the extents of a segment, since something broken follows.
    pub(crate) fn part(&mut self, number: u64) {
        let Some(segment) = self.segments.get(&number) else { return };
        for topic in &segment.topics {
            let extents = self.topics.entry(*topic).extents.values_mut();
            extents.filter(|extent| extent.segment == number).for_each(Extent::part);
        }
    }

    /// Makes a value the newest of its key.
    pub(crate) fn put(&mut self, key: Bytes, mut value: Value) {
        let located = matches!(key::parse(&key), Some((Sort::Newest, ..)));
        let before = self.values.get(&key);
        if let (Some(before), false) = (before, located) {
            value.mark = value.mark.min(before.mark);
        }
        let (before_at, before_mark) = (before.map(|old| old.place), before.map(|old| old.mark));
        if let Some(old) = before_at
            && let Some(segment) = self.segments.get_mut(&old.segment)
        {
            segment.live_bytes = segment.live_bytes.saturating_sub(old.bytes);
        }
        if let Some(segment) = self.segments.get_mut(&value.place.segment) {
            segment.live_bytes += value.place.bytes;
        }
        self.read_own(&key, &value, before_mark);
        self.changed.note(&key);
        match value.absent {
            true => self.removed.insert(key.clone()),
            false => self.removed.remove(&key),
        };
        self.values.insert(key, value);
    }

    /// Forgets a key that was removed, once no segment has an older value of it.
    pub(crate) fn forget_removed(&mut self) {
        let State { values, removed, segments, changed, .. } = self;
        removed.retain(|key| {
            let Some(value) = values.get(key) else { return false };
            let place = value.place;
            let first = segments.range(value.mark..).next();
            let needed = first.is_some_and(|(number, _)| *number < place.segment);
            if !needed {
                changed.note(key);
                values.remove(key);
                if let Some(segment) = segments.get_mut(&place.segment) {
                    segment.live_bytes = segment.live_bytes.saturating_sub(place.bytes);
                }
            }
            needed
        });
    }

    /// Counts the live values of each segment, now that all segments are known.
    pub(crate) fn count_live(&mut self) {
        self.segments.values_mut().for_each(|segment| segment.live_bytes = 0);
        for value in self.values.values() {
            if let Some(segment) = self.segments.get_mut(&value.place.segment) {
                segment.live_bytes += value.place.bytes;
            }
        }
    }

    /// What a value says to the log itself.
    fn read_own(&mut self, key: &Bytes, value: &Value, before_mark: Option<u64>) {
        let Some((sort, topic, name)) = key::parse(key) else { return };
        let body = value.body.as_deref().filter(|_| !value.absent);
        let number = body.and_then(key::to_number);
        match sort {
            Sort::Closed | Sort::Owner => {}
            Sort::Epoch => self.epoch = number.unwrap_or(1).max(self.epoch),
            Sort::Gone => self.gone = body.and_then(key::to_ranges).unwrap_or_default(),
            Sort::Topic => {
                let declared = body.and_then(|body| body.split_first_chunk::<8>());
                let name = declared.and_then(|(_, name)| str::from_utf8(name).ok());
                let epoch = declared.and_then(|(epoch, _)| key::to_number(epoch));
                if let (Some(epoch), Some(Ok(name))) = (epoch, name.map(Topic::parse)) {
                    self.topics.declare(topic, &name, epoch);
                }
            }
            Sort::Floor => self.topics.entry(topic).raise(number.unwrap_or(1)),
            Sort::Reserved => self.topics.entry(topic).reserved = number.unwrap_or(0),
            Sort::Lost => {
                let lost = body.and_then(key::to_ranges).unwrap_or_default();
                self.topics.entry(topic).lost = lost;
            }
            Sort::Pin => {
                let pins = &mut self.topics.entry(topic).pins;
                match number {
                    Some(offset) => pins.insert(Bytes::copy_from_slice(name), offset),
                    None => pins.remove(name),
                };
            }
            Sort::Newest => {
                let topic = self.topics.entry(topic);
                if let Some(before) = before_mark {
                    topic.newest.remove(&before);
                }
                topic.newest.insert(value.mark, key.clone());
                topic.stored = topic.stored.max(value.mark);
            }
        }
    }

    /// The first value with this prefix above that key.
    pub(crate) fn value_after(
        &self,
        prefix: &Bytes,
        after: Option<&[u8]>,
    ) -> Option<(Bytes, Value)> {
        let above = after.filter(|after| *after >= &prefix[..]);
        let start = above.map_or(Bound::Included(&prefix[..]), Bound::Excluded);
        let mut values = self.values.range::<[u8], _>((start, Bound::Unbounded));
        let found = values.find(|(key, value)| !value.absent || !key.starts_with(prefix));
        let (key, value) = found.filter(|(key, _)| key.starts_with(prefix))?;
        Some((key.clone(), value.clone()))
    }

    /// Keeps a run in memory for readers that follow closely.
    pub(crate) fn remember(&mut self, topic: u32, run: Arc<Run>) {
        let cost = run.bytes + RUN_BYTES + run.chunks.len() * CHUNK_BYTES;
        self.recent.push_back((topic, cost));
        self.recent_bytes += cost;
        self.topics.entry(topic).recent.push_back(run);
        while self.recent_bytes > self.tail_bytes
            && let Some((topic, cost)) = self.recent.pop_front()
        {
            self.recent_bytes -= cost;
            self.topics.entry(topic).recent.pop_front();
        }
    }

    /// Marks a place as damaged; the segment stays as it is from then on.
    pub(crate) fn damage(&mut self, damage: Damage) {
        if let Some(segment) = self.segments.get_mut(&damage.segment) {
            segment.damaged = true;
        }
        if !self.damaged.contains(&damage) {
            self.stats.damaged += 1;
            if self.damaged.len() < DAMAGE_MAX {
                self.damaged.push(damage);
            }
        }
    }
}
