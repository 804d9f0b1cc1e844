//! At a topic's owner: where a topic stands, which the journal tells before anything else happens.
//!
//! A topic of kept values is served when its values have been read as well. Until then what comes
//! for the topic waits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::{Class, Code, Frame, Now};

use super::Shard;
use super::commands::{millis, refused};
use super::owner::BUSY;
use super::replay::Ticketed;
use crate::directory::Entry;
use crate::journal::{self, Chunk, Completion, Deliver, Request, Run, Start, Ticket};
use crate::latest::{Coming, Latest};
use crate::message::Message;
use crate::room::Room;
use crate::timer::Timer;

/// Messages that a topic may hold back until the journal has said where it stands.
const OPENING_MAX: usize = 10_000;
/// Bytes and messages of one page of kept values.
const VALUES_BYTES: usize = 1 << 20;
const VALUES_COUNT: u32 = 4096;

impl Shard {
    /// The room of a topic that this shard owns. A new one, unless it is ephemeral, first asks the
    /// journal where the topic stands.
    pub(super) fn room(&mut self, now: Now, entry: &Arc<Entry>) -> &mut Room {
        if !self.rooms.contains_key(&entry.id) {
            let mut room = Room::new(entry.clone(), now, self.config.limits.dedupe_window);
            if entry.rule.class != Class::Ephemeral {
                let (topic_id, topic) = (entry.id, entry.topic.clone());
                // Without the journal's word the topic has neither epoch nor offsets.
                let open = |ticket| Request::Open { ticket, topic_id, topic };
                self.ask_for_room(now, topic_id, open);
                room.opening = Some(Vec::new());
                self.opening += 1;
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
    pub(super) fn hold(
        &mut self,
        now: Now,
        entry: &Arc<Entry>,
        message: Message,
    ) -> Option<Message> {
        match &mut self.room(now, entry).opening {
            Some(waiting) if waiting.len() < OPENING_MAX => waiting.push(message),
            Some(_) => self.refuse_held(entry, message, Code::BUSY, BUSY),
            None => return Some(message),
        }
        None
    }

    /// Asks the journal something that a room has to know before it is served. A journal that takes
    /// nothing fails like one that answers so.
    fn ask_for_room(&mut self, now: Now, topic_id: u64, request: impl FnOnce(Ticket) -> Request) {
        let ticket = self.ticket(Ticketed::Open { topic_id });
        if let Err(refused) = self.journal.submit(now, request(ticket)) {
            self.unopened.push((ticket, refused));
        }
    }

    /// The journal has told where a topic stands.
    pub(super) fn opened(&mut self, now: Now, opened: Completion) {
        let Completion::Opened { ticket, topic_id, epoch, floor, next, lost, seen, keys } = opened
        else {
            return;
        };
        self.tickets.remove(&ticket.0);
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        (room.epoch, room.floor, room.next, room.visible) = (epoch, floor, next, next);
        room.lost = lost;
        if let Some(dedupe) = &mut room.dedupe {
            for journal::Seen { sent, age } in &seen {
                dedupe.restore(now.mono, *age, sent);
            }
            for journal::SeenKey { key, offset, age } in keys {
                dedupe.restore_key(now.mono, age, key, offset);
            }
        }
        if room.latest.is_some() && floor < next {
            self.ask_for_values(now, topic_id, floor);
        } else {
            self.let_in(topic_id);
        }
    }

    fn ask_for_values(&mut self, now: Now, topic_id: u64, from: u64) {
        let (from, max_bytes, max_count) = (Start::Offset(from), VALUES_BYTES, VALUES_COUNT);
        let read = |ticket| Request::Read { ticket, topic_id, from, max_bytes, max_count };
        self.ask_for_room(now, topic_id, read);
    }

    /// The journal has read a page of values that a topic keeps. What damage took has no value until
    /// its next one comes; it is counted, and readers are told.
    pub(super) fn restored(
        &mut self,
        now: Now,
        topic_id: u64,
        runs: &[Arc<Run>],
        damaged: &[journal::Hole],
    ) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        for hole in damaged {
            self.counters.values_damaged += hole.to - hole.from + 1;
            room.find_damaged(*hole);
        }
        let Some(latest) = &mut room.latest else { return };
        let limits = &self.config.limits;
        for deliver in runs.iter().flat_map(|run| run.frames()) {
            let before = latest.bytes();
            // More than fits is there only if the bounds were wider once; it stays in the journal.
            let has_room = latest.len() < limits.latest_keys_max
                && self.latest_bytes < limits.latest_bytes_max;
            restore(latest, deliver, has_room);
            self.latest_bytes = self.latest_bytes + latest.bytes() - before;
        }
        match runs.last() {
            Some(last) => self.ask_for_values(now, topic_id, last.to + 1),
            None => self.let_in(topic_id),
        }
    }

    /// Lets everything in that has waited for the room.
    fn let_in(&mut self, topic_id: u64) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        if let Some(waiting) = room.opening.take() {
            self.opening -= 1;
            self.inbox.extend(waiting);
            self.stored.remove(&topic_id);
            self.missing.remove(&topic_id);
            self.await_no_more(topic_id);
        }
    }

    /// The journal has not taken what a room has to know.
    pub(super) fn not_taken(&mut self, now: Now, ticket: Ticket, refused: journal::Refused) {
        self.counters.journal_failures += 1;
        let (code, wait) = super::stored::answer(refused);
        if let Some(Ticketed::Open { topic_id }) = self.tickets.remove(&ticket.0) {
            self.not_opened(now, topic_id, code, wait);
        }
    }

    /// A topic cannot be served until the journal is back: its waiters are refused, and the next use
    /// asks again. One that the journal holds is tried again by itself, since groups are to be told of
    /// it.
    pub(super) fn not_opened(&mut self, now: Now, topic_id: u64, code: Code, wait: Duration) {
        let Some(mut room) = self.rooms.remove(&topic_id) else { return };
        self.room_names.remove(room.entry.topic.as_str());
        self.latest_bytes -= room.latest.as_ref().map_or(0, |latest| latest.bytes());
        self.opening -= 1;
        for message in room.opening.take().unwrap_or_default() {
            self.refuse_held(&room.entry, message, code, wait);
        }
        if self.stored.contains(&topic_id) {
            self.missing.insert(topic_id, room.entry);
            self.timers.set(now.mono + wait.max(BUSY), Timer::Missing(topic_id));
        } else {
            self.await_no_more(topic_id);
        }
    }

    /// Tries to open a topic again.
    pub(super) fn open_again(&mut self, now: Now, topic_id: u64) {
        if let Some(entry) = self.missing.remove(&topic_id) {
            self.room(now, &entry);
        }
    }

    /// Answers what cannot wait for its room any longer.
    fn refuse_held(&mut self, entry: &Arc<Entry>, message: Message, code: Code, wait: Duration) {
        let topic_id = entry.id;
        match message {
            Message::Publish { origin, frame, .. } => {
                let sequence = frame.header.number;
                self.send_refusal(origin, sequence, topic_id, code, millis(wait));
            }
            Message::Join { origin, number, .. } => {
                let session = origin.session;
                let refused = Message::JoinRefused { session, number, topic_id, code, wait };
                self.send(origin.shard, refused);
            }
            Message::History { origin, number, .. } => {
                let frame = refused(number, code, wait);
                self.send(origin.shard, Message::Control { session: origin.session, frame });
            }
            _ => {}
        }
    }
}

/// Keeps a stored message as the newest of its key, in memory of its own size; one of a new key only
/// if there is room.
fn restore(latest: &mut Latest, deliver: Deliver, has_room: bool) {
    let Deliver { offset, time_ms, head, body } = deliver;
    let bytes: Bytes = head.iter().chain(body.iter().flatten()).copied().collect();
    let chunk = Chunk { head: bytes.clone(), body: None };
    // What the journal gives back was within its limits when it was stored.
    let Ok(frame) = Frame::decode(bytes, usize::MAX) else { return };
    let Ok(attributes) = frame.attributes() else { return };
    let (key, version) = (attributes.key.unwrap_or(""), attributes.version);
    if !has_room && !latest.contains(key) {
        return;
    }
    let key = latest.expect(key, offset, version);
    latest.put(Coming { key, offset, time_ms, version, chunk });
}
