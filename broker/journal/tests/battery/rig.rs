//! A log on a faulty directory, and the history of what its users were told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_core::class::{Retention, Rule, Table};
use sampan_core::journal::{Chunk, Hole, Run, Sent, Start};
use sampan_journal::storage::faulty::Faulty;
use sampan_journal::{
    Error, Log, OpenError, Opening, Options, Reader, Wanted, Write, Writer, Written,
};
use sampan_protocol::frame::{Frame, Header, Kind};
use sampan_protocol::{Class, Now, Pattern, Topic};
use sampan_tests::check::{Report, check};
use sampan_tests::history::{Aftermath, Event, Found, Level, Message, Place};
use sampan_tests::payload;

/// What the frames name their topic while they are written, and while they are read.
const WRITTEN_AS: u64 = 7;
const READ_AS: u64 = 8;

/// A moment to start from; only differences count.
pub(crate) fn start() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 }
}

/// Options with the smallest segments, so that a few messages roll.
pub(crate) fn options() -> Options {
    Options { store_id: 77, segment_bytes: 16 << 10, ..Options::new(Arc::new(Table::shipped())) }
}

/// Messages of a topic that [`limited`] keeps.
pub(crate) const KEPT: u64 = 60;

/// Options with limits that move floors, so that segments are cleaned.
pub(crate) fn limited() -> Options {
    let retention = Retention { count: Some(KEPT), ..Retention::DEFAULT };
    let pattern = Pattern::parse("order.>").expect("valid");
    let rule = Rule { retention, ..Rule::new(pattern, Class::Durable) };
    Options { classes: Table::new(vec![rule]).into(), tail_bytes: 4096, ..options() }
}

pub(crate) fn topic(number: u64) -> Topic {
    Topic::parse(&format!("order.{number}")).expect("a valid name")
}

/// One version of the value of a key.
#[derive(Clone, Copy, Debug, Default)]
struct Version {
    written: u64,
    synced: u64,
}

/// What the users of a log know; it outlives the log.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) events: Vec<Event>,
    /// Per event how many steps the storage had written down by then; never falls while one is written to.
    at: Vec<usize>,
    /// Per key: when which version was written, and when it was synced.
    versions: BTreeMap<u64, Vec<(usize, Version)>>,
    producer: u64,
    sequence: u64,
    pub(crate) now: Now,
}

impl Told {
    pub(crate) fn new() -> Self {
        let (events, at, versions) = (Vec::new(), Vec::new(), BTreeMap::new());
        Told { events, at, versions, producer: 1, sequence: 0, now: start() }
    }

    /// What was known when the storage had written down so many steps.
    pub(crate) fn until(&self, step: usize) -> Told {
        let mut told = self.clone();
        let known = told.at.partition_point(|at| *at <= step);
        told.events.truncate(known);
        told.at.truncate(known);
        for versions in told.versions.values_mut() {
            versions.retain(|(at, _)| *at <= step);
        }
        told
    }

    fn holds(event: &Event, lost: &BTreeMap<Topic, Vec<Hole>>) -> bool {
        let (Event::Acked { place, .. } | Event::Shown(place, _)) = event else { return false };
        let topic = Topic::parse(&place.topic).expect("a valid name");
        let holes = lost.get(&topic).map_or(&[][..], Vec::as_slice);
        holes.iter().any(|hole| (hole.from..=hole.to).contains(&place.offset))
    }

    /// Without the messages at these offsets: the log says itself that they are damaged.
    fn without(&self, lost: &BTreeMap<Topic, Vec<Hole>>) -> Vec<Event> {
        let gone: std::collections::BTreeSet<Message> = self
            .events
            .iter()
            .filter(|event| Told::holds(event, lost))
            .filter_map(|event| match event {
                Event::Acked { message, .. } | Event::Shown(_, message) => Some(*message),
                _ => None,
            })
            .collect();
        let mut events = self.events.clone();
        events.retain(|event| match event {
            Event::Sent { message, .. }
            | Event::Acked { message, .. }
            | Event::Shown(_, message) => !gone.contains(message),
            _ => true,
        });
        events
    }
}

/// What a log holds, as its users read it.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    pub(crate) after: Aftermath,
    /// What the log says is damaged or lost.
    pub(crate) lost: BTreeMap<Topic, Vec<Hole>>,
}

/// An open log.
pub(crate) struct Rig {
    pub(crate) storage: Faulty,
    writer: Option<Writer<Faulty>>,
    pub(crate) reader: Reader<Faulty>,
    pub(crate) opening: Opening,
    pub(crate) told: Told,
    next: BTreeMap<Topic, (u64, u64)>,
    /// Acks that wait for a sync.
    unsynced: Vec<(Message, Place)>,
    keys: Vec<u64>,
}

impl Rig {
    /// A new log.
    pub(crate) fn new() -> Self {
        Rig::open(&Faulty::default(), Told::new(), options()).expect("a new log")
    }

    /// The log in this directory. Its users are other ones than before, with the same knowledge.
    pub(crate) fn open(storage: &Faulty, told: Told, options: Options) -> Result<Self, OpenError> {
        let Log { writer, reader, opening, .. } = Log::open(storage.clone(), options, told.now)?;
        let mut rig = Rig {
            storage: storage.clone(),
            writer: Some(writer),
            reader,
            opening,
            told,
            next: BTreeMap::new(),
            unsynced: Vec::new(),
            keys: Vec::new(),
        };
        rig.told.producer += 1;
        Ok(rig)
    }

    fn tell(&mut self, event: Event) {
        self.told.events.push(event);
        self.told.at.push(self.storage.recorded());
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.told.now = self.told.now.after(time);
    }

    /// Epoch and next offset of a topic.
    pub(crate) fn standing(&mut self, topic: &Topic) -> (u64, u64) {
        let known = self.next.get(topic).copied();
        known.unwrap_or_else(|| {
            let standing = self.reader.standing(topic, self.told.now).expect("a standing");
            (standing.epoch, standing.next)
        })
    }

    /// Sends messages to a topic in one run.
    pub(crate) fn send(
        &mut self,
        topic: &Topic,
        count: u64,
        bytes: usize,
        early: bool,
    ) -> Result<Written, Error> {
        let (epoch, from) = self.standing(topic);
        let first = self.told.sequence + 1;
        let mut chunks = Vec::new();
        let mut sent = Vec::new();
        for (offset, sequence) in (from..from + count).zip(first..) {
            let message = Message { producer: self.told.producer, sequence };
            let body = payload::encode(message, bytes);
            let header = Header {
                topic_id: WRITTEN_AS,
                time_ms: self.told.now.unix_ms,
                ..Header::new(Kind::Deliver)
            };
            let head = header.number(offset).to_frame(&[], &body).expect("small");
            chunks.push(Chunk { head, body: None });
            self.tell(Event::Sent { message, topic: topic.as_str().into(), bytes });
            sent.push((message, Place { topic: topic.as_str().into(), epoch, offset }));
        }
        self.told.sequence += count;
        let called = Sent { producer: self.told.producer, sequence: first, offset: from, count };
        let run = Run { sent: vec![called], ..Run::of(chunks).expect("whole frames") };
        let write = Write::Append {
            topic: topic.clone(),
            epoch,
            run: Arc::new(run),
            early,
            replaces: Vec::new(),
        };
        let answer = self.write(&[write]).remove(0);
        match answer {
            Ok(written) => {
                self.next.insert(topic.clone(), (epoch, from + count));
                for (message, place) in sent {
                    // Nobody is told an offset early unless the log was asked and allows it.
                    let levels = [Level::Routed, Level::Logged].into_iter();
                    for level in levels.filter(|_| early && written.shown) {
                        self.tell(Event::Acked { message, place: place.clone(), level });
                    }
                    self.unsynced.push((message, place));
                }
            }
            Err(Error::Storage(_) | Error::Fenced) => {}
            Err(_) => sent.into_iter().for_each(|(message, _)| self.tell(Event::Refused(message))),
        }
        answer
    }

    pub(crate) fn write(&mut self, writes: &[Write]) -> Vec<Result<Written, Error>> {
        let now = self.told.now;
        self.writer().write(now, writes)
    }

    /// Writes the next version of a pair of keys, both or none.
    pub(crate) fn put(&mut self, key: u64, bytes: usize) -> Result<Written, Error> {
        let before = self.told.versions.get(&key).and_then(|all| all.last());
        let mut version = before.map_or(Version::default(), |(_, version)| *version);
        version.written += 1;
        let value = payload::encode(Message { producer: key, sequence: version.written }, bytes);
        let value = Some(Bytes::from(value));
        let at = self.storage.recorded();
        self.told.versions.entry(key).or_default().push((at, version));
        let pair = ["a", "b"].map(|side| (pair_key(side, key), value.clone()));
        let answer = self.write(&[Write::Put(pair.to_vec())]).remove(0);
        match answer {
            Ok(_) => self.keys.push(key),
            Err(Error::Storage(_) | Error::Fenced) => {}
            Err(_) => drop(self.told.versions.entry(key).or_default().pop()),
        }
        answer
    }

    /// Syncs; what was written is acknowledged.
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        self.writer().sync()?;
        for (message, place) in std::mem::take(&mut self.unsynced) {
            self.tell(Event::Acked { message, place, level: Level::Synced });
        }
        let at = self.storage.recorded();
        for key in std::mem::take(&mut self.keys) {
            let versions = self.told.versions.entry(key).or_default();
            let last = versions.last().map_or(Version::default(), |(_, version)| *version);
            versions.push((at, Version { synced: last.written, ..last }));
        }
        Ok(())
    }

    fn writer(&mut self) -> &mut Writer<Faulty> {
        self.writer.as_mut().expect("not closed")
    }

    pub(crate) fn is_fenced(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::is_fenced)
    }

    /// Closes the log; what is in the rig can still be read.
    pub(crate) fn close(&mut self) -> Result<(), Error> {
        self.sync()?;
        let now = self.told.now;
        self.writer.take().expect("not closed").close(now)
    }

    /// Looks after segments and limits once.
    pub(crate) fn maintain(&mut self) -> Result<(), Error> {
        let now = self.told.now;
        self.writer().maintain(now).map(drop)
    }

    /// Everything that can be read of these topics, in pages of so many bytes.
    pub(crate) fn read(&self, topics: &[Topic], page_bytes: usize) -> Holdings {
        let mut holdings = Holdings::default();
        for topic in topics {
            let standing = self.reader.standing(topic, self.told.now).expect("a standing");
            holdings.lost.entry(topic.clone()).or_default().extend(standing.lost);
            holdings.after.floors.push((topic.as_str().into(), standing.floor));
            let mut at = 1;
            loop {
                let page = self.reader.read(topic, READ_AS, wanted(at, page_bytes));
                let page = page.expect("a page");
                holdings.lost.entry(topic.clone()).or_default().extend(page.damaged);
                let Some(last) = page.runs.last() else { break };
                for deliver in page.runs.iter().flat_map(|run| run.frames()) {
                    assert!(deliver.offset >= at, "{topic}: {} below {at}", deliver.offset);
                    let mut whole = deliver.head.to_vec();
                    whole.extend_from_slice(&deliver.body.unwrap_or_default());
                    let frame = Frame::decode(whole.into(), 1 << 20).expect("a frame");
                    assert_eq!(frame.header.topic_id, READ_AS);
                    assert_eq!(frame.header.number, deliver.offset);
                    let place = Place {
                        topic: topic.as_str().into(),
                        epoch: standing.epoch,
                        offset: deliver.offset,
                    };
                    let payload = frame.body_bytes().to_vec();
                    holdings.after.found.push(Found { place, payload });
                }
                at = last.to + 1;
            }
        }
        holdings
    }

    /// The versions of the values whose pairs do not hold what they must.
    fn wrong_values(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (key, versions) in &self.told.versions {
            let written = versions.iter().map(|(_, version)| version.written).max().unwrap_or(0);
            let synced = versions.iter().map(|(_, version)| version.synced).max().unwrap_or(0);
            let found = ["a", "b"].map(|side| {
                let prefix = pair_key(side, *key);
                let loaded = self.reader.load(&prefix, None, 1 << 20);
                let Ok((values, _)) = loaded else { return None };
                let value = values.into_iter().find(|(name, _)| *name == prefix);
                value.map_or(Some(0), |(_, value)| {
                    payload::decode(&value)
                        .filter(|message| message.producer == *key)
                        .map(|message| message.sequence)
                })
            });
            let right =
                matches!(found, [Some(a), Some(b)] if a == b && (synced..=written).contains(&a));
            if !right {
                wrong.push(format!("key {key}: {found:?}, synced {synced}, written {written}"));
            }
        }
        wrong
    }

    /// Everything that is wrong with what the log holds now, given what survived what befell it.
    pub(crate) fn check(&self, topics: &[Topic], survives: Level, page_bytes: usize) -> Report {
        let holdings = self.read(topics, page_bytes);
        self.judge(&self.told.events, &holdings, survives)
    }

    /// Like [`Rig::check`], where the log says of itself that something is damaged.
    pub(crate) fn check_damaged(&self, topics: &[Topic]) -> (Report, Holdings) {
        let mut holdings = self.read(topics, 1 << 16);
        // Damage starts another epoch; the offsets go on, and so what is kept is still known.
        holdings.after.found.iter_mut().for_each(|found| found.place.epoch = 1);
        let report = self.judge(&self.told.without(&holdings.lost), &holdings, Level::Synced);
        (report, holdings)
    }

    pub(crate) fn judge(&self, events: &[Event], holdings: &Holdings, survives: Level) -> Report {
        let mut report = check(events, &holdings.after, survives);
        let wrong = self.wrong_values();
        report.cursor_regressed += wrong.len() as u64;
        report.findings.extend(wrong);
        report
    }
}

fn wanted(at: u64, max_bytes: usize) -> Wanted {
    Wanted { start: Start::Offset(at), max_bytes, max_count: 100 }
}

fn pair_key(side: &str, key: u64) -> Bytes {
    format!("{side}/{key:04}").into()
}
