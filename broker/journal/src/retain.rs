//! Moves the floors of topics to what their retention keeps.
//!
//! Age is counted by the log's own clock, which goes on only while the log is open; so neither a
//! jump of the wall clock nor the time between two runs of the broker makes anything old. Age and
//! count are per topic; bytes are for all topics of a pattern together, and the oldest go first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use sampan_core::class::Retention;
use sampan_protocol::{Now, Topic};

use crate::error::Error;
use crate::extent::{Extent, Region};
use crate::keeper::Keeper;
use crate::read::Missed;
use crate::storage::Storage;
use crate::topic::Standing;

/// Topics that are looked at without letting others in.
const TOPICS_AT_ONCE: usize = 256;

/// Bytes of messages that are kept, by segment.
pub(crate) type Kept = BTreeMap<u64, u64>;

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

    /// Where age and count move the floor within the oldest extent.
    fn floor(&mut self, now_ms: u64) -> Option<u64> {
        let age_ms = u64::try_from(self.retention.age.as_millis()).unwrap_or(u64::MAX);
        let before = self.floor;
        while let Some(region) = self.regions.first() {
            let is_old = region.time_ms.saturating_add(age_ms) <= now_ms;
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

impl<S: Storage> Keeper<S> {
    /// Moves all floors; those that have moved, and the bytes that are kept in each segment.
    pub(crate) fn retain(&self, now: Now) -> Result<(Floors, Kept), Error> {
        let (now_ms, since_ms) = (self.shared.clock.at(now), self.shared.window_from(now));
        let (mut moved, mut kept) = (BTreeMap::new(), Kept::new());
        let mut patterns: BTreeMap<Arc<str>, (u64, Vec<u32>)> = BTreeMap::new();
        let mut after = None;
        loop {
            let numbers = self.some_topics(after, since_ms, &mut kept);
            let Some(last) = numbers.last() else { break };
            after = Some(*last);
            for number in numbers {
                while let Some(mut oldest) = self.oldest(number)? {
                    if let Some(floor) = oldest.floor(now_ms) {
                        self.raise(number, floor, &mut moved);
                        if oldest.regions.is_empty() {
                            continue;
                        }
                    }
                    let pattern = patterns.entry(oldest.pattern.clone()).or_default();
                    pattern.0 += oldest.bytes();
                    pattern.1.push(number);
                    break;
                }
            }
        }
        for (bytes, topics) in patterns.into_values() {
            self.retain_bytes(bytes, &topics, &mut moved)?;
        }
        let state = self.shared.state();
        let floors = moved.into_iter().filter_map(|(number, floor)| {
            Some((number, state.topics.get(number)?.name.clone()?, floor))
        });
        Ok((floors.collect(), kept))
    }

    /// Drops the oldest regions of a pattern's topics until the rest is as small as the rule says.
    fn retain_bytes(
        &self,
        mut bytes: u64,
        topics: &[u32],
        moved: &mut BTreeMap<u32, u64>,
    ) -> Result<(), Error> {
        let Some(first) = topics.first().map(|number| self.oldest(*number)).transpose()?.flatten()
        else {
            return Ok(());
        };
        let limit = first.retention.bytes / u64::from(self.shared.options.logs);
        if bytes <= limit {
            return Ok(());
        }
        let age = |oldest: &Oldest| {
            let region = oldest.spare()?;
            Some(Reverse((region.time_ms, oldest.extent.segment, region.at)))
        };
        let mut heap = BinaryHeap::new();
        for number in topics {
            let oldest = self.oldest(*number)?;
            heap.extend(oldest.and_then(|oldest| Some((age(&oldest)?, *number))));
        }
        while bytes > limit
            && let Some((_, number)) = heap.pop()
        {
            let Some(oldest) = self.oldest(number)? else { continue };
            let Some(region) = oldest.spare() else { continue };
            bytes = bytes.saturating_sub(region.bytes);
            self.raise(number, region.to + 1, moved);
            let oldest = self.oldest(number)?;
            heap.extend(oldest.and_then(|oldest| Some((age(&oldest)?, number))));
        }
        Ok(())
    }

    fn raise(&self, number: u32, floor: u64, moved: &mut BTreeMap<u32, u64>) {
        self.shared.state().topics.entry(number).raise(floor);
        moved.insert(number, floor);
    }

    /// The next topics with messages; adds what is kept of all that are passed to `kept`.
    fn some_topics(&self, after: Option<u32>, since_ms: u64, kept: &mut Kept) -> Vec<u32> {
        let state = self.shared.state();
        let from = after.map_or(0, |after| after.saturating_add(1));
        let mut out = Vec::new();
        for (number, topic) in state.topics.range(from).take(TOPICS_AT_ONCE) {
            keep(topic, since_ms, kept);
            out.push(number);
        }
        out
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
        self.shared.state().topics.entry(number).first = Some(first);
        let kept = regions.iter().filter(|region| region.to >= oldest.floor);
        oldest.regions = kept.copied().collect();
        Ok(Some(oldest).filter(|oldest| !oldest.regions.is_empty()))
    }
}

/// What tells an extent from any other, and from itself once it has grown.
fn place(extent: &Extent) -> (u64, u64, u64) {
    (extent.segment, extent.total.from, extent.total.to)
}

/// Adds the bytes of a topic's messages that are kept, by segment, and of bare runs of the dedupe
/// window. Part of an extent counts with its part of the offsets.
fn keep(topic: &Standing, since_ms: u64, kept: &mut Kept) {
    let from = topic.kept_from();
    for extent in topic.extents.values().filter(|extent| extent.is_kept(from, since_ms)) {
        let total = &extent.total;
        let all = u128::from(total.to - total.from + 1);
        let part = u128::from(total.to.saturating_sub(total.from.max(from)) + 1);
        let bytes = u128::from(total.bytes) * part / all;
        // A message that is kept counts, however small.
        *kept.entry(extent.segment).or_default() += u64::try_from(bytes).unwrap_or(0).max(1);
    }
}
