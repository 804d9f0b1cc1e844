//! A group against a small model: random work, lost consumers, crashes at any moment.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{Settlement, Start as From};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::session::server::{Consume, Settle};
use sampan_protocol::{Now, Pattern, Topic};

use super::cursor::Cursor;
use super::record::{Block, Letter, Place};
use super::*;
use crate::class;
use crate::journal::{Chunk, Run};
use crate::session::SessionKey;

const TOPICS: u64 = 2;
const EPOCH: u64 = 7;

/// A message of the model: topic and offset.
type Id = (u64, u64);

#[derive(Clone, Debug)]
enum Step {
    Publish { topic: u64, key: u8, live: bool },
    Join { window: u32 },
    Leave { at: usize, lost: bool },
    Settle { at: usize, settlement: u8, cumulative: bool },
    Wait { ms: u64 },
    Store,
    Page,
    Crash { pieces: usize },
    Retry { at: usize },
    Seek { topic: u64, to: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TOPICS, 0u8..3, any::<bool>()).prop_map(|(topic, key, live)| Step::Publish { topic, key, live }),
        2 => (0u32..4).prop_map(|window| Step::Join { window }),
        1 => (any::<usize>(), any::<bool>()).prop_map(|(at, lost)| Step::Leave { at, lost }),
        8 => (any::<usize>(), 0u8..12, prop::bool::weighted(0.2))
            .prop_map(|(at, settlement, cumulative)| Step::Settle { at, settlement, cumulative }),
        2 => (0u64..4000).prop_map(|ms| Step::Wait { ms }),
        4 => Just(Step::Store),
        4 => Just(Step::Page),
        1 => (0usize..6).prop_map(|pieces| Step::Crash { pieces }),
        1 => any::<usize>().prop_map(|at| Step::Retry { at }),
        1 => (0..TOPICS, 1u64..20).prop_map(|(topic, to)| Step::Seek { topic, to }),
    ]
}

/// A gathering on its way, with what is confirmed when it is stored.
struct Put {
    pieces: Vec<Piece>,
    stored: Stored,
    confirms: Vec<Id>,
}

struct Model {
    now: Now,
    group: Group,
    order: GroupOrder,
    entries: Vec<Arc<Entry>>,
    /// Keys of the messages of each topic, by offset from 1 on.
    logs: Vec<Vec<u8>>,
    disk: BTreeMap<Bytes, Bytes>,
    put: Option<Put>,
    pages: VecDeque<(u64, u64, u32)>,
    consumers: u64,
    /// Attempts that consumers hold, as they see it.
    held: Vec<(Consumer, Id, u32)>,
    /// Messages that somebody has finished or given up at some time.
    worked: BTreeSet<Id>,
    /// Acked messages whose ack is not yet stored, and those whose is.
    acked: Vec<Id>,
    confirmed: BTreeSet<Id>,
    /// Bytes of what is stored in one piece.
    piece_bytes: usize,
    /// Attempts that were stored when the group was last restored, until the next hand-out.
    attempts: BTreeMap<Id, u32>,
}

impl Model {
    fn new(order: GroupOrder, piece_bytes: usize) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 };
        let entry = |id| {
            let topic = Topic::parse(&format!("order.{id}")).expect("valid");
            let rule = Arc::new(class::Table::shipped().rule(&topic).clone());
            Arc::new(Entry { id, topic, owner: 0, rule })
        };
        let entries: Vec<_> = (0..TOPICS).map(entry).collect();
        let group = Group::new(name(), definition(order), bounds(), 1);
        let mut model = Model {
            now,
            group,
            order,
            entries,
            logs: vec![Vec::new(); 2],
            disk: BTreeMap::new(),
            put: None,
            pages: VecDeque::new(),
            consumers: 0,
            held: Vec::new(),
            worked: BTreeSet::new(),
            acked: Vec::new(),
            confirmed: BTreeSet::new(),
            piece_bytes,
            attempts: BTreeMap::new(),
        };
        model.group.found();
        model.stand();
        model
    }

    /// Owners say where their topics stand.
    fn stand(&mut self) {
        for (topic, entry) in self.entries.clone().iter().enumerate() {
            let next = self.logs[topic].len() as u64 + 1;
            let extent = Extent { epoch: EPOCH, floor: 1, next };
            self.group.stand(self.now, entry, extent, Begin::Floor);
        }
    }

    /// Messages of a topic as a run.
    fn run(&self, topic: u64, offsets: std::ops::RangeInclusive<u64>) -> Option<Arc<Run>> {
        let mut out = BytesMut::new();
        for offset in offsets {
            let key = *self.logs[topic as usize].get(offset as usize - 1)?;
            let mut attributes = BytesMut::new();
            attribute::put(&mut attributes, Tag::Key, &[b'a' + key]);
            let header = Header { topic_id: topic, ..Header::new(Kind::Deliver) }.number(offset);
            header.write(&mut out, &attributes, &offset.to_le_bytes()).expect("small");
        }
        Run::of(vec![Chunk { head: out.freeze(), body: None }]).map(Arc::new)
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Publish { topic, key, live } => {
                self.logs[topic as usize].push(key);
                let at = self.logs[topic as usize].len() as u64;
                let run = self.run(topic, at..=at).expect("a message");
                let entry = self.entries[topic as usize].clone();
                if live {
                    self.group.offer(self.now, &entry, EPOCH, 1, &run);
                } else {
                    self.stand();
                }
            }
            Step::Join { window } => self.join(window),
            Step::Leave { at, lost } => {
                let consumers = self.group.consumers();
                let Some(&consumer) = consumers.get(at % consumers.len().max(1)) else { return };
                self.held.retain(|(by, ..)| *by != consumer);
                self.group.leave(self.now, consumer, lost).expect("it takes part");
            }
            Step::Settle { at, settlement, cumulative } => {
                let Some(&held) = self.held.get(at % self.held.len().max(1)) else { return };
                let settlement = Settlement::from_number(settlement).unwrap_or(Settlement::Ack);
                self.settle(held, settlement, cumulative);
            }
            Step::Wait { ms } => {
                self.now = self.now.after(Duration::from_millis(ms));
                self.group.time(self.now);
            }
            Step::Store => self.store(),
            Step::Page => self.page(),
            Step::Crash { pieces } => self.crash(pieces),
            Step::Retry { at } => self.retry(at),
            Step::Seek { topic, to } => self.seek(topic, to),
        }
        self.hand_out();
    }

    fn join(&mut self, window: u32) {
        self.consumers += 1;
        let session = SessionKey { index: 1, nonce: 1 };
        let consume = Consume {
            number: self.consumers,
            group: name(),
            pattern: Pattern::parse("order.*").expect("valid"),
            start: From::Since(0),
            window,
            order: None,
            ack_wait: None,
            attempts_max: None,
        };
        let origin = Origin { shard: 0, session };
        self.group.join(origin, Arc::from("w"), &consume).expect("room");
        if window == 0 {
            self.group.pull(Consumer { origin, number: self.consumers }, 3).expect("it takes part");
        }
    }

    fn settle(
        &mut self,
        (by, id, attempt): (Consumer, Id, u32),
        settlement: Settlement,
        cumulative: bool,
    ) {
        let is_cumulative = cumulative && settlement == Settlement::Ack;
        let settle = Settle {
            number: 1,
            consumer: by.number,
            topic_id: id.0,
            epoch: EPOCH,
            from: id.1,
            to: id.1,
            attempt: attempt.into(),
            is_cumulative,
            settlement,
            delay: None,
            reason: String::new(),
        };
        let holds = |(other, held, of): &(Consumer, Id, u32)| {
            let through = is_cumulative && held.0 == id.0 && held.1 <= id.1;
            *other == by && (*held == id && *of == attempt || through)
        };
        let also = self.held.iter().filter(|held| holds(held)).map(|(_, id, _)| *id);
        let meant: BTreeSet<Id> = also.chain([id]).collect();
        let state = |group: &Group| group.topics[&id.0].open.get(&id.1).map(|job| job.state);
        let before = state(&self.group);
        let late = self.group.settle(self.now, by, &settle).expect("it was handed out");
        if late && !matches!(settlement, Settlement::Ack | Settlement::Reject) {
            assert_eq!(state(&self.group), before, "what is over changes nothing");
        }
        if settlement != Settlement::Extend {
            self.held.retain(|held| !holds(held));
        }
        match settlement {
            Settlement::Ack if !is_cumulative || !late => {
                // A cumulative ack means what its consumer still holds.
                let settled = meant.into_iter().filter(|id| self.is_settled(*id));
                let settled: Vec<Id> = settled.collect();
                assert!(is_cumulative || settled == [id], "an ack settles");
                self.worked.extend(&settled);
                self.acked.extend(settled);
            }
            Settlement::Reject => {
                self.worked.insert(id);
            }
            _ => {}
        }
    }

    fn is_settled(&self, id: Id) -> bool {
        let cursor = &self.group.topics[&id.0];
        cursor.is_settled(id.1) && !cursor.open.contains_key(&id.1)
    }

    /// Takes what the group hands out.
    fn hand_out(&mut self) {
        self.group.hand_out(self.now);
        while let Some(output) = self.group.poll() {
            match output {
                Output::Page { entry, from: Start::Offset(from), asked, .. } => {
                    self.pages.push_back((entry.id, from, asked));
                }
                Output::Page { from, .. } => panic!("nobody asked for {from:?}"),
                Output::Pin { entry, offset } => {
                    let done = self.done_after_crash(&entry);
                    assert!(offset <= done + 1, "what a crash would make needed is let go");
                }
                Output::Job(job) => self.handed(&job),
            }
        }
    }

    /// Up to where a topic would be settled if the power went now: by its place, and by blocks that
    /// reach it, as they do where a crash has cut a seek short.
    fn done_after_crash(&self, entry: &Arc<Entry>) -> u64 {
        let place = self.disk.get(&key::cursor(&name(), &entry.topic));
        let Some(place) = place.and_then(|value| Place::decode(value)) else { return 0 };
        let mut cursor = Cursor::new(entry.clone());
        cursor.restore_place(place);
        for (key, value) in &self.disk {
            if !key.starts_with(key::BLOCKS.as_bytes()) {
                continue;
            }
            let (_, topic, number) = key::parts(key).expect("a key");
            if topic == Some(entry.topic.as_str()) {
                cursor.restore(Block::decode(number.expect("a number"), value).expect("readable"));
            }
        }
        cursor.done
    }

    fn handed(&mut self, job: &Handed) {
        let id = (job.entry.id, job.offset);
        assert!(!self.confirmed.contains(&id), "{id:?} is settled and stored");
        assert_eq!(job.payload, job.offset.to_le_bytes()[..]);
        if let Some(stored) = self.attempts.remove(&id) {
            assert!(job.attempt > stored, "{id:?}: {} after {stored}", job.attempt);
        }
        let is_back = self.group.topics[&id.0].open[&id.1].returned.is_some();
        if self.order == GroupOrder::Key && !is_back {
            let log = &self.logs[id.0 as usize];
            let key = |offset: u64| log[offset as usize - 1];
            let older = (1..id.1).filter(|offset| key(*offset) == key(id.1));
            for offset in older {
                let returned = self.group.topics[&id.0].open.get(&offset);
                let returned = returned.is_some_and(|job| job.returned.is_some());
                assert!(self.is_settled((id.0, offset)) || returned, "{offset} before {id:?}");
            }
            let cursor = &self.group.topics[&id.0];
            let held = cursor.open.iter().filter(|(offset, job)| {
                key(**offset) == key(id.1) && matches!(job.state, State::Held { .. })
            });
            assert!(held.count() <= 1, "one of a key at a time");
        }
        let held = &self.group.members[&job.to].held;
        assert!(held.len() <= 3, "no more than the window or what was pulled");
        self.held.push((job.to, id, job.attempt));
    }

    /// What is on its way is stored, and what has changed is on its way.
    fn store(&mut self) {
        if let Some(put) = self.put.take() {
            put.pieces.into_iter().for_each(|piece| write(&mut self.disk, piece));
            self.group.stored(self.now, put.stored);
            self.confirmed.extend(put.confirms);
        }
        if self.group.has_changed() {
            let (pieces, stored) = self.group.gather(self.piece_bytes);
            let confirms = std::mem::take(&mut self.acked);
            self.put = Some(Put { pieces, stored, confirms });
        }
    }

    fn page(&mut self) {
        let Some((topic, from, asked)) = self.pages.pop_front() else { return };
        let last = self.logs[topic as usize].len() as u64;
        let run = self.run(topic, from..=last.min(from + 2)).filter(|_| from <= last);
        let next = run.as_ref().map_or(last + 1, |run| run.to + 1);
        let runs = run.into_iter().map(|run| (None, run)).collect();
        let page = Page { epoch: EPOCH, runs, hole: None, next };
        self.group.paged(self.now, topic, asked, &page);
    }

    /// Power goes, and comes back. So many pieces of what was on its way have been stored, whole.
    fn crash(&mut self, pieces: usize) {
        if let Some(put) = self.put.take() {
            let stored = put.pieces.into_iter().take(pieces);
            stored.for_each(|piece| write(&mut self.disk, piece));
        }
        (self.held, self.acked, self.pages) = (Vec::new(), Vec::new(), VecDeque::new());
        let Some(value) = self.disk.get(&key::group(&name())) else {
            self.group = Group::new(name(), definition(self.order), bounds(), 1);
            self.group.found();
            return self.stand();
        };
        self.group = Group::restored(name(), value, bounds(), 1).expect("readable");
        self.attempts.clear();
        for prefix in [key::CURSORS, key::BLOCKS, key::RETURNS] {
            for (key, value) in self.disk.clone() {
                if !key.starts_with(prefix.as_bytes()) {
                    continue;
                }
                let (_, second, number) = key::parts(&key).expect("a key");
                let entry = |topic: &str| {
                    self.entries.iter().find(|e| e.topic.as_str() == topic).cloned().expect("known")
                };
                match prefix {
                    key::CURSORS => {
                        let entry = entry(second.expect("a topic"));
                        assert!(self.group.restore_place(&entry, &value));
                    }
                    key::BLOCKS => {
                        let entry = entry(second.expect("a topic"));
                        assert!(self.group.restore_block(
                            &entry,
                            number.expect("a number"),
                            &value
                        ));
                    }
                    _ => {
                        let letter = Letter::decode(&value).expect("readable");
                        let entry = entry(letter.topic.as_str());
                        self.group.restore_return(&entry, number.expect("an id"), &letter);
                    }
                }
            }
        }
        for (id, cursor) in &self.group.topics {
            let stored = cursor.tried.iter().map(|(offset, t)| ((*id, *offset), t.attempts));
            self.attempts.extend(stored);
        }
        self.stand();
    }

    /// Puts one stored dead letter back.
    fn retry(&mut self, at: usize) {
        let letters: Vec<_> = self.stored_letters();
        let Some((id, letter)) = letters.get(at % letters.len().max(1)) else { return };
        // As in a shard, nothing else may be on its way.
        while self.put.is_some() || self.group.has_changed() {
            self.store();
        }
        let number = letter.topic.as_str().rsplit('.').next().and_then(|n| n.parse().ok());
        let topic: u64 = number.expect("a number");
        let entry = self.entries[topic as usize].clone();
        let back = self.group.put_back(&entry, *id, letter);
        if back == Back::Full {
            return;
        }
        assert_eq!(back, Back::Here);
        // It is due again, with no attempt behind it.
        self.confirmed.remove(&(topic, letter.offset));
        self.acked.retain(|acked| *acked != (topic, letter.offset));
        self.attempts.remove(&(topic, letter.offset));
        while self.put.is_some() || self.group.has_changed() {
            self.store();
        }
    }

    /// Lets the group read a topic from another place on: what lies behind that comes again, what
    /// lies before it does not.
    fn seek(&mut self, topic: u64, to: u64) {
        if self.group.seek(self.now, topic, Seek::Offset(to)).is_err() {
            return;
        }
        self.held.retain(|(_, id, _)| id.0 != topic);
        self.worked.extend((1..to).map(|offset| (topic, offset)));
        let stays = |id: &Id| id.0 != topic || id.1 < to;
        self.confirmed.retain(stays);
        self.acked.retain(stays);
        self.attempts.retain(|id, _| id.0 != topic);
        self.put.iter_mut().for_each(|put| put.confirms.retain(stays));
        // Before its first consumer a group keeps nothing from retention.
        while !self.group.definition.is_used && (self.put.is_some() || self.group.has_changed()) {
            self.store();
        }
    }

    fn stored_letters(&self) -> Vec<(u64, Letter)> {
        let prefix = key::letters(&name());
        let letters = self.disk.iter().filter(|(key, _)| key.starts_with(&prefix));
        let read =
            |(name, value): (&Bytes, &Bytes)| Some((key::parts(name)?.2?, Letter::decode(value)?));
        letters.map(|letter| read(letter).expect("readable")).collect()
    }

    /// Works until nothing is left, then checks that nothing was lost.
    fn finish(mut self) {
        self.join(3);
        for _ in 0..2000 {
            self.step(&Step::Page);
            self.step(&Step::Store);
            for held in self.held.clone() {
                let (by, ..) = held;
                if self.group.members.contains_key(&by) {
                    self.settle(held, Settlement::Ack, false);
                }
            }
            self.held.clear();
            self.step(&Step::Wait { ms: 20_000 });
            let lag: u64 = self.group.status().lag;
            if lag == 0 && self.put.is_none() && !self.group.has_changed() {
                break;
            }
        }
        let dead: BTreeSet<Id> = self
            .stored_letters()
            .iter()
            .map(|(_, letter)| {
                let topic = letter.topic.as_str().rsplit('.').next().expect("a token");
                (topic.parse().expect("a number"), letter.offset)
            })
            .collect();
        for (topic, log) in (0..).zip(&self.logs) {
            for offset in 1..=log.len() as u64 {
                let id = (topic, offset);
                assert!(self.is_settled(id), "{id:?} is left: {:?}", self.group.status());
                assert!(self.worked.contains(&id) || dead.contains(&id), "{id:?} is lost");
            }
        }
        // A message may have been given up again after a seek.
        assert_eq!(self.group.definition.letters, self.stored_letters().len() as u64);
        assert!(!self.disk.keys().any(|key| key.starts_with(key::RETURNS.as_bytes())));
        assert_eq!((self.group.open_count, self.group.open_bytes), (0, 0));
        assert!(self.group.deadlines.is_empty() && self.group.pages == 0);
    }
}

fn write(disk: &mut BTreeMap<Bytes, Bytes>, values: Vec<(Bytes, Option<Bytes>)>) {
    for (key, value) in values {
        match value {
            Some(value) => disk.insert(key, value),
            None => disk.remove(&key),
        };
    }
}

fn name() -> Topic {
    Topic::parse("billing").expect("valid")
}

fn bounds() -> Bounds {
    Bounds { ahead_count: 8, ..Bounds::from(&Limits::default()) }
}

fn definition(order: GroupOrder) -> Definition {
    Definition {
        pattern: Pattern::parse("order.*").expect("valid"),
        order,
        ack_wait: Duration::from_secs(2),
        attempts_max: NonZeroU32::MIN.get() + 2,
        is_used: false,
        since_ms: 0,
        letters: 0,
        next_letter: 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_nothing_settled_comes_again_and_keys_keep_their_order(
        by_key: bool, in_pieces: bool, steps in prop::collection::vec(step(), 0..150),
    ) {
        let order = if by_key { GroupOrder::Key } else { GroupOrder::Any };
        let mut model = Model::new(order, if in_pieces { 100 } else { 1 << 20 });
        for step in &steps {
            model.step(step);
        }
        model.finish();
    }
}
