//! What is in a stopped store, whether all of it is valid, and what to do if it is not.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use sampan_core::class::Table;
use sampan_core::journal::Hole;
use sampan_protocol::{Now, Topic};

use crate::api::Damage;
use crate::damage::find_damage;
use crate::error::OpenError;
use crate::identity;
use crate::index::{self, Index};
use crate::key;
use crate::mark::Checkpoint;
use crate::open::{Log, numbers, storage_error};
use crate::options::Options;
use crate::recover::{read, recover};
use crate::scan::scan;
use crate::segment::{Header, ending, name};
use crate::state::State;
use crate::storage::{File, Storage};

/// One segment as `inspect` and `verify` find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentReport {
    /// Its number.
    pub number: u64,
    /// Bytes of its blocks, with the header.
    pub bytes: u64,
    /// First commit in it; 0 if nothing was written to it.
    pub first_commit: u64,
    /// Last commit in it.
    pub last_commit: u64,
    /// Records in it.
    pub records: u64,
    /// Whether it has a valid index.
    pub is_indexed: bool,
    /// Whether every checksum in it and in its index is right; `verify` alone knows.
    pub is_right: Option<bool>,
}

/// One topic as `inspect` finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicReport {
    /// Its name.
    pub topic: Topic,
    /// Epoch of its history.
    pub epoch: u64,
    /// First offset that retention lets be read.
    pub floor: u64,
    /// First offset that was never given out.
    pub next: u64,
    /// Messages that are stored, those below the floor included.
    pub messages: u64,
    /// Bytes of their frames.
    pub bytes: u64,
    /// What crashes and damage took.
    pub lost: Vec<Hole>,
}

/// What a stopped store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Identity of the store.
    pub store_id: u64,
    /// Its number among the logs of its broker.
    pub log: u32,
    /// How many those are.
    pub logs: u32,
    /// By number.
    pub segments: Vec<SegmentReport>,
    /// By name.
    pub topics: Vec<TopicReport>,
    /// Live values under keys, those of the log itself included.
    pub values: u64,
    /// Bytes behind the last whole block, as a crash leaves them.
    pub torn_bytes: u64,
    /// What is damaged.
    pub damaged: Vec<Damage>,
}

/// What `repair` has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Indexes that were written.
    pub indexed: u64,
    /// Damaged segments whose valid blocks were copied, and that were moved aside.
    pub moved_aside: Vec<u64>,
    /// What was found damaged.
    pub damaged: Vec<Damage>,
}

/// Looks at a stopped store: as opening it would, and without changing anything.
///
/// # Errors
/// If the storage fails, or there is no store that this release can read.
pub fn inspect<S: Storage>(storage: &S) -> Result<Report, OpenError> {
    let (store_id, log, logs) = identity::read(storage)?.ok_or(OpenError::Unnamed)?;
    let mut state = State::<S::File>::new(Arc::new(Table::shipped()), 0);
    let numbers = numbers(storage)?;
    let found = recover(storage, store_id, &numbers, &Checkpoint::default(), &mut state)?;
    let segments = state.segments.iter().map(|(number, segment)| SegmentReport {
        number: *number,
        bytes: segment.end,
        first_commit: segment.commits.0,
        last_commit: segment.commits.1,
        records: segment.records,
        is_indexed: segment.filed,
        is_right: None,
    });
    let segments = segments.collect();
    find_damage(&mut state, &found);
    let topics = state.topics.iter().filter_map(|(_, topic)| {
        let mut lost = topic.lost.clone();
        topic.damaged.iter().for_each(|hole| key::join(&mut lost, *hole));
        let totals = || topic.extents.values().map(|extent| &extent.total);
        let newest = topic.newest.values().filter_map(|key| state.values.get(key));
        Some(TopicReport {
            topic: topic.name.clone()?,
            epoch: topic.epoch,
            floor: topic.floor,
            next: topic.next(),
            messages: totals().map(|t| t.count).sum::<u64>() + topic.newest.len() as u64,
            bytes: totals().map(|t| t.bytes).chain(newest.map(|value| value.place.bytes)).sum(),
            lost,
        })
    });
    let mut topics: Vec<_> = topics.collect();
    topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    let values = state.values.values().filter(|value| !value.absent).count() as u64;
    let (torn_bytes, damaged) = (found.torn_bytes, state.damaged);
    Ok(Report { store_id, log, logs, segments, topics, values, torn_bytes, damaged })
}

/// Checks every checksum of a stopped store, without changing anything: what [`inspect`] tells, which
/// segments are right, and all damage there is.
///
/// # Errors
/// As [`inspect`].
pub fn verify<S: Storage>(storage: &S) -> Result<Report, OpenError> {
    let mut report = inspect(storage)?;
    let indexed = report.segments.iter().filter(|segment| segment.is_indexed);
    let mut damaged = Vec::new();
    for SegmentReport { number, bytes, records, .. } in indexed {
        let file = storage.open(&name(*number, ending::SEGMENT))?;
        let whole = read(&file, file.len()?)?;
        let header = Header { store_id: report.store_id, number: *number, bytes: *bytes };
        let scan = scan(&whole, *number, header.seed(), 0);
        damaged.extend(scan.damaged.iter().map(|(at, bytes)| Damage {
            segment: *number,
            at: *at,
            bytes: *bytes,
            what: "a broken block",
        }));
        if scan.end != *bytes {
            let (at, bytes) = (scan.end, bytes.saturating_sub(scan.end));
            damaged.push(Damage { segment: *number, at, bytes, what: "a broken end" });
        } else if scan.damaged.is_empty() && scan.records != *records {
            let what = "an index that disagrees with its segment";
            damaged.push(Damage { segment: *number, at: 0, bytes: 0, what });
        }
        damaged.extend(verify_regions(storage, report.store_id, *number)?);
    }
    damaged.retain(|damage| !report.damaged.contains(damage));
    report.damaged.append(&mut damaged);
    let broken: BTreeSet<u64> = report.damaged.iter().map(|damage| damage.segment).collect();
    for segment in &mut report.segments {
        segment.is_right = Some(!broken.contains(&segment.number));
    }
    Ok(report)
}

/// Checks the regions of an index.
fn verify_regions<S: Storage>(
    storage: &S,
    store_id: u64,
    number: u64,
) -> Result<Option<Damage>, OpenError> {
    let Some(index) = Index::read(storage, store_id, number)? else { return Ok(None) };
    for (_, extent) in &index.extents {
        if index::regions(storage, store_id, extent)?.is_none() {
            let what = "a broken index";
            return Ok(Some(Damage { segment: number, at: 0, bytes: 0, what }));
        }
    }
    Ok(None)
}

/// Makes a stopped store whole: writes missing and broken indexes again, copies what is valid out of
/// damaged segments, notes what they have lost, and moves them aside as `.damaged`. Deletes nothing.
///
/// # Errors
/// As [`inspect`], or if there is no space for the copies.
pub fn repair<S: Storage>(storage: S, options: Options, now: Now) -> Result<Repaired, OpenError> {
    let before = verify(&storage)?;
    let mut repaired = Repaired { damaged: before.damaged, ..Repaired::default() };
    let mut broken: Vec<u64> = repaired.damaged.iter().map(|damage| damage.segment).collect();
    broken.dedup();
    let unindexed = before.segments.iter().filter(|segment| !segment.is_indexed);
    repaired.indexed = unindexed.filter(|segment| !broken.contains(&segment.number)).count() as u64;
    let options = Options { log: before.log, logs: before.logs, ..options };
    let Log { mut writer, .. } = Log::open(storage, options, now)?;
    for number in broken {
        if writer.move_aside(now, number).map_err(storage_error)? {
            repaired.moved_aside.push(number);
        }
    }
    writer.close(now).map_err(storage_error)?;
    Ok(repaired)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { store_id, log, logs, .. } = self;
        writeln!(f, "store {store_id:016x}, log {log} of {logs}")?;
        for segment in &self.segments {
            let SegmentReport { number, bytes, first_commit, last_commit, records, .. } = segment;
            let index = if segment.is_indexed { "" } else { ", no index" };
            let right = match segment.is_right {
                Some(true) => ", every checksum right",
                Some(false) => ", DAMAGED",
                None => "",
            };
            writeln!(
                f,
                "segment {number:016x}: {bytes} bytes, commits {first_commit} to {last_commit}, \
                 {records} records{index}{right}"
            )?;
        }
        for topic in &self.topics {
            let TopicReport { topic, epoch, floor, next, messages, bytes, lost } = topic;
            write!(
                f,
                "topic {topic}: epoch {epoch}, floor {floor}, next {next}, {messages} messages, \
                 {bytes} bytes"
            )?;
            for hole in lost {
                write!(f, ", lost {} to {}", hole.from, hole.to)?;
            }
            writeln!(f)?;
        }
        writeln!(f, "{} values", self.values)?;
        if self.torn_bytes > 0 {
            writeln!(f, "{} bytes behind the last whole block", self.torn_bytes)?;
        }
        self.damaged.iter().try_for_each(|damage| writeln!(f, "DAMAGED {damage}"))
    }
}

impl fmt::Display for Repaired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.damaged.iter().try_for_each(|damage| writeln!(f, "DAMAGED {damage}"))?;
        writeln!(f, "{} indexes written", self.indexed)?;
        let aside = self.moved_aside.iter();
        aside.into_iter().try_for_each(|number| {
            writeln!(f, "segment {number:016x}: what is valid was copied, and it was moved aside")
        })
    }
}
