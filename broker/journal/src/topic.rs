//! What is known of each topic in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::class::{Retention, Table};
use sampan_core::journal::{Hole, Run};
use sampan_protocol::{Class, Topic};

use crate::extent::{Extent, Region};
use crate::key;

/// Lost and damaged ranges remembered per topic; beyond that the floor moves above the oldest.
const HOLES_MAX: usize = 64;

/// Regions of an extent, and its segment, first and last offset.
pub(crate) type First = ((u64, u64, u64), Arc<Vec<Region>>);

/// One topic.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Its name, once its declaration was found.
    pub(crate) name: Option<Topic>,
    pub(crate) epoch: u64,
    /// Whether it keeps the newest message per key, and no others.
    pub(crate) is_latest: bool,
    /// What is kept of it.
    pub(crate) retention: Retention,
    /// The rule that says so, shared by the topics of one pattern.
    pub(crate) pattern: Arc<str>,
    /// First offset that retention lets be read.
    pub(crate) floor: u64,
    /// Highest offset that was ever stored.
    pub(crate) stored: u64,
    /// Highest offset that may have been shown without being stored.
    pub(crate) reserved: u64,
    /// Highest offset that was written, synced or not. The writer's.
    pub(crate) given: u64,
    /// Highest offset that a reservation was written for, synced or not. The writer's.
    pub(crate) promised: u64,
    /// The segment that its name and epoch were last written to; 0 if to none. The writer's.
    pub(crate) declared_in: u64,
    /// What crashes took, ascending.
    pub(crate) lost: Vec<Hole>,
    /// What damage took, ascending; found again at each opening.
    pub(crate) damaged: Vec<Hole>,
    /// Who needs what is below the floor.
    pub(crate) pins: BTreeMap<Bytes, u64>,
    /// Its messages, by first offset.
    pub(crate) extents: BTreeMap<u64, Extent>,
    /// The keys of its newest messages by offset, if it keeps those.
    pub(crate) newest: BTreeMap<u64, Bytes>,
    /// The regions of the extent with the oldest messages, and which extent that is.
    pub(crate) first: Option<First>,
    /// Its runs that were written last.
    pub(crate) recent: VecDeque<Arc<Run>>,
    /// Whether it may have changed since retention looked at it.
    is_touched: bool,
}

impl Standing {
    fn new(epoch: u64) -> Self {
        Standing {
            name: None,
            epoch,
            is_latest: false,
            retention: Retention::DEFAULT,
            pattern: Arc::from(""),
            floor: 1,
            stored: 0,
            reserved: 0,
            given: 0,
            promised: 0,
            declared_in: 0,
            lost: Vec::new(),
            damaged: Vec::new(),
            pins: BTreeMap::new(),
            extents: BTreeMap::new(),
            newest: BTreeMap::new(),
            first: None,
            recent: VecDeque::new(),
            is_touched: false,
        }
    }

    /// First offset that was neither stored nor lost.
    pub(crate) fn next(&self) -> u64 {
        let lost = self.lost.last().map_or(0, |hole| hole.to);
        let damaged = self.damaged.last().map_or(0, |hole| hole.to);
        self.stored.max(lost).max(damaged).max(self.floor.saturating_sub(1)) + 1
    }

    /// First offset that is kept: the floor, or what somebody needs below it.
    pub(crate) fn kept_from(&self) -> u64 {
        self.pins.values().copied().min().map_or(self.floor, |pin| pin.min(self.floor))
    }

    /// Moves the floor up.
    pub(crate) fn raise(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        let floor = self.floor;
        self.lost.retain(|hole| hole.to >= floor);
        self.damaged.retain(|hole| hole.to >= floor);
    }

    /// Adds the messages of a record. Those that are there already are a copy that was not finished,
    /// or one that replaced its source; either is as good.
    pub(crate) fn store(&mut self, segment: u64, source: Option<u16>, region: Region) {
        self.stored = self.stored.max(region.to);
        if let Some((_, before)) = self.extents.range_mut(..=region.to).next_back()
            && (before.extend(segment, source, &region) || before.total.to >= region.from)
        {
            return;
        }
        self.extents.insert(region.from, Extent::new(segment, source, region));
    }

    /// Adds an extent that an index file tells of.
    pub(crate) fn add(&mut self, extent: Extent) {
        let (from, to) = (extent.total.from, extent.total.to);
        self.stored = self.stored.max(to);
        let before = self.extents.range(..=to).next_back();
        if before.is_none_or(|(_, before)| before.total.to < from) {
            self.extents.insert(from, extent);
        }
    }

    /// Marks a range as lost to damage.
    pub(crate) fn damage(&mut self, hole: Hole) {
        key::join(&mut self.damaged, hole);
        if self.damaged.len() > HOLES_MAX {
            self.raise(self.damaged[0].to + 1);
        }
    }

    /// Marks a range as lost to a crash.
    pub(crate) fn lose(&mut self, hole: Hole) {
        key::join(&mut self.lost, hole);
        if self.lost.len() > HOLES_MAX {
            self.raise(self.lost[0].to + 1);
        }
    }
}

/// All topics, by number and name.
#[derive(Debug)]
pub(crate) struct Standings {
    by_number: BTreeMap<u32, Standing>,
    names: HashMap<Topic, u32>,
    patterns: HashMap<String, Arc<str>>,
    /// No new topic has a number below.
    numbers_from: u32,
    /// Topics that may have changed since retention looked at them.
    touched: Vec<u32>,
    classes: Arc<Table>,
}

impl Standings {
    pub(crate) fn new(classes: Arc<Table>) -> Self {
        let (by_number, names, patterns, touched) = Default::default();
        Standings { by_number, names, patterns, numbers_from: 1, touched, classes }
    }

    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// A number that no topic has had.
    pub(crate) fn next_number(&self) -> u32 {
        let last = self.by_number.last_key_value().map_or(0, |(number, _)| *number);
        last.saturating_add(1).max(self.numbers_from)
    }

    /// Leaves out the numbers below this one.
    pub(crate) fn skip_to(&mut self, number: u32) {
        self.numbers_from = number;
    }

    pub(crate) fn number(&self, name: &Topic) -> Option<u32> {
        self.names.get(name).copied()
    }

    pub(crate) fn find(&self, name: &Topic) -> Option<&Standing> {
        self.by_number.get(self.names.get(name)?)
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Standing> {
        self.by_number.get(&number)
    }

    /// The topic of this number, whose name may not be known yet, to be changed.
    pub(crate) fn entry(&mut self, number: u32) -> &mut Standing {
        let topic = self.by_number.entry(number).or_insert_with(|| Standing::new(1));
        if !std::mem::replace(&mut topic.is_touched, true) {
            self.touched.push(number);
        }
        topic
    }

    /// Keeps the first regions of a topic, which changes nothing of it.
    pub(crate) fn keep_first(&mut self, number: u32, first: First) {
        if let Some(topic) = self.by_number.get_mut(&number) {
            topic.first = Some(first);
        }
    }

    /// The topics that may have changed since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<u32> {
        let touched = std::mem::take(&mut self.touched);
        for number in &touched {
            if let Some(topic) = self.by_number.get_mut(number) {
                topic.is_touched = false;
            }
        }
        touched.into_iter().collect()
    }

    /// Says what a topic is called and which epoch its history has.
    pub(crate) fn declare(&mut self, number: u32, name: &Topic, epoch: u64) {
        let rule = self.classes.rule(name);
        let text = rule.pattern.as_str();
        let pattern = self.patterns.entry(text.to_owned()).or_insert_with(|| Arc::from(text));
        let pattern = pattern.clone();
        let (retention, is_latest) = (rule.retention, rule.class == Class::Latest);
        self.names.insert(name.clone(), number);
        let topic = self.entry(number);
        (topic.name, topic.epoch) = (Some(name.clone()), epoch);
        (topic.pattern, topic.retention, topic.is_latest) = (pattern, retention, is_latest);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Standing)> {
        self.by_number.iter().map(|(number, topic)| (*number, topic))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u32, &mut Standing)> {
        let touched = self.by_number.iter_mut().filter(|(_, topic)| !topic.is_touched);
        self.touched.extend(touched.map(|(number, topic)| {
            topic.is_touched = true;
            *number
        }));
        self.by_number.iter_mut().map(|(number, topic)| (*number, topic))
    }
}
