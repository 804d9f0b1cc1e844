//! Publishing: from the client's shard to the topic's owner, and the answers on their way back.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Action};
use sampan_protocol::frame::{Frame, Header, Kind};
use sampan_protocol::{Code, Now, Pattern};

use super::Shard;
use crate::flight::Acks;
use crate::grant::Verdict;
use crate::journal::Run;
use crate::message::{AckRun, Hole, Message, Origin};
use crate::room::Room;
use crate::session::SessionKey;

/// Topics that one session's publish permission is remembered for.
const PUBLISHABLE_MAX: usize = 256;

impl Shard {
    /// Forwards a publish to a topic that the session is known to be allowed to publish to.
    pub(super) fn publish_known(&mut self, key: SessionKey, frame: &Frame) -> bool {
        let topic_id = frame.header.topic_id;
        let Some(session) = self.peek(key) else { return false };
        let Some(entry) = session.publishable.get(&topic_id) else { return false };
        if frame.attributes().is_err() {
            return false;
        }
        let (entry, producer) = (entry.clone(), session.producer);
        let origin = self.origin(key);
        let owner = entry.owner;
        self.send(owner, Message::Publish { origin, entry, producer, frame: frame.clone() });
        true
    }

    /// Forwards a publish that has been found to be allowed. Where no authorizer had to say so, the
    /// session's next ones to the topic need not be looked at.
    pub(super) fn publish(&mut self, key: SessionKey, frame: Frame) {
        let refuse = |shard: &mut Shard, code| {
            shard.refuse_publish(key, frame.header.number, frame.header.topic_id, code, 0);
        };
        let topic = match self.published_topic(&frame) {
            Ok(topic) => topic,
            Err(code) => return refuse(self, code),
        };
        let Ok(entry) = self.directory.resolve(&topic) else { return refuse(self, Code::BUSY) };
        let origin = self.origin(key);
        let lasting = self.check(key, Action::Publish, &Pattern::from(&topic)) == Verdict::Yes;
        let Some(session) = self.session(key) else { return };
        if session.publishable.len() >= PUBLISHABLE_MAX {
            session.publishable.clear();
        }
        if lasting {
            session.publishable.insert(entry.id, entry.clone());
        }
        let producer = session.producer;
        self.send(entry.owner, Message::Publish { origin, entry, producer, frame });
    }

    /// Sends a run to every shard that has subscribers of the topic.
    pub(super) fn spread(&mut self, topic_id: u64, run: Arc<Run>, hole: Option<Hole>) {
        let generation = self.watch_generation;
        let Some(room) = self.rooms.get(&topic_id) else { return };
        if room.matched_by.1 != generation {
            let matched = self.matched(room);
            if let Some(room) = self.rooms.get_mut(&topic_id) {
                room.matched_by = (matched, generation);
            }
        }
        let Some(room) = self.rooms.get(&topic_id) else { return };
        let (mut bits, entry, epoch) =
            (room.named_by | room.matched_by.0, room.entry.clone(), room.epoch);
        self.tell_groups(topic_id, &run);
        while bits != 0 {
            let shard = bits.trailing_zeros();
            bits &= bits - 1;
            let (entry, run) = (entry.clone(), run.clone());
            if let Ok(shard) = u8::try_from(shard) {
                self.send(shard, Message::Deliver { entry, epoch, run, hole });
            }
        }
    }

    /// Shards with a pattern that matches the room's topic.
    pub(super) fn matched(&self, room: &Room) -> u64 {
        let mut bits = 0;
        self.watches.matching(&room.entry.topic, &mut |shards| {
            bits |= shards.keys().fold(0, |bits, shard| bits | 1 << shard);
        });
        bits
    }

    /// Shards with subscribers of the room's topic.
    pub(super) fn interest_of(&self, room: &Room) -> u64 {
        room.named_by | self.matched(room)
    }

    /// Tells publishers that theirs is done.
    pub(super) fn publish_acks(&mut self, now: Now, topic_id: u64, (since, acks): Acks) {
        let waited = now.mono.saturating_duration_since(since);
        let Some(epoch) = self.rooms.get(&topic_id).map(|room| room.epoch) else { return };
        for (origin, run) in acks {
            self.counters.ack_latency.observe(waited, run.count);
            let session = origin.session;
            self.send(origin.shard, Message::Published { session, topic_id, epoch, run });
        }
    }

    pub(super) fn send_refusal(
        &mut self,
        to: Origin,
        sequence: u64,
        topic_id: u64,
        code: Code,
        retry_ms: u32,
    ) {
        let session = to.session;
        let message = Message::PublishRefused { session, sequence, topic_id, code, retry_ms };
        self.send(to.shard, message);
    }

    /// PUBLISHED for a session of this shard.
    pub(super) fn acknowledge(&mut self, key: SessionKey, topic_id: u64, epoch: u64, run: AckRun) {
        let mut attributes = BytesMut::with_capacity(33);
        attribute::put_number(&mut attributes, Tag::Sequence, run.sequence);
        attribute::put_number(&mut attributes, Tag::Epoch, epoch);
        if run.count > 1 {
            attribute::put_number(&mut attributes, Tag::Count, run.count);
        }
        let flags = run.level.number() | run.flags;
        let header =
            Header { kind: Kind::Published, flags, topic_id, number: run.offset, time_ms: 0 };
        let frame: Bytes = header.to_frame(&attributes, &[]).unwrap_or_default();
        self.tell(key, frame);
    }

    /// PUBLISH_REFUSED for a session of this shard.
    pub(super) fn refuse_publish(
        &mut self,
        key: SessionKey,
        sequence: u64,
        topic_id: u64,
        code: Code,
        retry_after_ms: u32,
    ) {
        *self.counters.refused.entry(code.0).or_default() += 1;
        let reason = code.text().to_owned();
        let body = control::PublishRefused { code: code.0, retry_after_ms, reason };
        let header = Header { topic_id, ..Header::new(Kind::PublishRefused) }.number(sequence);
        self.tell(key, control::encode_with(header, &body).unwrap_or_default());
    }
}
