//! The log as its owner sees it.

mod cases;
mod chance;
mod faults;
mod keeping;
mod spec;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_core::class::{Retention, Rule, Table};
use sampan_core::journal::{Chunk, Hole, Run, Sent, Start};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::{Class, Now, Pattern, Topic};

use crate::storage::Storage;
use crate::storage::faulty::Faulty;
use crate::{Checkpoint, Error, Log, Options, Page, Wanted, Write, Written};

/// Wall clock of the first moment of every test.
const START_MS: u64 = 1_000_000;

pub(crate) fn topic(name: &str) -> Topic {
    Topic::parse(name).expect(name)
}

/// Messages `from..` with bodies of these sizes; times count up with the offsets.
pub(crate) fn run(from: u64, sizes: &[usize]) -> Arc<Run> {
    let mut frames = BytesMut::new();
    for (offset, size) in (from..).zip(sizes) {
        let header = Header::new(Kind::Deliver).number(offset);
        let header = Header { topic_id: 7, time_ms: START_MS + offset, ..header };
        let body = vec![u8::try_from(offset % 251).expect("a byte"); *size];
        header.write(&mut frames, &[], &body).expect("small");
    }
    let mut run = Run::of(vec![Chunk { head: frames.freeze(), body: None }]).expect("whole frames");
    let count = sizes.len() as u64;
    run.sent = vec![Sent { producer: 5, sequence: from + 100, offset: from, count }];
    Arc::new(run)
}

pub(crate) fn append(name: &str, from: u64, sizes: &[usize]) -> Write {
    let (topic, run) = (topic(name), run(from, sizes));
    Write::Append { topic, epoch: 1, run, early: false, replaces: Vec::new() }
}

/// A run of a topic of kept values: the newest messages of these keys.
pub(crate) fn kept(name: &str, keys: &[&str], run: Arc<Run>) -> Write {
    let replaces = keys.iter().map(|key| Arc::from(*key)).collect();
    Write::Append { topic: topic(name), epoch: 1, run, early: false, replaces }
}

pub(crate) fn put(key: &str, value: Option<&str>) -> Write {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Write::Put(vec![(bytes(key), value.map(bytes))])
}

/// A directory with a log in it, its clock, and what retention is to be.
pub(crate) struct Place {
    pub(crate) disk: Faulty,
    pub(crate) now: Now,
    pub(crate) options: Options,
}

impl Place {
    pub(crate) fn new() -> Self {
        Place::keeping(Retention::DEFAULT)
    }

    pub(crate) fn keeping(retention: Retention) -> Self {
        let pattern = |text| Pattern::parse(text).expect("a pattern");
        let rules = vec![
            Rule { retention, ..Rule::new(pattern(">"), Class::Durable) },
            Rule::new(pattern("latest.>"), Class::Latest),
        ];
        let options = Options {
            store_id: 9,
            segment_bytes: 64 << 10,
            ..Options::new(Arc::new(Table::new(rules)))
        };
        let disk = Faulty::default();
        Place { disk, now: Now { mono: Instant::now(), unix_ms: START_MS }, options }
    }

    pub(crate) fn open(&self) -> Log<Faulty> {
        Log::open(self.disk.clone(), self.options.clone(), self.now).expect("opens")
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }

    pub(crate) fn close(&self, log: Log<Faulty>) {
        let Log { writer, .. } = log;
        writer.close(self.now).expect("closed");
    }

    /// Writes and syncs; everything has to be taken.
    pub(crate) fn store(&self, log: &mut Log<Faulty>, writes: &[Write]) {
        for answer in log.writer.write(self.now, writes) {
            answer.expect("taken");
        }
        log.writer.sync().expect("synced");
    }
}

pub(crate) fn read(log: &Log<Faulty>, name: &str, start: Start) -> Page {
    let wanted = Wanted { start, max_bytes: 1 << 20, max_count: 10_000 };
    log.reader.read(&topic(name), 33, wanted).expect("read")
}

pub(crate) fn offsets(page: &Page) -> Vec<u64> {
    page.runs.iter().flat_map(|run| run.frames()).map(|frame| frame.offset).collect()
}

pub(crate) fn load(log: &Log<Faulty>, prefix: &str) -> Vec<(String, String)> {
    let (values, more) = log.reader.load(prefix.as_bytes(), None, 1 << 20).expect("loaded");
    assert!(!more);
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
    values.iter().map(|(key, value)| (text(key), text(value))).collect()
}
