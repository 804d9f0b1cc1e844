//! Publishing: from the client's shard to the topic's owner, which orders, keeps and acknowledges.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, GapReason};
use sampan_protocol::frame::{Frame, Header, Kind, flag};
use sampan_protocol::{AckLevel, Class, Code, Now, Topic};

use super::Shard;
use super::commands::millis;
use super::replay::Ticketed;
use crate::directory::Entry;
use crate::journal::{self, Chunk, Completion, Refused, Request, Run, Ticket};
use crate::message::{AckRun, Hole, Message, Origin};
use crate::room::{InFlight, Room, Stored, Throttle};
use crate::session::SessionKey;
use crate::timer::Timer;

/// Messages that a topic may hold back until the journal has said where it stands.
const OPENING_MAX: usize = 10_000;
/// Retry-after when there is no better estimate.
const BUSY: Duration = Duration::from_millis(250);
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

    /// Forwards a publish that names its topic and has been found to be allowed.
    pub(super) fn publish(&mut self, key: SessionKey, frame: Frame) {
        let refuse = |shard: &mut Shard, code| {
            shard.refuse_publish(key, frame.header.number, frame.header.topic_id, code, 0);
        };
        let topic = frame.attributes().ok().and_then(|a| a.topic.map(Topic::parse));
        let Some(Ok(topic)) = topic else { return refuse(self, Code::BAD_TOPIC) };
        let Ok(entry) = self.directory.resolve(&topic) else { return refuse(self, Code::BUSY) };
        let origin = self.origin(key);
        let Some(session) = self.session(key) else { return };
        if session.publishable.len() >= PUBLISHABLE_MAX {
            session.publishable.clear();
        }
        session.publishable.insert(entry.id, entry.clone());
        let producer = session.producer;
        self.send(entry.owner, Message::Publish { origin, entry, producer, frame });
    }

    /// The room of a topic that this shard owns. A new durable room first asks the journal where
    /// the topic stands.
    pub(super) fn room(&mut self, now: Now, entry: &Arc<Entry>) -> &mut Room {
        if !self.rooms.contains_key(&entry.id) {
            let mut room = Room::new(entry.clone(), now, self.config.limits.dedupe_window);
            if entry.rule.class == Class::Durable {
                let ticket = self.ticket(Ticketed::Open { topic_id: entry.id });
                let (topic_id, topic) = (entry.id, entry.topic.clone());
                if self.journal.submit(now, Request::Open { ticket, topic_id, topic }).is_ok() {
                    room.opening = Some(Vec::new());
                    self.opening += 1;
                }
            }
            *self.room_names.insert(entry.topic.as_str()) = entry.id;
            self.rooms.insert(entry.id, room);
        }
        let room = self.rooms.entry(entry.id);
        let window = self.config.limits.dedupe_window;
        let room = room.or_insert_with(|| Room::new(entry.clone(), now, window));
        room.touched = now.mono;
        room
    }

    /// Holds a message back while its room is being opened; gives it back otherwise.
    pub(super) fn hold(&mut self, now: Now, entry: &Arc<Entry>, message: Message) -> Option<Message> {
        match &mut self.room(now, entry).opening {
            Some(waiting) if waiting.len() < OPENING_MAX => waiting.push(message),
            Some(_) => {
                if let Message::Publish { origin, frame, .. } = message {
                    let header = frame.header;
                    let (sequence, retry_ms) = (header.number, millis(BUSY));
                    self.send_refusal(origin, sequence, entry.id, Code::BUSY, retry_ms);
                }
            }
            None => return Some(message),
        }
        None
    }

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
        if entry.rule.class != Class::Ephemeral {
            match self.place(now, origin, &entry, producer, &frame, wants_ack) {
                Ok(true) => {}
                Ok(false) => return,
                Err(code) => return refuse(self, code, BUSY),
            }
        }
        self.append(now, &entry, origin, &frame, level, wants_ack);
    }

    /// The ack level that a publish gets, from the number that it asked for.
    fn level(&self, class: Class, asked: u8) -> Result<AckLevel, Code> {
        let best = if class == Class::Durable { self.journal.best() } else { AckLevel::Routed };
        match asked {
            0 => Ok(best.min(AckLevel::Synced)),
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
        origin: Origin,
        entry: &Arc<Entry>,
        producer: u64,
        frame: &Frame,
        wants_ack: bool,
    ) -> Result<bool, Code> {
        let attributes = frame.attributes().map_err(|error| error.code())?;
        let producer = attributes.producer.unwrap_or(producer);
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
            let run = AckRun { sequence, offset, count: 1, level: AckLevel::Routed, flags };
            let session = origin.session;
            let message = Message::Published { session, topic_id: entry.id, epoch, run };
            if wants_ack {
                self.send(origin.shard, message);
            }
            return Ok(false);
        }
        if let Some(dedupe) = &mut room.dedupe {
            if wants_ack {
                dedupe.record(now.mono, producer, sequence, next);
            }
            if let Some(key) = attributes.idempotency_key {
                dedupe.record_key(now.mono, key, next);
            }
        }
        Ok(true)
    }

    /// Encodes the message with the next offset into the topic's batch.
    fn append(
        &mut self,
        now: Now,
        entry: &Arc<Entry>,
        origin: Origin,
        frame: &Frame,
        level: AckLevel,
        wants_ack: bool,
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
                let key = parsed.key.unwrap_or("");
                // A value may be kept for long, so it owns its bytes exactly.
                let head = header.to_frame(&attributes, frame.body_bytes()).unwrap_or_default();
                let chunk = Chunk { head, body: None };
                let before = latest.bytes();
                latest.put(key, offset, time_ms, parsed.version, chunk.clone());
                self.latest_bytes = self.latest_bytes + latest.bytes() - before;
                if room.throttle.is_none_or(|throttle| throttle.silent_from.is_none()) {
                    room.batch.push_shared(header, chunk);
                }
            }
        }
        if wants_ack {
            room.await_ack(origin, frame.header.number, offset, level);
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
        if room.entry.rule.class == Class::Durable {
            let run = Arc::new(room.batch.take());
            return self.store(now, topic_id, run, acks);
        }
        if !room.batch.is_empty() && !self.throttle(now, topic_id) {
            let Some(room) = self.rooms.get_mut(&topic_id) else { return };
            let run = Arc::new(room.batch.take());
            room.visible = run.to + 1;
            self.spread(topic_id, run, None);
        }
        self.publish_acks(topic_id, acks);
    }

    /// Whether a `latest` topic must keep silent; if so, what was gathered is told later.
    fn throttle(&mut self, now: Now, topic_id: u64) -> bool {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return false };
        let Some(hz) = room.entry.rule.max_hz.filter(|hz| *hz > 0) else { return false };
        match room.throttle {
            Some(throttle) if throttle.free_at > now.mono => {
                let silent_from = Some(room.batch.take().from);
                room.throttle = Some(Throttle { silent_from, ..throttle });
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
        let page = latest.page(from, room.next, usize::MAX, usize::MAX);
        let hz = room.entry.rule.max_hz.unwrap_or(1).max(1);
        let free_at = now.mono + Duration::from_secs(1) / hz;
        room.throttle = Some(Throttle { free_at, silent_from: None });
        let (epoch, to) = (room.epoch, room.next - 1);
        room.visible = room.next;
        let mut hole = Some(Hole { epoch, from, to, reason: GapReason::Conflated });
        for run in page.runs {
            self.spread(topic_id, run, hole.take());
        }
    }

    /// Gives a run to the journal; its publishers wait for what they asked for.
    fn store(&mut self, now: Now, topic_id: u64, run: Arc<Run>, acks: Vec<(Origin, AckRun)>) {
        if run.bytes == 0 {
            return;
        }
        let ticket = self.ticket(Ticketed::Append { topic_id });
        let best = self.journal.best();
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        let request = Request::Append {
            ticket,
            topic_id,
            topic: room.entry.topic.clone(),
            epoch: room.epoch,
            run: run.clone(),
        };
        match self.journal.submit(now, request) {
            Ok(()) => {
                let (early, later): (Vec<_>, Vec<_>) = acks
                    .into_iter()
                    .partition(|(_, ack)| ack.level == AckLevel::Routed && best > AckLevel::Routed);
                room.in_flight.push_back(InFlight {
                    ticket,
                    run,
                    acks: later,
                    state: Stored::Waiting,
                });
                self.publish_acks(topic_id, early);
            }
            Err(refused) => {
                self.tickets.remove(&ticket.0);
                // Nobody has seen these offsets, so they are handed out again.
                room.next = run.from;
                let (code, wait) = match refused {
                    Refused::Full { retry_after } => (Code::BUSY, retry_after),
                    Refused::Fenced => (Code::STORAGE, Duration::ZERO),
                };
                self.fail(topic_id, acks, code, wait);
            }
        }
    }

    /// What the journal has to say.
    pub(super) fn completed(&mut self, completion: Completion) {
        match completion {
            Completion::Opened { ticket, topic_id, epoch, floor, next, lost } => {
                self.tickets.remove(&ticket.0);
                self.opened(topic_id, epoch, floor, next, lost);
            }
            Completion::Stored { ticket, level } => self.stored(ticket, level),
            Completion::Failed { ticket, error } => self.failed(ticket, error),
            Completion::Page { ticket, floor, from, next: _, runs } => {
                self.read(ticket, floor, from, runs);
            }
            Completion::Floor { topic_id, floor } => {
                if let Some(room) = self.rooms.get_mut(&topic_id) {
                    room.floor = room.floor.max(floor);
                    room.lost.retain(|lost| lost.to >= floor);
                }
            }
        }
    }

    fn opened(&mut self, topic_id: u64, epoch: u64, floor: u64, next: u64, lost: Vec<journal::Hole>) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        room.epoch = epoch;
        room.floor = floor;
        room.next = next;
        room.visible = next;
        room.lost = lost;
        if let Some(waiting) = room.opening.take() {
            self.opening -= 1;
            self.inbox.extend(waiting);
        }
    }

    fn stored(&mut self, ticket: Ticket, level: AckLevel) {
        let best = self.journal.best();
        let Some(Ticketed::Append { topic_id }) = self.tickets.get(&ticket.0) else { return };
        let topic_id = *topic_id;
        if level >= best {
            self.tickets.remove(&ticket.0);
        }
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        let Some(batch) = room.in_flight.iter_mut().find(|b| b.ticket == ticket) else { return };
        let all = std::mem::take(&mut batch.acks);
        let (now_true, later) = all.into_iter().partition(|(_, ack)| ack.level <= level);
        batch.acks = later;
        if level >= best {
            batch.state = Stored::Visible;
        }
        self.publish_acks(topic_id, now_true);
        self.reveal(topic_id);
    }

    fn failed(&mut self, ticket: Ticket, error: journal::Error) {
        self.counters.journal_failures += 1;
        match self.tickets.remove(&ticket.0) {
            Some(Ticketed::Append { topic_id }) => {
                let Some(room) = self.rooms.get_mut(&topic_id) else { return };
                let batch = room.in_flight.iter_mut().find(|batch| batch.ticket == ticket);
                let Some(batch) = batch else { return };
                batch.state = Stored::Failed;
                let acks = std::mem::take(&mut batch.acks);
                let too_large = error == journal::Error::TooLarge;
                let code = if too_large { Code::TOO_LARGE } else { Code::STORAGE };
                self.fail(topic_id, acks, code, BUSY);
                self.reveal(topic_id);
            }
            Some(Ticketed::Open { topic_id }) => {
                // The topic cannot be served until the journal is back: its waiters are refused,
                // and the next use asks again.
                let Some(mut room) = self.rooms.remove(&topic_id) else { return };
                self.room_names.remove(room.entry.topic.as_str());
                self.opening -= 1;
                for message in room.opening.take().unwrap_or_default() {
                    self.refuse_held(&room.entry, message);
                }
            }
            Some(other) => self.read_failed(other),
            None => {}
        }
    }

    fn refuse_held(&mut self, entry: &Arc<Entry>, message: Message) {
        let wait = millis(BUSY);
        match message {
            Message::Publish { origin, frame, .. } => {
                let sequence = frame.header.number;
                self.send_refusal(origin, sequence, entry.id, Code::STORAGE, wait);
            }
            Message::Join { origin, number, .. } | Message::History { origin, number, .. } => {
                let frame = super::commands::refused(number, Code::STORAGE, BUSY);
                self.send(origin.shard, Message::Control { session: origin.session, frame });
            }
            _ => {}
        }
    }

    /// Delivers the batches at the front that the journal holds, skipping those that failed.
    fn reveal(&mut self, topic_id: u64) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        for (run, stored) in room.settled() {
            if !stored {
                continue;
            }
            let Some(room) = self.rooms.get_mut(&topic_id) else { return };
            let hole = room.hole(room.visible, run.from - 1);
            room.visible = run.to + 1;
            self.spread(topic_id, run, hole);
        }
    }

    /// Tells publishers that their messages were not stored, and lets them try again.
    fn fail(&mut self, topic_id: u64, acks: Vec<(Origin, AckRun)>, code: Code, wait: Duration) {
        for (origin, run) in acks {
            for back in (0..run.count).rev() {
                let sequence = run.sequence - back;
                let offset = run.offset - back;
                if let Some(room) = self.rooms.get_mut(&topic_id)
                    && let Some(dedupe) = &mut room.dedupe
                {
                    dedupe.forget_offset(offset);
                }
                self.send_refusal(origin, sequence, topic_id, code, millis(wait));
            }
        }
    }

    /// Sends a run to every shard that has subscribers of the topic.
    fn spread(&mut self, topic_id: u64, run: Arc<Run>, hole: Option<Hole>) {
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
    fn matched(&self, room: &Room) -> u64 {
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

    fn publish_acks(&mut self, topic_id: u64, acks: Vec<(Origin, AckRun)>) {
        let Some(epoch) = self.rooms.get(&topic_id).map(|room| room.epoch) else { return };
        for (origin, run) in acks {
            let session = origin.session;
            self.send(origin.shard, Message::Published { session, topic_id, epoch, run });
        }
    }

    fn send_refusal(&mut self, to: Origin, sequence: u64, topic_id: u64, code: Code, retry_ms: u32) {
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
