//! Reads what the segments of a log hold, from their indexes or from their blocks.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::Hole;

use crate::api::Damage;
use crate::error::OpenError;
use crate::index::Index;
use crate::key;
use crate::mark::{Checkpoint, Located};
use crate::scan::{Scan, scan};
use crate::segment::{HEADER_BYTES, Header, SEGMENT_BYTES_MAX, ending, name, parse_name};
use crate::state::{Segment, State};
use crate::storage::{File, Storage};

/// What was found beside the state.
#[derive(Debug)]
pub(crate) struct Found<F> {
    /// Segments at the end that nothing was written to.
    pub(crate) unused: Vec<(u64, F)>,
    /// Segments without an index, whose end is known: to be sealed.
    pub(crate) cut: Vec<u64>,
    /// Segments that are damaged or missing.
    pub(crate) damaged: BTreeSet<u64>,
    /// Those of them whose index says what they held.
    pub(crate) indexed: BTreeSet<u64>,
    /// Highest number of a segment.
    pub(crate) last_number: u64,
    /// Highest commit number.
    pub(crate) seen: u64,
    /// Latest time of a block.
    pub(crate) time_ms: u64,
    /// Bytes behind the last whole block that were cut.
    pub(crate) torn_bytes: u64,
}

impl<F> Found<F> {
    /// Whether a checkpoint is one of this log, and not ahead of it.
    pub(crate) fn fits(&self, state: &State<F>, known: &Checkpoint) -> bool {
        let is_there = |located: &Located| state.segments.contains_key(&located.segment);
        known.through <= self.seen
            && known.values.iter().all(|(_, value)| value.as_ref().is_none_or(is_there))
    }

    /// Whether something was lost of which no index tells.
    pub(crate) fn is_cut(&self) -> bool {
        self.damaged.iter().any(|number| !self.indexed.contains(number))
    }

    fn damage(
        &mut self,
        state: &mut State<F>,
        segment: u64,
        range: (u64, u64),
        what: &'static str,
    ) {
        self.damaged.insert(segment);
        state.damage(Damage { segment, at: range.0, bytes: range.1, what });
    }
}

/// Reads all segments into the state.
pub(crate) fn recover<S: Storage>(
    storage: &S,
    store_id: u64,
    numbers: &[u64],
    known: &Checkpoint,
    state: &mut State<S::File>,
) -> Result<Found<S::File>, OpenError> {
    for (key, located) in &known.values {
        if let Some(located) = located {
            state.put(key.clone(), located.value());
        }
    }
    let mut found = Found {
        unused: Vec::new(),
        cut: Vec::new(),
        damaged: BTreeSet::new(),
        indexed: BTreeSet::new(),
        last_number: numbers.last().copied().unwrap_or(0),
        seen: 0,
        time_ms: 0,
        torn_bytes: 0,
    };
    let mut scanned: Vec<(u64, Scan, u64)> = Vec::new();
    for number in numbers {
        let file = storage.open(&name(*number, ending::SEGMENT))?;
        let bytes = file.len()?;
        let header = Header::read(&file, store_id, *number)?;
        let index = Index::read(storage, store_id, *number)?;
        if let Some(index) = index.filter(|index| index.end == bytes && header.is_some()) {
            end_of_scanned(&mut found, state, &mut scanned, Some((*number, index.commits.0)));
            apply_index(&mut found, state, index, known.through);
            continue;
        }
        let whole = read(&file, bytes)?;
        let seed = Header { store_id, number: *number, bytes }.seed();
        let scan = scan(&whole, *number, seed, found.seen);
        if scan.commits.is_none() && scan.damaged.is_empty() && header.is_some() {
            // Nothing was synced here.
            found.torn_bytes += scan.broken.min(bytes);
            if scan.seen > found.seen || scan.broken > 0 {
                found.last_number += 1;
            }
            found.seen = found.seen.max(scan.seen);
            found.unused.push((*number, file));
            continue;
        }
        let first = scan.commits.map_or(0, |(first, _)| first);
        end_of_scanned(&mut found, state, &mut scanned, Some((*number, first)));
        for (number, _) in std::mem::take(&mut found.unused) {
            found.damage(state, number, (0, 0), "nothing whole is left");
        }
        found.seen = found.seen.max(scan.seen);
        if header.is_none() {
            found.damage(state, *number, (0, HEADER_BYTES), "a broken header");
        }
        let mut segment = Segment::new(scan.end);
        segment.file = Some(Arc::new(file));
        state.segments.insert(*number, segment);
        scanned.push((*number, scan, bytes));
    }
    end_of_scanned(&mut found, state, &mut scanned, None);
    let aside = storage.list()?;
    let aside = aside.iter().filter_map(|file| parse_name(file));
    let aside = aside.filter(|(_, ending)| *ending == ending::DAMAGED).map(|(number, _)| number);
    find_missing(&mut found, state, numbers.iter().copied().chain(aside));
    state.count_live();
    Ok(found)
}

/// Reads a file as a whole; a log never has longer ones.
pub(crate) fn read<F: File>(file: &F, bytes: u64) -> std::io::Result<Bytes> {
    let mut whole = vec![0; usize::try_from(bytes.min(SEGMENT_BYTES_MAX)).unwrap_or(0)];
    let length = file.read_at(&mut whole, 0)?;
    whole.truncate(length);
    Ok(whole.into())
}

fn apply_index<F>(found: &mut Found<F>, state: &mut State<F>, index: Index, known: u64) {
    for (number, _) in std::mem::take(&mut found.unused) {
        found.damage(state, number, (0, 0), "nothing whole is left");
    }
    found.indexed.insert(index.segment);
    found.seen = found.seen.max(index.commits.1);
    found.time_ms = found.time_ms.max(index.time_ms);
    let mut segment = Segment::new(index.end);
    (segment.commits, segment.records) = (index.commits, index.records);
    (segment.time_ms, segment.filed) = (index.time_ms, true);
    state.segments.insert(index.segment, segment);
    if index.commits.1 > known {
        index.values.into_iter().for_each(|(key, value)| state.put(key, value));
    }
    for (topic, extent) in index.extents {
        state.topics.entry(topic).add(extent);
    }
}

/// Applies the segment that was scanned last, now that it is known what follows: the number and the
/// first commit of the next one.
fn end_of_scanned<F: File>(
    found: &mut Found<F>,
    state: &mut State<F>,
    scanned: &mut Vec<(u64, Scan, u64)>,
    next: Option<(u64, u64)>,
) {
    let Some((number, scan, bytes)) = scanned.pop() else { return };
    let Scan { changes, commits, end, time_ms, damaged, broken, records, .. } = scan;
    found.time_ms = found.time_ms.max(time_ms);
    if let (Some(segment), Some(commits)) = (state.segments.get_mut(&number), commits) {
        (segment.commits, segment.records, segment.time_ms) = (commits, records, time_ms);
    }
    let mut ranges = damaged.iter().peekable();
    for change in changes {
        while ranges.next_if(|(at, _)| *at < change.at()).is_some() {
            state.part(number);
        }
        state.apply(change);
    }
    for range in damaged {
        found.damage(state, number, range, "a broken block");
    }
    let goes_on = next
        .zip(commits)
        .is_some_and(|((next, first), (_, last))| next == number + 1 && first == last + 1);
    // A segment that is as long as its blocks was sealed; one that others follow was full.
    let is_sealed = bytes == end;
    if next.is_some() && !goes_on && !is_sealed {
        found.damage(state, number, (end, bytes.saturating_sub(end)), "a broken end");
    }
    if next.is_none() && !is_sealed {
        found.torn_bytes += broken.min(bytes.saturating_sub(end));
    }
    if !found.damaged.contains(&number) {
        found.cut.push(number);
    }
}

/// Tells of segments that are neither there nor known to be deleted.
fn find_missing<F>(found: &mut Found<F>, state: &mut State<F>, numbers: impl Iterator<Item = u64>) {
    let mut known = state.gone.clone();
    numbers.for_each(|number| key::join(&mut known, Hole { from: number, to: number }));
    let last = state.segments.last_key_value().map_or(0, |(number, _)| *number);
    let mut next = 1;
    for range in known {
        for missing in (next..range.from.min(last + 1)).take(1024) {
            found.damage(state, missing, (0, 0), "it is missing");
        }
        next = next.max(range.to + 1);
    }
}
