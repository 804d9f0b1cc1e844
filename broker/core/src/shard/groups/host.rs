//! At a group's shard: consumers, topics and pages, and the jobs that follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::Start;
use sampan_protocol::frame::{Header, Kind, flag};
use sampan_protocol::session::server::{self, Consume, Settle};
use sampan_protocol::{Code, Now, Topic};

use super::super::commands::refused;
use super::super::{Shard, owner::BUSY};
use super::bundle::Bundle;
use super::{Answer, Asker, Forming, Hosted, Managed, Say, WAITING_MAX};
use crate::directory::Entry;
use crate::group::{Begin, Consumer, Definition, Extent, Group, Output, Page};
use crate::journal::Run;
use crate::message::{FeedRef, Hole, Message, Origin};
use crate::session::SessionKey;
use crate::timer::Timer;

impl Shard {
    /// A message for a group. Until the shard knows its groups, they wait.
    pub(in crate::shard) fn group_message(&mut self, now: Now, message: Message) {
        if self.groups.loading.is_some() {
            return self.await_groups(message);
        }
        match message {
            Message::Consume { origin, user, consume } => {
                self.join_group(now, origin, user, consume);
            }
            Message::Pull { consumer, group, count } => {
                let hosted = self.groups.named(&group);
                let pulled = hosted.map(|hosted| hosted.group.pull(consumer, count));
                if let Some(Err(code)) = pulled {
                    self.end_consumer(consumer.origin, consumer.number, code, Duration::ZERO);
                }
            }
            Message::Settle { origin, group, settle } => {
                self.settle_at(now, origin, &group, &settle);
            }
            Message::LeaveGroup { consumer, group, lost } => {
                self.leave_at(now, consumer, &group, lost);
            }
            _ => {}
        }
    }

    /// Keeps a message until the shard knows its groups. For one too many there is an answer, and a
    /// consumer that has none to wait for ends.
    fn await_groups(&mut self, message: Message) {
        if self.groups.waiting.len() < WAITING_MAX {
            return self.groups.waiting.push(message);
        }
        match message {
            Message::Consume { origin, consume, .. } => {
                self.end_consumer(origin, consume.number, Code::BUSY, BUSY);
            }
            Message::Settle { origin, settle, .. } => {
                self.refuse_at(origin, settle.number, Code::BUSY);
            }
            Message::Pull { consumer, .. } => {
                self.await_no_consumer(consumer);
                self.end_consumer(consumer.origin, consumer.number, Code::BUSY, BUSY);
            }
            Message::LeaveGroup { consumer, lost, .. } => {
                self.await_no_consumer(consumer);
                if lost.is_none() {
                    self.tell_at(consumer.origin, server::done(consumer.number));
                }
            }
            _ => {}
        }
    }

    /// Forgets that a consumer wants to take part.
    fn await_no_consumer(&mut self, gone: Consumer) {
        self.groups.waiting.retain(|message| match message {
            Message::Consume { origin, consume, .. } => {
                gone != Consumer { origin: *origin, number: consume.number }
            }
            Message::Pull { consumer, .. } => *consumer != gone,
            _ => true,
        });
    }

    fn join_group(&mut self, now: Now, origin: Origin, user: Arc<str>, consume: Box<Consume>) {
        let number = consume.number;
        if self.groups.wiped.contains(&consume.group) {
            return self.end_consumer(origin, number, Code::BUSY, BUSY);
        }
        if !self.groups.names.contains_key(&consume.group) {
            if self.groups.all.len() >= self.config.limits.groups_max {
                return self.end_consumer(origin, number, Code::TOO_MANY, Duration::ZERO);
            }
            self.form(now, &consume);
        }
        let Some(hosted) = self.groups.named(&consume.group) else { return };
        if let Some(forming) = &mut hosted.forming {
            return forming.joins.push((origin, user, consume));
        }
        match hosted.group.join(origin, user, &consume) {
            Ok(()) => self.answer_later(Asker::Session(origin, number), Say::Done),
            Err(code) => self.end_consumer(origin, number, code, Duration::ZERO),
        }
    }

    /// Makes a group, and asks every owner for its topics.
    pub(super) fn form(&mut self, now: Now, consume: &Consume) {
        let since_ms = match &consume.start {
            Start::Since(ms) => *ms,
            Start::Resume { joined_ms, .. } if *joined_ms > 0 => *joined_ms,
            Start::Now | Start::Last(_) | Start::Resume { .. } => now.unix_ms,
        };
        let definition = Group::defined_by(consume, since_ms);
        let bounds = (&self.config.limits).into();
        let group = Group::new(consume.group.clone(), definition, bounds, self.boot);
        let start = consume.start.clone();
        let id = self.host_group(group, Some(Forming { start, joins: Vec::new() }));
        self.follow_topics(id);
    }

    /// Takes a group in.
    pub(super) fn host_group(&mut self, group: Group, forming: Option<Forming>) -> u32 {
        let id = self.groups.next;
        self.groups.next += 1;
        let pattern = group.definition().pattern.clone();
        self.groups.names.insert(group.name().clone(), id);
        self.groups.patterns.insert(pattern.as_str()).push(id);
        let awaited = u64::MAX >> (64 - u32::from(self.shards));
        self.groups.all.insert(id, Hosted { group, awaited, forming });
        id
    }

    /// Tells every owner what a group reads.
    pub(super) fn follow_topics(&mut self, id: u32) {
        let Some(hosted) = self.groups.all.get(&id) else { return };
        let (pattern, shard) = (hosted.group.definition().pattern.clone(), self.me);
        self.send_to_all(|| Message::Follow { shard, group: id, pattern: pattern.clone() });
    }

    /// An owner has said which topics it has for a group.
    pub(in crate::shard) fn followed(
        &mut self,
        now: Now,
        id: u32,
        owner: u8,
        topics: Vec<(Arc<Entry>, Extent)>,
    ) {
        let Some(Hosted { group, awaited, forming }) = self.groups.touch(id) else { return };
        *awaited &= !(1 << owner);
        for (entry, extent) in topics {
            let begin = match forming {
                Some(forming) => begin(&forming.start, &entry, extent),
                None => later(group.definition()),
            };
            group.stand(now, &entry, extent, begin);
        }
        let Some(forming) = forming.take_if(|_| *awaited == 0) else { return };
        group.found();
        for (origin, user, consume) in forming.joins {
            let Some(hosted) = self.groups.all.get_mut(&id) else { return };
            let number = consume.number;
            match hosted.group.join(origin, user, &consume) {
                Ok(()) => self.answer_later(Asker::Session(origin, number), Say::Done),
                Err(code) => self.end_consumer(origin, number, code, Duration::ZERO),
            }
        }
    }

    fn settle_at(&mut self, now: Now, origin: Origin, group: &Topic, settle: &Settle) {
        let by = Consumer { origin, number: settle.consumer };
        let hosted = self.groups.named(group);
        let result = hosted.map(|hosted| hosted.group.settle(now, by, settle));
        match result.unwrap_or(Err(Code::UNKNOWN_REQUEST)) {
            Ok(late) => {
                self.answer_later(Asker::Session(origin, settle.number), Say::Settled { late });
            }
            Err(code) => self.refuse_at(origin, settle.number, code),
        }
    }

    fn leave_at(&mut self, now: Now, consumer: Consumer, group: &Topic, lost: Option<bool>) {
        let Consumer { origin, number } = consumer;
        let Some(hosted) = self.groups.named(group) else { return };
        if let Some(forming) = &mut hosted.forming {
            forming.joins.retain(|(o, _, consume)| (*o, consume.number) != (origin, number));
        }
        let left = hosted.group.leave(now, consumer, lost == Some(true));
        match (lost, left) {
            (None, Ok(())) => self.answer_later(Asker::Session(origin, number), Say::Done),
            (None, Err(code)) => self.refuse_at(origin, number, code),
            (Some(_), _) => {}
        }
    }

    /// A topic has new messages.
    pub(in crate::shard) fn fresh(
        &mut self,
        now: Now,
        entry: &Arc<Entry>,
        epoch: u64,
        floor: u64,
        run: &Arc<Run>,
    ) {
        let mut ids = Vec::new();
        self.groups.patterns.matching(&entry.topic, &mut |list| ids.extend_from_slice(list));
        for id in ids {
            let hosted = self.groups.all.get_mut(&id);
            if let Some(hosted) = hosted.filter(|hosted| hosted.awaited & (1 << entry.owner) == 0) {
                hosted.group.offer(now, entry, epoch, floor, run);
                self.groups.active.insert(id);
            }
        }
    }

    /// A page that a group has asked for.
    #[allow(clippy::too_many_arguments, reason = "the words of the message")]
    pub(in crate::shard) fn group_paged(
        &mut self,
        now: Now,
        to: FeedRef,
        entry: &Arc<Entry>,
        epoch: u64,
        runs: Vec<(Option<Hole>, Arc<Run>)>,
        hole: Option<Hole>,
        next: u64,
    ) {
        if let Some(hosted) = self.groups.touch(to.feed) {
            let page = Page { epoch, runs, hole, next };
            hosted.group.paged(now, entry.id, to.nonce, &page);
        }
    }

    /// A page that a group has asked for could not be read.
    pub(in crate::shard) fn group_page_failed(&mut self, now: Now, to: FeedRef) {
        if let Some(hosted) = self.groups.touch(to.feed) {
            hosted.group.page_failed(now, to.nonce);
        }
    }

    /// A group's deadline has come.
    pub(in crate::shard) fn group_time(&mut self, now: Now, id: u32) {
        self.groups.armed.remove(&id);
        if let Some(hosted) = self.groups.touch(id) {
            hosted.group.time(now);
        }
    }

    /// Carries out what has happened to groups since the last pass: jobs, pages, and what is to be
    /// stored.
    pub(in crate::shard) fn flush_groups(&mut self, now: Now) {
        self.groups.again = false;
        self.load_groups(now);
        if self.groups.loading.is_some() {
            return;
        }
        if !self.groups.pins.is_empty() {
            self.pin_again(now);
        }
        for id in std::mem::take(&mut self.groups.active) {
            let Some(Hosted { group, forming, .. }) = self.groups.all.get_mut(&id) else {
                continue;
            };
            if forming.is_some() {
                continue;
            }
            group.hand_out(now);
            self.counters.groups += std::mem::take(&mut group.counted);
            let name: Arc<str> = Arc::from(group.name().as_str());
            let outputs: Vec<Output> = std::iter::from_fn(|| group.poll()).collect();
            let deadline = group.deadline();
            self.groups.unsaved.insert(id);
            self.group_outputs(id, &name, outputs);
            if let Some(at) = deadline
                && self.groups.armed.get(&id).is_none_or(|armed| at < *armed)
            {
                self.groups.armed.insert(id, at);
                self.timers.set(at, Timer::Group(id));
            }
        }
        self.store_groups(now);
        self.work(now);
    }

    fn group_outputs(&mut self, id: u32, name: &Arc<str>, outputs: Vec<Output>) {
        let mut bundles: BTreeMap<(Consumer, u64), Bundle> = BTreeMap::new();
        for output in outputs {
            match output {
                Output::Job(job) => {
                    let of = bundles.entry((job.to, job.entry.id));
                    of.or_insert_with(|| Bundle::new(job.entry.clone())).push(job);
                }
                Output::Page { entry, from, max_bytes, asked } => {
                    let origin = Origin { shard: self.me, session: SessionKey::GROUP };
                    let to = FeedRef { origin, feed: id, nonce: asked };
                    let (topic_id, epoch) = (entry.id, 0);
                    self.send(entry.owner, Message::Page { to, topic_id, epoch, from, max_bytes });
                }
                Output::Pin { entry, offset } => {
                    let (topic_id, name, offset) = (entry.id, name.clone(), Some(offset));
                    self.send(entry.owner, Message::Pin { topic_id, name, offset });
                }
            }
        }
        for ((to, _), bundle) in bundles {
            let session = to.origin.session;
            let (entry, chunks, count) = bundle.finish();
            self.send(to.origin.shard, Message::Jobs { session, entry, chunks, count });
        }
    }

    /// Says something to whoever waits, when all that has happened so far is stored.
    pub(super) fn answer_later(&mut self, to: Asker, say: Say) {
        self.groups.answers.push(Answer { to, say });
    }

    /// Tells what is stored now.
    pub(super) fn give_answers(&mut self, answers: Vec<Answer>) {
        let mut runs: BTreeMap<Origin, (u64, u64)> = BTreeMap::new();
        for Answer { to, say } in answers {
            match (to, say) {
                (Asker::Session(origin, number), Say::Settled { late: false }) => {
                    match runs.get_mut(&origin) {
                        Some((last, count)) if *last + 1 == number => {
                            (*last, *count) = (number, *count + 1);
                        }
                        _ => {
                            if let Some((last, count)) = runs.insert(origin, (number, 1)) {
                                self.tell_at(origin, settled(last, count, 0));
                            }
                        }
                    }
                }
                (Asker::Session(origin, number), Say::Settled { late: true }) => {
                    self.tell_at(origin, settled(number, 1, flag::LATE));
                }
                (Asker::Session(origin, number), _) => {
                    self.tell_at(origin, server::done(number));
                }
                (Asker::Task(_), _) => self.tell_asker(to, Ok(Managed::Done(1))),
                (Asker::Nobody, _) => self.task_stored(None),
            }
        }
        for (origin, (last, count)) in runs {
            self.tell_at(origin, settled(last, count, 0));
        }
    }

    /// Refuses what waits, since it could not be stored. What was settled stays so in this process,
    /// and is stored when the journal takes it.
    pub(super) fn refuse_answers(&mut self, answers: Vec<Answer>, code: Code) {
        for Answer { to, .. } in answers {
            match to {
                Asker::Session(origin, number) => self.refuse_at(origin, number, code),
                Asker::Task(_) => self.tell_asker(to, Err(code)),
                Asker::Nobody => self.task_stored(Some(code)),
            }
        }
    }

    fn tell_at(&mut self, to: Origin, frame: Bytes) {
        self.send(to.shard, Message::Control { session: to.session, frame });
    }

    fn refuse_at(&mut self, to: Origin, number: u64, code: Code) {
        *self.counters.refused.entry(code.0).or_default() += 1;
        let wait = if code.is_retryable() { BUSY } else { Duration::ZERO };
        self.tell_at(to, refused(number, code, wait));
    }

    /// Tells a consumer's shard that there is no such consumer.
    pub(super) fn end_consumer(&mut self, to: Origin, number: u64, code: Code, wait: Duration) {
        let session = to.session;
        self.send(to.shard, Message::ConsumerEnded { session, number, code, wait });
    }
}

/// SETTLED for a run of requests.
fn settled(last: u64, count: u64, flags: u8) -> Bytes {
    let mut attributes = BytesMut::new();
    if count > 1 {
        attribute::put_number(&mut attributes, Tag::Count, count);
    }
    let header = Header { flags, ..Header::new(Kind::Settled) }.number(last);
    // One attribute is within every limit.
    header.to_frame(&attributes, &[]).unwrap_or_default()
}

/// Where a group that is being made begins to read a topic.
fn begin(start: &Start, entry: &Entry, extent: Extent) -> Begin {
    match start {
        Start::Now => Begin::At(extent.next),
        Start::Last(count) => {
            Begin::At(extent.next.saturating_sub((*count).into()).max(extent.floor))
        }
        Start::Since(0) => Begin::Floor,
        Start::Since(ms) => Begin::Since(*ms),
        Start::Resume { joined_ms, positions } => {
            match positions.iter().find(|position| position.topic == entry.topic.as_str()) {
                Some(position) if position.epoch == extent.epoch => Begin::At(position.offset + 1),
                Some(_) => Begin::Floor,
                None if *joined_ms == 0 => Begin::At(extent.next),
                None => Begin::Since(*joined_ms),
            }
        }
    }
}

/// Where a group begins to read a topic that it has met in no life before.
fn later(definition: &Definition) -> Begin {
    match definition.since_ms {
        0 => Begin::Floor,
        ms => Begin::Since(ms),
    }
}
