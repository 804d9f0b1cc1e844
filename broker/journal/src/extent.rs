//! Where the messages of a topic are: extents of regions of records.

use std::sync::Arc;

use sampan_protocol::limits::NUMBER_MAX;

use crate::segment::SEGMENT_BYTES_MAX;

/// Bytes of a segment that one region spans at most, unless it is a single record.
pub(crate) const REGION_BYTES: u64 = 64 * 1024;

/// Messages of one topic in one piece of a segment, in which those of others may lie, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Region {
    /// First offset.
    pub(crate) from: u64,
    /// Last offset.
    pub(crate) to: u64,
    /// Where the first record starts.
    pub(crate) at: u64,
    /// Bytes to the end of the last record.
    pub(crate) length: u64,
    /// Messages; 0 if the runs are bare.
    pub(crate) count: u64,
    /// Bytes of their frames, or of the entries of bare runs.
    pub(crate) bytes: u64,
    /// Latest time of a message, Unix milliseconds.
    pub(crate) last_ms: u64,
    /// When the last record was written, by the clock of retention.
    pub(crate) time_ms: u64,
}

impl Region {
    /// Whether a segment may have it: what a checksum says to be right need not make sense.
    pub(crate) fn is_possible(&self) -> bool {
        let Region { from, to, at, length, count, bytes, time_ms, .. } = *self;
        let end = at.checked_add(length).is_some_and(|end| end <= SEGMENT_BYTES_MAX);
        let offsets = (1..=NUMBER_MAX).contains(&to) && (1..=to).contains(&from);
        end && offsets && time_ms <= NUMBER_MAX && count <= to - from + 1 && bytes <= length
    }

    /// Adds what follows in the same segment.
    fn extend(&mut self, next: &Region) {
        self.to = next.to;
        self.length = next.at + next.length - self.at;
        self.count += next.count;
        self.bytes += next.bytes;
        self.last_ms = self.last_ms.max(next.last_ms);
        self.time_ms = self.time_ms.max(next.time_ms);
    }
}

/// Where an extent's regions are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Regions {
    /// In memory, since the segment has no index yet.
    Held(Arc<Vec<Region>>),
    /// In memory, and what follows is an extent of its own: something broken lies between.
    Parted(Arc<Vec<Region>>),
    /// In the index file.
    Filed {
        /// Where they start in it.
        at: u64,
        /// How many they are.
        count: u32,
        /// Their checksum.
        sum: u32,
    },
}

/// Messages of one topic in one segment, between which no other segment has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) segment: u64,
    /// Low bits of the number of the segment that the messages were copied from.
    pub(crate) source: Option<u16>,
    /// All regions as one.
    pub(crate) total: Region,
    pub(crate) regions: Regions,
}

impl Extent {
    /// An extent of one region.
    pub(crate) fn new(segment: u64, source: Option<u16>, region: Region) -> Self {
        let regions = Regions::Held(Arc::new(vec![region]));
        Extent { segment, source, total: region, regions }
    }

    /// Whether it has no messages, but only what was said of values.
    pub(crate) fn is_bare(&self) -> bool {
        self.total.count == 0
    }

    /// Whether something of it is kept: messages from an offset on, or what was said of values from a
    /// time on.
    pub(crate) fn is_kept(&self, from: u64, since_ms: u64) -> bool {
        if self.is_bare() { self.total.time_ms >= since_ms } else { self.total.to >= from }
    }

    /// Whether these may be its regions.
    pub(crate) fn has(&self, regions: &[Region]) -> bool {
        let Some((first, last)) = regions.first().zip(regions.last()) else { return false };
        let next = regions.iter().skip(1);
        regions.iter().zip(next).all(|(one, next)| one.to < next.from)
            && (first.from, last.to) == (self.total.from, self.total.to)
            && regions.iter().map(|region| region.count).sum::<u64>() == self.total.count
    }

    /// Ends the extent: what follows in the segment is another.
    pub(crate) fn part(&mut self) {
        if let Regions::Held(regions) = &self.regions {
            self.regions = Regions::Parted(regions.clone());
        }
    }

    /// Adds a record's messages; `false` if they are no continuation of this extent.
    pub(crate) fn extend(&mut self, segment: u64, source: Option<u16>, next: &Region) -> bool {
        let follows = source.is_none() || self.total.to.checked_add(1) == Some(next.from);
        let joins = follows && self.is_bare() == (next.count == 0);
        let Regions::Held(regions) = &mut self.regions else { return false };
        if self.segment != segment || self.source != source || next.from <= self.total.to || !joins
        {
            return false;
        }
        let regions = Arc::make_mut(regions);
        match regions.last_mut() {
            Some(last) if next.at + next.length - last.at <= REGION_BYTES => last.extend(next),
            _ => regions.push(*next),
        }
        self.total.extend(next);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(from: u64, at: u64, length: u64) -> Region {
        Region {
            from,
            to: from,
            at,
            length,
            count: 1,
            bytes: 10,
            last_ms: 100 - from,
            time_ms: from,
        }
    }

    #[test]
    fn what_no_segment_can_hold_is_not_possible() {
        let region = Region { to: 3, count: 3, ..record(1, 4096, 100) };
        assert!(region.is_possible());
        for wrong in [
            Region { from: 0, ..region },
            Region { from: 4, ..region },
            Region { to: NUMBER_MAX + 1, ..region },
            Region { count: 4, ..region },
            Region { bytes: 101, ..region },
            Region { time_ms: NUMBER_MAX + 1, ..region },
            Region { at: u64::MAX, ..region },
            Region { length: SEGMENT_BYTES_MAX, ..region },
        ] {
            assert!(!wrong.is_possible(), "{wrong:?}");
        }
        let extent = Extent::new(3, None, region);
        let (first, last) =
            (Region { to: 1, count: 1, ..region }, Region { from: 3, count: 2, ..region });
        assert!(extent.has(&[region]) && extent.has(&[first, last]));
        for wrong in [&[][..], &[first], &[last, first], &[first, first, last]] {
            assert!(!extent.has(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn records_share_regions_up_to_their_span() {
        let mut extent = Extent::new(3, None, record(1, 4096, 100));
        assert!(extent.extend(3, None, &record(2, 60_000, 100)));
        assert!(extent.extend(3, None, &record(4, 4096 + REGION_BYTES, 100)));
        assert!(!extent.extend(3, None, &record(4, 90_000, 100)), "an offset is stored once");
        assert!(!extent.extend(4, None, &record(5, 4096, 100)));
        assert!(!extent.extend(3, Some(1), &record(5, 4096, 100)));
        let Regions::Held(regions) = &extent.regions else { panic!("held") };
        assert_eq!(regions.iter().map(|r| (r.from, r.to)).collect::<Vec<_>>(), [(1, 2), (4, 4)]);
        assert_eq!((extent.total.count, extent.total.bytes, extent.total.last_ms), (3, 30, 99));
    }

    #[test]
    fn copied_messages_join_only_without_a_gap() {
        let mut extent = Extent::new(3, Some(1), record(1, 4096, 100));
        assert!(extent.extend(3, Some(1), &record(2, 4200, 100)));
        assert!(!extent.extend(3, Some(1), &record(4, 4300, 100)));
    }
}
