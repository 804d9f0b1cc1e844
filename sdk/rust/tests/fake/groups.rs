//! Groups of the broker that one can see through: every message of a matching topic goes to the
//! first consumer with room, in order, until it is settled.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use protocol::attribute::{self, Tag};
use protocol::control::{self, Settlement, TopicName};
use protocol::frame::Header;
use protocol::session::server::{Consume, Settle, done};
use protocol::{Class, Code, Kind, Pattern, Topic};

use super::{Fake, State};

/// A session and the number of its consumer.
type Holder = (u64, u64);

/// The only group there is.
#[derive(Default)]
pub(super) struct Group {
    consumers: BTreeMap<Holder, Consumer>,
    /// Attempts of each message that is not settled, and who holds it.
    open: BTreeMap<(Topic, u64), (u64, Option<Holder>)>,
    settled: BTreeMap<(Topic, u64), ()>,
    /// What was said, in order.
    said: Vec<(Settlement, u64, String)>,
    /// Settlements that are still to be left without an answer.
    silent: usize,
}

struct Consumer {
    pattern: Pattern,
    window: u64,
    credit: u64,
}

impl Fake {
    /// What was said of jobs so far: settlement, offset, reason.
    pub(crate) fn said(&self) -> Vec<(Settlement, u64, String)> {
        self.state().group.said.clone()
    }

    /// How many consumers there are.
    pub(crate) fn consumers(&self) -> usize {
        self.state().group.consumers.len()
    }

    /// Leaves so many settlements without an answer.
    pub(crate) fn lose_settled(&self, count: usize) {
        self.state().group.silent = count;
    }
}

impl State {
    pub(super) fn consume(&mut self, key: u64, consume: Consume) {
        if consume.group.as_str() == "forbidden" {
            let body = control::refused(Code::GROUP_DIFFERS, 0, "another pattern");
            return self.tell(key, control::encode(&body, consume.number).expect("small"));
        }
        let (pattern, window) = (consume.pattern, consume.window.into());
        let consumer = Consumer { pattern, window, credit: 0 };
        self.group.consumers.insert((key, consume.number), consumer);
        self.tell(key, done(consume.number));
        self.hand_out();
    }

    pub(super) fn pull(&mut self, key: u64, number: u64, count: u64) {
        if let Some(consumer) = self.group.consumers.get_mut(&(key, number)) {
            consumer.credit += count;
        }
        self.hand_out();
    }

    pub(super) fn settle(&mut self, key: u64, settle: &Settle) {
        let known = self.logs.iter().find(|(_, log)| log.id == settle.topic_id);
        let topic = known.map(|(topic, _)| topic.clone()).expect("a known id");
        let by = Some((key, settle.consumer));
        let from = if settle.is_cumulative { 1 } else { settle.from };
        let mut late = false;
        for offset in from..=settle.to {
            let place = (topic.clone(), offset);
            let (attempt, holder) = self.group.open.get(&place).copied().unwrap_or_default();
            let is_over = holder != by || attempt != settle.attempt;
            late |= is_over && !settle.is_cumulative;
            if settle.settlement == Settlement::Extend {
                continue;
            }
            if matches!(settle.settlement, Settlement::Ack | Settlement::Reject) {
                self.group.open.remove(&place);
                self.group.settled.insert(place, ());
            } else if let Some((_, holder)) = self.group.open.get_mut(&place)
                && !is_over
            {
                *holder = None;
            }
        }
        self.group.said.push((settle.settlement, settle.to, settle.reason.clone()));
        if self.group.silent > 0 {
            self.group.silent -= 1;
        } else {
            let flags = if late { protocol::frame::flag::LATE } else { 0 };
            let header = Header { flags, ..Header::new(Kind::Settled).number(settle.number) };
            self.tell(key, header.to_frame(&[], &[]).expect("small"));
        }
        self.hand_out();
    }

    pub(super) fn leave(&mut self, key: u64, number: u64) {
        self.end_consumer(key, number);
        self.tell(key, done(number));
    }

    /// The sessions that are gone have no consumers.
    pub(super) fn end_consumers(&mut self) {
        let all: Vec<_> = self.group.consumers.keys().copied().collect();
        for (key, number) in all {
            if !self.sessions.contains_key(&key) {
                self.end_consumer(key, number);
            }
        }
    }

    fn end_consumer(&mut self, key: u64, number: u64) {
        self.group.consumers.remove(&(key, number));
        for (_, holder) in self.group.open.values_mut() {
            holder.take_if(|by| *by == (key, number));
        }
        self.hand_out();
    }

    pub(super) fn hand_out(&mut self) {
        let mut jobs = Vec::new();
        for (topic, log) in &self.logs {
            for (offset, message) in (1..).zip(&log.messages) {
                let place = (topic.clone(), offset);
                let held = self.group.open.get(&place).is_some_and(|(_, by)| by.is_some());
                if held || self.group.settled.contains_key(&place) {
                    continue;
                }
                let open = &self.group.open;
                let takes = |by: &Holder, consumer: &Consumer| {
                    let held = open.values().filter(|(_, holder)| *holder == Some(*by)).count();
                    let room = (held as u64) < consumer.window || consumer.credit > 0;
                    room && consumer.pattern.matches(topic)
                };
                let mut consumers = self.group.consumers.iter_mut();
                let Some((by, consumer)) = consumers.find(|(by, c)| takes(by, c)) else { continue };
                consumer.credit = consumer.credit.saturating_sub(1);
                let (attempts, holder) = self.group.open.entry(place).or_default();
                *attempts += 1;
                *holder = Some(*by);
                jobs.push((*by, topic.clone(), log.id, offset, *attempts, message.clone()));
            }
        }
        for ((key, number), topic, id, offset, attempt, message) in jobs {
            self.name_for_jobs(key, &topic, id);
            self.tell(key, job(number, id, offset, attempt, &message));
        }
    }

    fn name_for_jobs(&mut self, key: u64, topic: &Topic, id: u64) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        if session.named.insert(id) {
            let (class, name) = (Class::Durable.number(), topic.to_string());
            let body = TopicName { name, class, epoch: 0, next: 0 };
            let header = Header { topic_id: id, ..Header::new(Kind::Topic) };
            session.offer(control::encode_with(header, &body).expect("small"));
        }
    }
}

fn job(consumer: u64, id: u64, offset: u64, attempt: u64, message: &(Bytes, Bytes)) -> Bytes {
    let mut attributes = BytesMut::from(&message.0[..]);
    attribute::put_number(&mut attributes, Tag::Consumer, consumer);
    attribute::put_number(&mut attributes, Tag::Attempt, attempt);
    attribute::put_number(&mut attributes, Tag::Epoch, 1);
    let header = Header { topic_id: id, ..Header::new(Kind::Job).number(offset) };
    header.to_frame(&attributes, &message.1).expect("small")
}
