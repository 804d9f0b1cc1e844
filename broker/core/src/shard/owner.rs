//! At a topic's owner: ordering publishes, keeping the newest values, gathering what is to be told.

use std::sync::Arc;
use std::time::Duration;

use sampan_protocol::attribute;
use sampan_protocol::control::GapReason;
use sampan_protocol::frame::{Frame, Header, Kind, flag};
use sampan_protocol::{AckLevel, Class, Code, Now};

use super::Shard;
use super::commands::millis;
use crate::directory::Entry;
use crate::journal::{Chunk, Sent};
use crate::latest::Coming;
use crate::message::{AckRun, Hole, Message, Origin};
use crate::room::Throttle;
use crate::timer::Timer;

/// Retry-after when there is no better estimate.
pub(super) const BUSY: Duration = Duration::from_millis(250);

/// Who published, and what ack is wanted.
#[derive(Clone, Copy)]
pub(super) struct Publisher {
    origin: Origin,
    level: AckLevel,
    wants_ack: bool,
}

impl Shard {
    /// Gives a publish its place in the topic.
    pub(super) fn order(
        &mut self,
        now: Now,
        origin: Origin,
        entry: Arc<Entry>,
        producer: u64,
        frame: Frame,
    ) {
        let message = Message::Publish { origin, entry: entry.clone(), producer, frame };
        let Some(Message::Publish { frame, .. }) = self.hold(now, &entry, message) else { return };
        let sequence = frame.header.number;
        let refuse = |shard: &mut Shard, code, wait| {
            shard.send_refusal(origin, sequence, entry.id, code, millis(wait));
        };
        let level = match self.level(entry.rule.class, frame.header.flags & flag::LEVEL_MASK) {
            Ok(level) => level,
            Err(code) => return refuse(self, code, Duration::ZERO),
        };
        let wants_ack = frame.header.flags & flag::NO_ACK == 0;
        let publisher = Publisher { origin, level, wants_ack };
        if entry.rule.class != Class::Ephemeral {
            match self.place(now, publisher, &entry, producer, &frame) {
                Ok(true) => {}
                Ok(false) => return,
                Err(code) => return refuse(self, code, BUSY),
            }
        }
        self.append(now, &entry, publisher, &frame);
    }

    /// The ack level that a publish gets, from the number that it asked for.
    pub(super) fn level(&self, class: Class, asked: u8) -> Result<AckLevel, Code> {
        let (best, default) = match class {
            Class::Ephemeral => (AckLevel::Routed, AckLevel::Routed),
            Class::Latest => (self.journal.best(), AckLevel::Logged),
            Class::Durable => (self.journal.best(), AckLevel::Synced),
        };
        match asked {
            0 => Ok(best.min(default)),
            _ => match AckLevel::from_number(asked) {
                Some(level) if level <= best => Ok(level),
                Some(_) => Err(Code::LEVEL_UNAVAILABLE),
                None => Err(Code::BAD_FIELD),
            },
        }
    }

    /// Duplicates and stale versions are acknowledged here; `Ok(true)` means that the message is
    /// new.
    fn place(
        &mut self,
        now: Now,
        publisher: Publisher,
        entry: &Arc<Entry>,
        producer: u64,
        frame: &Frame,
    ) -> Result<bool, Code> {
        let attributes = frame.attributes().map_err(|error| error.code())?;
        let producer = attributes.producer.unwrap_or(producer);
        let Publisher { origin, level, wants_ack } = publisher;
        let sequence = frame.header.number;
        let limits = &self.config.limits;
        let Some(room) = self.rooms.get_mut(&entry.id) else { return Err(Code::BUSY) };
        let (epoch, next) = (room.epoch, room.next);
        let mut settled = None;
        if let Some(dedupe) = &mut room.dedupe {
            let known = dedupe.check(now.mono, producer, sequence).filter(|_| wants_ack);
            let key = attributes.idempotency_key;
            let first = known.or_else(|| dedupe.check_key(now.mono, key?));
            if let Some(first) = first {
                self.counters.duplicates += 1;
                settled = Some((first.offset, flag::DUPLICATE));
            }
        }
        if let (Some(latest), None) = (&room.latest, settled) {
            let key = attributes.key.unwrap_or("");
            if let Some(kept) = latest.newer_than(key, attributes.version) {
                self.counters.stale += 1;
                settled = Some((kept, flag::STALE));
            } else if !latest.contains(key)
                && (latest.len() >= limits.latest_keys_max
                    || self.latest_bytes >= limits.latest_bytes_max)
            {
                return Err(Code::BUSY);
            }
        }
        if let Some((offset, flags)) = settled {
            let run = AckRun { sequence, offset, count: 1, level, flags };
            let session = origin.session;
            let message = Message::Published { session, topic_id: entry.id, epoch, run };
            // The first one's fate is this one's: while it is on its way to the journal, this one
            // waits as well.
            if wants_ack && !room.joins_ack(origin, run) {
                self.send(origin.shard, message);
            }
            return Ok(false);
        }
        if let Some(dedupe) = &mut room.dedupe {
            if wants_ack {
                dedupe.record(now.mono, producer, sequence, next);
                room.batch.note(Sent { producer, sequence, offset: next, count: 1 });
            }
            if let Some(key) = attributes.idempotency_key {
                let key: Arc<str> = Arc::from(key);
                dedupe.record_key(now.mono, key.clone(), next);
                room.batch.note_key(next, key);
            }
        }
        Ok(true)
    }

    /// Encodes the message with the next offset into the topic's batch.
    pub(super) fn append(
        &mut self,
        now: Now,
        entry: &Arc<Entry>,
        publisher: Publisher,
        frame: &Frame,
    ) {
        let mut attributes = std::mem::take(&mut self.attributes);
        attributes.clear();
        attribute::relay(&mut attributes, frame.attribute_bytes());
        let Some(room) = self.rooms.get_mut(&entry.id) else { return };
        let offset = room.next;
        room.next += 1;
        let time_ms = room.stamp(now);
        let header =
            Header { kind: Kind::Deliver, flags: 0, topic_id: entry.id, number: offset, time_ms };
        match &mut room.latest {
            None => room.batch.push(header, &attributes, frame.body()),
            Some(latest) => {
                let parsed = frame.attributes().unwrap_or_default();
                let version = parsed.version;
                let key = latest.expect(parsed.key.unwrap_or(""), offset, version);
                // A value may be kept for long, so it owns its bytes exactly.
                let head = header.to_frame(&attributes, frame.body_bytes()).unwrap_or_default();
                let chunk = Chunk { head, body: None };
                room.values.push(Coming { key, offset, time_ms, version, chunk: chunk.clone() });
                room.batch.push_shared(header, chunk);
            }
        }
        if publisher.wants_ack {
            room.gathering_since.get_or_insert(now.mono);
            room.await_ack(publisher.origin, frame.header.number, offset, publisher.level);
        }
        self.counters.published += 1;
        if !room.dirty {
            room.dirty = true;
            self.dirty.push(entry.id);
        }
        self.attributes = attributes;
    }

    /// Hands a topic's gathered messages to the journal or to its subscribers.
    pub(super) fn flush(&mut self, now: Now, topic_id: u64) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        room.dirty = false;
        let acks = std::mem::take(&mut room.acks);
        let since = room.gathering_since.take().unwrap_or(now.mono);
        if room.batch.is_empty() {
            return;
        }
        let run = Arc::new(room.batch.take());
        if room.entry.rule.class != Class::Ephemeral {
            let values = std::mem::take(&mut room.values);
            return self.store(now, topic_id, run, values, (since, acks));
        }
        room.visible = run.to + 1;
        self.spread(topic_id, run, None);
        self.publish_acks(now, topic_id, (since, acks));
    }

    /// Whether a `latest` topic must keep silent; if so, what is new is told later.
    pub(super) fn throttle(&mut self, now: Now, topic_id: u64) -> bool {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return false };
        let Some(hz) = room.entry.rule.max_hz.filter(|hz| *hz > 0) else { return false };
        match &mut room.throttle {
            Some(throttle) if throttle.free_at > now.mono || throttle.silent_from.is_some() => {
                throttle.silent_from.get_or_insert(room.visible);
                self.timers.set(throttle.free_at, Timer::Room(topic_id));
                true
            }
            _ => {
                let free_at = now.mono + Duration::from_secs(1) / hz;
                room.throttle = Some(Throttle { free_at, silent_from: None });
                false
            }
        }
    }

    /// A throttled topic tells the newest value of every key that changed in its silence.
    pub(super) fn unthrottle(&mut self, now: Now, topic_id: u64) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        let Some(Throttle { free_at, silent_from: Some(from) }) = room.throttle else { return };
        if free_at > now.mono {
            return self.timers.set(free_at, Timer::Room(topic_id));
        }
        let Some(latest) = &room.latest else { return };
        let end = latest.end();
        let page = latest.page(from, end, usize::MAX, usize::MAX);
        let hz = room.entry.rule.max_hz.unwrap_or(1).max(1);
        let free_at = now.mono + Duration::from_secs(1) / hz;
        room.throttle = Some(Throttle { free_at, silent_from: None });
        let (epoch, to) = (room.epoch, end - 1);
        room.visible = end;
        let mut hole = Some(Hole { epoch, from, to, reason: GapReason::Conflated });
        for run in page.runs {
            self.spread(topic_id, run, hole.take());
        }
    }
}
