//! At a consumer's shard: its commands on their way to the group, its jobs on their way to it.

use std::sync::Arc;
use std::time::Duration;

use sampan_protocol::control::{self, TopicName};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::LANES;
use sampan_protocol::session::server::{Consume, Settle};
use sampan_protocol::{Code, Topic};

use super::super::Shard;
use crate::directory::{Entry, owner};
use crate::group::Consumer;
use crate::journal::Chunk;
use crate::message::Message;
use crate::outbox;
use crate::session::{Session, SessionKey};

impl Shard {
    /// CONSUME of a session of this shard.
    pub(in crate::shard) fn consume(&mut self, key: SessionKey, consume: Consume) {
        let (number, max) = (consume.number, self.config.limits.consumers_max);
        let host = self.host(&consume.group);
        let Some(session) = self.session(key) else { return };
        if session.consumers.contains_key(&number) {
            return self.refuse_request(key, number, Code::DUPLICATE_REQUEST, Duration::ZERO);
        }
        if session.consumers.len() >= max {
            return self.refuse_request(key, number, Code::TOO_MANY, Duration::ZERO);
        }
        let Some(user) = session.identity.as_ref().map(|identity| identity.user.clone()) else {
            return;
        };
        session.consumers.insert(number, consume.group.clone());
        let (origin, consume) = (self.origin(key), Box::new(consume));
        self.send(host, Message::Consume { origin, user, consume });
    }

    /// PULL of a session of this shard.
    pub(in crate::shard) fn pull(&mut self, key: SessionKey, number: u64, count: u64) {
        let Some((host, group)) = self.group_of(key, number, number) else { return };
        let consumer = Consumer { origin: self.origin(key), number };
        self.send(host, Message::Pull { consumer, group, count });
    }

    /// SETTLE of a session of this shard.
    pub(in crate::shard) fn settle_jobs(&mut self, key: SessionKey, settle: Settle) {
        let Some((host, group)) = self.group_of(key, settle.consumer, settle.number) else {
            return;
        };
        let (origin, settle) = (self.origin(key), Box::new(settle));
        self.send(host, Message::Settle { origin, group, settle });
    }

    /// LEAVE of a session of this shard.
    pub(in crate::shard) fn leave_group(&mut self, key: SessionKey, number: u64) {
        let Some((host, group)) = self.group_of(key, number, number) else { return };
        if let Some(session) = self.session(key) {
            session.consumers.remove(&number);
        }
        let consumer = Consumer { origin: self.origin(key), number };
        self.send(host, Message::LeaveGroup { consumer, group, lost: None });
    }

    /// The consumers of a session that has been removed. A session that ended without a word may
    /// have been ended by what its consumers were working on.
    pub(in crate::shard) fn end_consumers(&mut self, key: SessionKey, session: &Session) {
        let origin = self.origin(key);
        for (number, group) in &session.consumers {
            let consumer = Consumer { origin, number: *number };
            let (host, group) = (self.host(group), group.clone());
            let lost = Some(session.closing.is_none());
            self.send(host, Message::LeaveGroup { consumer, group, lost });
        }
    }

    /// The group has no such consumer, or has it no longer.
    pub(in crate::shard) fn consumer_ended(
        &mut self,
        key: SessionKey,
        number: u64,
        code: Code,
        wait: Duration,
    ) {
        let removed = self.session(key).and_then(|session| session.consumers.remove(&number));
        if removed.is_some() {
            self.refuse_request(key, number, code, wait);
        }
    }

    /// Jobs for a session of this shard. They wait however many bytes wait already: the consumer's
    /// window bounds them.
    pub(in crate::shard) fn jobs(
        &mut self,
        key: SessionKey,
        entry: &Arc<Entry>,
        chunks: Vec<Chunk>,
        count: u64,
    ) {
        let Some(session) = self.sessions.get_mut(key.index as usize).filter(|s| s.key == key)
        else {
            return;
        };
        let lane = u8::try_from(entry.id % u64::from(LANES)).unwrap_or(0);
        let name = session.named.insert(entry.id).then(|| name(entry));
        let name = name.map(|head| Chunk { head, body: None });
        self.counters.deliveries += count;
        for chunk in name.into_iter().chain(chunks) {
            let bytes = chunk.bytes();
            self.lane_bytes += bytes;
            self.counters.delivery_bytes += bytes as u64;
            let feed = outbox::JOBS;
            let entry = outbox::Entry { chunk, feed, from: 0, to: 0, bytes, started: false };
            session.outbox.push(lane, entry);
        }
        self.mark_ready(key);
    }

    /// The shard of a group.
    fn host(&self, group: &Topic) -> u8 {
        owner(group, self.shards)
    }

    /// The group of a consumer, with its shard. Without one, `request` is refused.
    fn group_of(&mut self, key: SessionKey, number: u64, request: u64) -> Option<(u8, Topic)> {
        let group = self.peek(key)?.consumers.get(&number).cloned();
        if group.is_none() {
            self.refuse_request(key, request, Code::UNKNOWN_REQUEST, Duration::ZERO);
        }
        group.map(|group| (self.host(&group), group))
    }
}

/// The TOPIC frame ahead of jobs.
fn name(entry: &Entry) -> bytes::Bytes {
    let (name, class) = (entry.topic.to_string(), entry.rule.class.number());
    let header = Header { topic_id: entry.id, ..Header::new(Kind::Topic) };
    let body = TopicName { name, class, epoch: 0, next: 0 };
    // The broker's own body, within its limits.
    control::encode_with(header, &body).unwrap_or_default()
}
