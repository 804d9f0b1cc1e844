//! Finds the blocks of a segment, and tells a torn tail from damage.

use bytes::Bytes;
use sampan_core::journal::Run;
use sampan_protocol::limits::NUMBER_MAX;

use crate::checksum::Seed;
use crate::dedupe::Entries;
use crate::extent::Region;
use crate::key;
use crate::record::{ABSENT, BLOCK, COPIED, HEAD_BYTES, RUN, Record, VALUE, aligned};
use crate::segment::HEADER_BYTES;
use crate::state::{Change, Place, Value};

/// What is in a segment.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// What the whole blocks do, in order.
    pub(crate) changes: Vec<Change>,
    /// First and last commit.
    pub(crate) commits: Option<(u64, u64)>,
    /// Where the last whole block ends.
    pub(crate) end: u64,
    /// Latest time of a block.
    pub(crate) time_ms: u64,
    /// Ranges between whole blocks where promised ones are missing.
    pub(crate) damaged: Vec<(u64, u64)>,
    /// Behind the end: bytes that a block head there claims, whole or not; 0 if none stands there.
    pub(crate) broken: u64,
    /// Highest commit number seen anywhere, whole or not.
    pub(crate) seen: u64,
    /// Records in whole blocks.
    pub(crate) records: u64,
}

/// A block that is whole.
struct Whole<'a> {
    commit: u64,
    /// Highest commit that was synced when it was written.
    synced: u64,
    time_ms: u64,
    end: u64,
    records: Vec<Record<'a>>,
}

/// The block at `at`, if it is whole.
fn block(bytes: &[u8], at: u64, seed: Seed) -> Option<Whole<'_>> {
    let head = Record::read(bytes, 0, at, seed).filter(|record| record.head.kind == BLOCK)?;
    let end = head.end().checked_add(head.head.length.into())?;
    let mut records = Vec::new();
    let mut next = head.end();
    while next < end {
        let record = Record::read(bytes, 0, next, seed)?;
        if record.head.kind == BLOCK {
            return None;
        }
        next = record.end();
        records.push(record);
    }
    let possible = head.head.from.max(head.head.time_ms()) <= NUMBER_MAX;
    let counted = u32::try_from(records.len()).is_ok_and(|count| count == head.head.topic);
    let unsynced = match head.head.mark {
        // More than can be said: nothing is known.
        u16::MAX => u64::MAX,
        unsynced => unsynced.into(),
    };
    let commit = head.head.from;
    let synced = commit.saturating_sub(1).saturating_sub(unsynced);
    let whole = Whole { commit, synced, time_ms: head.head.time_ms(), end, records };
    (possible && counted && next == end && end <= bytes.len() as u64).then_some(whole)
}

/// What a valid record does; `None` if it makes no sense.
pub(crate) fn change(
    bytes: &Bytes,
    segment: u64,
    time_ms: u64,
    record: &Record<'_>,
) -> Option<Change> {
    let (ahead, body) = record.split()?;
    let length = (HEAD_BYTES + record.body.len()) as u64;
    let head = record.head;
    match head.kind {
        RUN => {
            let copied = head.flags & COPIED != 0;
            let entries = Entries::read(ahead, head.from, copied)?;
            let run = run(bytes, record, &entries)?;
            let region = Region {
                from: run.from,
                to: run.to,
                at: record.at,
                length,
                count: head.count.into(),
                bytes: if run.bytes == 0 { ahead.len() } else { run.bytes } as u64,
                last_ms: run.last_ms.max(run.first_ms),
                time_ms: entries.time_ms.unwrap_or(time_ms),
            };
            let source = copied.then_some(head.mark);
            Some(Change::Run { topic: head.topic, segment, source, region })
        }
        VALUE => {
            let kept = key::parse(ahead).is_some_and(|(sort, ..)| !sort.is_located());
            let absent = head.flags & ABSENT != 0;
            let place = Place { segment, at: record.at, bytes: length };
            let body = (kept && !absent).then(|| Bytes::copy_from_slice(body));
            let value = Value { place, absent, mark: head.from, body };
            Some(Change::Value { key: Bytes::copy_from_slice(ahead), value })
        }
        _ => None,
    }
}

/// The messages of a record with these entries.
pub(crate) fn run(bytes: &Bytes, record: &Record<'_>, entries: &Entries) -> Option<Run> {
    let (_, frames) = record.split()?;
    let run = entries.run(bytes.slice_ref(frames))?;
    if run.from == 0 || run.to < run.from || run.to > NUMBER_MAX {
        return None;
    }
    let count = if frames.is_empty() { 0 } else { run.count() };
    (run.from == record.head.from && count == u64::from(record.head.count)).then_some(run)
}

/// Finds the blocks in the bytes of a whole segment file.
///
/// The first block that is not whole ends the segment, unless one behind it says that it was synced:
/// then the range up to there is damaged, and the segment goes on behind it. `before` is the last
/// commit of the segment before.
pub(crate) fn scan(bytes: &Bytes, segment: u64, seed: Seed, before: u64) -> Scan {
    let mut out = Scan { end: HEADER_BYTES, seen: before, ..Scan::default() };
    let mut at = HEADER_BYTES;
    loop {
        let last = out.commits.map_or(before, |(_, last)| last);
        match block(bytes, at, seed).filter(|whole| whole.commit > last) {
            Some(whole) => {
                at = whole.end;
                take(&mut out, bytes, segment, &whole);
            }
            None => match behind(&mut out, bytes, at, seed, last) {
                Some(next) => {
                    out.damaged.push((at, next - at));
                    at = next;
                }
                None => break,
            },
        }
    }
    let head = Record::read(bytes, 0, out.end, seed).filter(|record| record.head.kind == BLOCK);
    out.broken = head.map_or(0, |head| HEAD_BYTES as u64 + u64::from(head.head.length));
    out
}

fn take(out: &mut Scan, bytes: &Bytes, segment: u64, whole: &Whole<'_>) {
    out.commits = Some((out.commits.map_or(whole.commit, |(first, _)| first), whole.commit));
    out.seen = out.seen.max(whole.commit);
    out.time_ms = out.time_ms.max(whole.time_ms);
    out.records += whole.records.len() as u64;
    out.end = whole.end;
    for record in &whole.records {
        match change(bytes, segment, whole.time_ms, record).filter(Change::is_possible) {
            Some(change) => out.changes.push(change),
            None => out.damaged.push((record.at, HEAD_BYTES as u64 + record.body.len() as u64)),
        }
    }
}

/// Where the first whole block behind `at` starts, if one of those there was written after the block
/// at `at` had been synced.
fn behind(out: &mut Scan, bytes: &[u8], at: u64, seed: Seed, last: u64) -> Option<u64> {
    let (mut first, mut promised) = (None, false);
    let mut next = at;
    while next + HEAD_BYTES as u64 <= bytes.len() as u64 {
        let kind = usize::try_from(next).ok().and_then(|next| bytes.get(next + 4));
        let head = kind.filter(|kind| **kind == BLOCK);
        let head = head.and_then(|_| Record::read(bytes, 0, next, seed));
        if let Some(head) = head.filter(|head| head.head.from <= NUMBER_MAX) {
            out.seen = out.seen.max(head.head.from);
        }
        let whole = head.and_then(|_| block(bytes, next, seed)).filter(|b| b.commit > last);
        next = match whole {
            Some(whole) => {
                promised |= whole.synced > last;
                first = first.or(Some(next));
                whole.end
            }
            None => next + aligned(1) as u64,
        };
    }
    first.filter(|_| promised)
}
