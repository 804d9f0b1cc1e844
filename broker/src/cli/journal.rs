//! `sampan journal`: looks at the journal of a broker that does not run, and mends it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sampan_core::journal::Hole;
use sampan_journal::storage::Disk;
use sampan_journal::{Damage, OpenError, Options, Repaired, Report, inspect, repair, verify};
use serde::Serialize;

use super::exit::{Exit, Failure};
use super::output::Output;
use crate::config::{Config, Flags, Sources};
use crate::data_dir::DataDir;
use crate::serve::now;

/// Look at the journal of a broker that does not run, check it or mend it
///
/// Exit code 5 says that something is damaged.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    work: Work,
}

#[derive(Debug, clap::Subcommand)]
enum Work {
    /// Tell which segments, topics and messages there are
    Inspect(Place),
    /// Check every checksum of everything
    Verify(Place),
    /// Write indexes again, copy what is valid out of damaged segments, and move those aside;
    /// deletes nothing
    Repair(Place),
}

/// Where the journal is.
#[derive(Debug, clap::Args)]
struct Place {
    /// Data directory of the broker
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Settings of the broker
    #[arg(long, env = "SAMPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print one JSON object per log
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let (Work::Inspect(place) | Work::Verify(place) | Work::Repair(place)) = &args.work;
    let flags = Flags { data: place.data.clone(), ..Flags::default() };
    let config = Config::load(&Sources::of_process(place.config.clone(), flags))?;
    let data = DataDir::new(&config.data_dir);
    let first = data.journal_path().join("0");
    if !first.is_dir() {
        let why = format!("there is no journal at {}", data.journal_path().display());
        return Err(Failure::failed(format!("{why}; name the broker's directory with --data DIR")));
    }
    // Held until all is done: a broker that starts meanwhile is refused.
    let _lock = data.lock()?;
    let failed = |error: OpenError| Failure::failed(format!("{}: {error}", first.display()));
    let logs = sampan_journal::logs(&first).map_err(failed)?.unwrap_or(1);
    let (mut output, mut damaged) = (Output::new()?, 0);
    for log in 0..logs {
        let path = data.journal_path().join(log.to_string());
        let failed = |error: OpenError| Failure::failed(format!("{}: {error}", path.display()));
        let disk = open(&path).map_err(failed)?;
        damaged += match &args.work {
            Work::Inspect(_) => told(&mut output, place, inspect(&disk).map_err(failed)?)?,
            Work::Verify(_) => told(&mut output, place, verify(&disk).map_err(failed)?)?,
            Work::Repair(_) => {
                let options = Options::new(Arc::new(config.core.classes.clone()));
                let options = Options { segment_bytes: config.journal.segment_bytes, ..options };
                let repaired = repair(disk, options, now()).map_err(failed)?;
                mended(&mut output, place, log, &repaired)?
            }
        };
    }
    output.flush()?;
    match damaged {
        0 => Ok(()),
        count => Err(Failure::Told(Exit::Refused, format!("{count} places are damaged"))),
    }
}

/// Opens a directory that is there.
fn open(path: &Path) -> Result<Disk, OpenError> {
    if path.is_dir() { Ok(Disk::open(path)?) } else { Err(OpenError::Unnamed) }
}

/// Prints what was found; how much of it is damaged.
fn told(output: &mut Output, place: &Place, report: Report) -> Result<usize, Failure> {
    if place.json {
        output.json(&LogLine::of(&report))?;
    } else {
        write!(output, "{report}")?;
    }
    Ok(report.damaged.len())
}

/// Prints what was mended; how much was damaged.
fn mended(
    output: &mut Output,
    place: &Place,
    log: u32,
    repaired: &Repaired,
) -> Result<usize, Failure> {
    if place.json {
        let moved_aside = repaired.moved_aside.iter().map(|number| segment(*number)).collect();
        let damaged = repaired.damaged.iter().map(DamageLine::of).collect();
        output.json(&RepairLine { log, indexed: repaired.indexed, moved_aside, damaged })?;
    } else {
        write!(output, "log {log}\n{repaired}")?;
    }
    Ok(repaired.damaged.len())
}

/// A segment's number as its file is called.
fn segment(number: u64) -> String {
    format!("{number:016x}")
}

#[derive(Serialize)]
struct LogLine {
    store: String,
    log: u32,
    logs: u32,
    segments: Vec<SegmentLine>,
    topics: Vec<TopicLine>,
    values: u64,
    torn_bytes: u64,
    damaged: Vec<DamageLine>,
}

#[derive(Serialize)]
struct SegmentLine {
    segment: String,
    bytes: u64,
    first_commit: u64,
    last_commit: u64,
    records: u64,
    indexed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<bool>,
}

#[derive(Serialize)]
struct TopicLine {
    topic: String,
    epoch: u64,
    floor: u64,
    next: u64,
    messages: u64,
    bytes: u64,
    lost: Vec<HoleLine>,
}

#[derive(Serialize)]
struct HoleLine {
    from: u64,
    to: u64,
}

#[derive(Serialize)]
struct DamageLine {
    segment: String,
    at: u64,
    bytes: u64,
    what: &'static str,
}

#[derive(Serialize)]
struct RepairLine {
    log: u32,
    indexed: u64,
    moved_aside: Vec<String>,
    damaged: Vec<DamageLine>,
}

impl LogLine {
    fn of(report: &Report) -> Self {
        let segments = report.segments.iter().map(|of| SegmentLine {
            segment: segment(of.number),
            bytes: of.bytes,
            first_commit: of.first_commit,
            last_commit: of.last_commit,
            records: of.records,
            indexed: of.is_indexed,
            right: of.is_right,
        });
        let hole = |hole: &Hole| HoleLine { from: hole.from, to: hole.to };
        let topics = report.topics.iter().map(|of| TopicLine {
            topic: of.topic.as_str().to_owned(),
            epoch: of.epoch,
            floor: of.floor,
            next: of.next,
            messages: of.messages,
            bytes: of.bytes,
            lost: of.lost.iter().map(hole).collect(),
        });
        LogLine {
            store: segment(report.store_id),
            log: report.log,
            logs: report.logs,
            segments: segments.collect(),
            topics: topics.collect(),
            values: report.values,
            torn_bytes: report.torn_bytes,
            damaged: report.damaged.iter().map(DamageLine::of).collect(),
        }
    }
}

impl DamageLine {
    fn of(damage: &Damage) -> Self {
        let Damage { at, bytes, what, .. } = *damage;
        DamageLine { segment: segment(damage.segment), at, bytes, what }
    }
}
