//! Moves the floors of topics to what their retention keeps.
//!
//! Age is counted by the log's own clock, which goes on only while the log is open; so neither a
//! jump of the wall clock nor the time between two runs of the broker makes anything old. Age and
//! count are per topic; bytes are for all topics of a pattern together, and the oldest go first. A
//! round looks at topics that have changed or are due (`ledger`).

use std::collections::BTreeMap;
use std::sync::Arc;

use sampan_core::class::Retention;
use sampan_protocol::{Now, Topic};

use crate::error::Error;
use crate::extent::{Extent, Region};
use crate::keeper::Keeper;
use crate::ledger::{Ledger, Sheet};
use crate::read::Missed;
use crate::storage::Storage;
use crate::topic::Standing;

/// Floors that have moved: number, topic, and where to.
pub(crate) type Floors = Vec<(u32, Topic, u64)>;

/// The oldest messages of a topic, and how many there are.
struct Oldest {
    retention: Retention,
    pattern: Arc<str>,
    floor: u64,
    /// The extent with the oldest kept messages, and its regions that have some.
    extent: Extent,
    regions: Vec<Region>,
    /// What is kept in the other extents.
    rest: Region,
}

impl Oldest {
    fn count(&self) -> u64 {
        self.regions.iter().map(|region| region.count).sum::<u64>() + self.rest.count
    }

    fn bytes(&self) -> u64 {
        self.regions.iter().map(|region| region.bytes).sum::<u64>() + self.rest.bytes
    }

    /// The oldest region, if it is not the newest as well.
    fn spare(&self) -> Option<&Region> {
        self.regions.first().filter(|_| self.regions.len() > 1 || self.rest.count > 0)
    }

    /// When a region is too old.
    fn due_ms(&self, region: &Region) -> u64 {
        let age_ms = u64::try_from(self.retention.age.as_millis()).unwrap_or(u64::MAX);
        region.time_ms.saturating_add(age_ms)
    }

    /// Where age and count move the floor within the oldest extent.
    fn floor(&mut self, now_ms: u64) -> Option<u64> {
        let before = self.floor;
        while let Some(region) = self.regions.first() {
            let is_old = self.due_ms(region) <= now_ms;
            let without = self.count() - region.count;
            let is_over = self.retention.count.is_some_and(|count| without >= count);
            let goes = is_old || is_over && self.spare().is_some();
            if !goes {
                break;
            }
            self.floor = region.to + 1;
            self.regions.remove(0);
        }
        (self.floor > before).then_some(self.floor)
    }
}

/// A round: what it goes by, and what it has moved.
struct Round {
    now_ms: u64,
    since_ms: u64,
    moved: BTreeMap<u32, u64>,
}

impl<S: Storage> Keeper<S> {
    /// Moves all floors; those that have moved.
    pub(crate) fn retain(&self, now: Now) -> Result<Floors, Error> {
        let (now_ms, since_ms) = (self.shared.clock.at(now), self.shared.window_from(now));
        let mut round = Round { now_ms, since_ms, moved: BTreeMap::new() };
        let mut ledger = self.shared.ledger();
        let mut topics = self.shared.state().topics.take_touched();
        topics.extend(ledger.due(now_ms));
        let looked = topics.iter().try_for_each(|topic| self.look(*topic, &mut ledger, &mut round));
        if let Err(error) = looked.and_then(|()| self.retain_bytes(&mut ledger, &mut round)) {
            // They are looked at again.
            let mut state = self.shared.state();
            for topic in topics {
                state.topics.entry(topic);
            }
            return Err(error);
        }
        let state = self.shared.state();
        let floors = round.moved.into_iter().filter_map(|(number, floor)| {
            Some((number, state.topics.get(number)?.name.clone()?, floor))
        });
        Ok(floors.collect())
    }

    /// Whether what is known is what a look at every topic would find.
    #[cfg(test)]
    pub(crate) fn is_known(&self, now: Now) -> bool {
        let (now_ms, since_ms) = (self.shared.clock.at(now), self.shared.window_from(now));
        let mut round = Round { now_ms, since_ms, moved: BTreeMap::new() };
        let topics: Vec<u32> = self.shared.state().topics.iter().map(|(topic, _)| topic).collect();
        let (mut all, mut ledger) = (Ledger::default(), self.shared.ledger());
        // What was touched is still to be looked at.
        let touched = self.shared.state().topics.take_touched();
        for topic in touched {
            self.look(topic, &mut ledger, &mut round).expect("read");
        }
        topics.iter().for_each(|topic| self.look(*topic, &mut all, &mut round).expect("read"));
        assert!(round.moved.is_empty(), "{:?}", round.moved);
        all == *ledger
    }

    /// Moves the floor of a topic to what age and count keep, and notes what is kept then.
    fn look(&self, number: u32, ledger: &mut Ledger, round: &mut Round) -> Result<(), Error> {
        let mut sheet = Sheet::default();
        while let Some(mut oldest) = self.oldest(number)? {
            if let Some(floor) = oldest.floor(round.now_ms) {
                self.raise(number, floor, &mut round.moved);
                if oldest.regions.is_empty() {
                    continue;
                }
            }
            let age = |region: &Region| (region.time_ms, oldest.extent.segment, region.at);
            sheet.spare = oldest.spare().map(age);
            sheet.due_ms = oldest.regions.first().map(|region| oldest.due_ms(region));
            sheet.limit = oldest.retention.bytes / u64::from(self.shared.options.logs);
            sheet.bytes = oldest.bytes();
            sheet.pattern = Some(oldest.pattern);
            break;
        }
        if let Some(topic) = self.shared.state().topics.get(number) {
            sheet.kept = kept(topic, round.since_ms);
            let bare = topic.extents.values().filter(|extent| extent.is_bare());
            let bare = bare.filter(|extent| extent.is_kept(0, round.since_ms));
            let window_ms = round.now_ms.saturating_sub(round.since_ms);
            let ends = bare.map(|extent| extent.total.time_ms.saturating_add(window_ms + 1));
            sheet.due_ms = sheet.due_ms.into_iter().chain(ends).min();
        }
        ledger.put(number, sheet);
        Ok(())
    }

    /// Drops the oldest regions of each pattern's topics until the rest is as small as its rule says.
    fn retain_bytes(&self, ledger: &mut Ledger, round: &mut Round) -> Result<(), Error> {
        while let Some(number) = ledger.over() {
            let oldest = self.oldest(number)?;
            if let Some(region) = oldest.as_ref().and_then(Oldest::spare) {
                self.raise(number, region.to + 1, &mut round.moved);
            }
            self.look(number, ledger, round)?;
        }
        Ok(())
    }

    fn raise(&self, number: u32, floor: u64, moved: &mut BTreeMap<u32, u64>) {
        self.shared.state().topics.entry(number).raise(floor);
        moved.insert(number, floor);
    }

    /// The oldest messages of a topic; `None` if it has none that retention lets be read.
    fn oldest(&self, number: u32) -> Result<Option<Oldest>, Error> {
        let (mut oldest, known) = {
            let state = self.shared.state();
            let Some(topic) = state.topics.get(number) else { return Ok(None) };
            let floor = topic.floor;
            let extents = topic.extents.values().filter(|extent| !extent.is_bare());
            let mut extents = extents.skip_while(|extent| extent.total.to < floor);
            let Some(extent) = extents.next().cloned() else { return Ok(None) };
            let mut rest = Region::default();
            for extent in extents {
                rest.count += extent.total.count;
                rest.bytes += extent.total.bytes;
            }
            let (retention, pattern) = (topic.retention, topic.pattern.clone());
            let known = topic.first.clone().filter(|(at, ..)| *at == place(&extent));
            (Oldest { retention, pattern, floor, extent, regions: Vec::new(), rest }, known)
        };
        let regions = match known {
            Some((_, regions)) => regions,
            None => match self.shared.regions(&oldest.extent) {
                Ok(regions) => Arc::new(regions),
                Err(Missed::Failed(error)) => return Err(error),
                // What cannot be read is not touched.
                Err(Missed::Damaged | Missed::Moved) => return Ok(None),
            },
        };
        let first = (place(&oldest.extent), regions.clone());
        self.shared.state().topics.keep_first(number, first);
        let kept = regions.iter().filter(|region| region.to >= oldest.floor);
        oldest.regions = kept.copied().collect();
        Ok(Some(oldest).filter(|oldest| !oldest.regions.is_empty()))
    }
}

/// What tells an extent from any other, and from itself once it has grown.
fn place(extent: &Extent) -> (u64, u64, u64) {
    (extent.segment, extent.total.from, extent.total.to)
}

/// Bytes of a topic's messages that are kept, by segment, and of bare runs of the dedupe window. Part
/// of an extent counts with its part of the offsets.
fn kept(topic: &Standing, since_ms: u64) -> BTreeMap<u64, u64> {
    let (mut kept, from) = (BTreeMap::new(), topic.kept_from());
    for extent in topic.extents.values().filter(|extent| extent.is_kept(from, since_ms)) {
        let total = &extent.total;
        let all = u128::from(total.to - total.from + 1);
        let part = u128::from(total.to.saturating_sub(total.from.max(from)) + 1);
        let bytes = u128::from(total.bytes) * part / all;
        // A message that is kept counts, however small.
        *kept.entry(extent.segment).or_default() += u64::try_from(bytes).unwrap_or(0).max(1);
    }
    kept
}
