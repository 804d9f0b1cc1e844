//! Pages: catch-up of feeds and history requests, read from the journal or the kept values.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::GapReason;
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::PAGE_BYTES_MAX;
use sampan_protocol::{Class, Code, Now};

use super::Shard;
use super::commands::refused;
use super::groups::Reading;
use super::stored::answer;
use crate::directory::Entry;
use crate::journal::{self, Request, Run, Start, Ticket};
use crate::message::{FeedRef, Hole, Message, Origin};
use crate::session::SessionKey;

/// Messages in one page of a catch-up.
const PAGE_COUNT: u32 = 4096;

/// What a journal request is for.
#[derive(Debug)]
pub(super) enum Ticketed {
    /// A topic is being opened, or the values that it keeps are being read.
    Open { topic_id: u64 },
    /// A batch is being stored.
    Append { topic_id: u64 },
    /// A feed catches up.
    Page { to: FeedRef, entry: Arc<Entry>, from: Start },
    /// What groups have become is being stored.
    Put,
    /// What groups were is being read.
    Load(Reading),
    /// A session asked for history.
    History { origin: Origin, number: u64, entry: Arc<Entry> },
}

impl Shard {
    pub(super) fn ticket(&mut self, of: Ticketed) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert(ticket.0, of);
        ticket
    }

    /// At the owner: a feed wants a page.
    pub(super) fn page(
        &mut self,
        now: Now,
        to: FeedRef,
        topic_id: u64,
        _epoch: u64,
        from: Start,
        max_bytes: usize,
    ) {
        let Some(entry) = self.directory.by_id(topic_id) else { return };
        let (epoch, visible, kept) = {
            let room = self.room(now, &entry);
            // Only a group may read what is kept for groups.
            let is_group = to.origin.session == SessionKey::GROUP;
            (room.epoch, room.visible, if is_group { from } else { room.kept(from) })
        };
        match entry.rule.class {
            Class::Durable => {
                let ticket = self.ticket(Ticketed::Page { to, entry, from });
                let (from, max_count) = (kept, PAGE_COUNT);
                let read = Request::Read { ticket, topic_id, from, max_bytes, max_count };
                self.ask_for_page(now, ticket, read);
            }
            Class::Latest => self.page_values(to, &entry, from, max_bytes),
            Class::Ephemeral => {
                let (runs, hole) = (Vec::new(), None);
                let paged =
                    Message::Paged { to, entry, epoch, runs, hole, next: visible, caught_up: true };
                self.send(to.origin.shard, paged);
            }
        }
    }

    /// A page of a `latest` topic: what is not in it was replaced, or damaged.
    fn page_values(&mut self, to: FeedRef, entry: &Arc<Entry>, from: Start, max_bytes: usize) {
        let Some(room) = self.rooms.get(&entry.id) else { return };
        let Some(latest) = &room.latest else { return };
        let Start::Offset(from) = room.resolve(from) else { return };
        let (epoch, visible) = (room.epoch, room.visible);
        let page = latest.page(from, visible, max_bytes, PAGE_COUNT as usize);
        let (next, last) = (page.next, page.next.saturating_sub(1));
        let (mut at, mut is_told) = (from, false);
        let mut runs = Vec::with_capacity(page.runs.len());
        for run in page.runs {
            let mut hole = room.damage(at, run.from - 1);
            // Of all that the page spans, once: only the newest follow.
            if hole.is_none() && !is_told {
                (hole, is_told) = (replaced(epoch, at, last), true);
            }
            at = run.to + 1;
            runs.push((hole, run));
        }
        let rest = || match (is_told, next < visible) {
            (true, _) => None,
            (false, true) => replaced(epoch, at, last),
            // What nothing newer has replaced was not stored.
            (false, false) => room.hole(at, last, &[]),
        };
        let hole = room.damage(at, last).or_else(rest);
        let entry = entry.clone();
        let caught_up = next >= visible;
        self.send(
            to.origin.shard,
            Message::Paged { to, entry, epoch, runs, hole, next, caught_up },
        );
    }

    /// At the owner: a session wants a page of history.
    pub(super) fn history(
        &mut self,
        now: Now,
        origin: Origin,
        number: u64,
        entry: Arc<Entry>,
        from: Start,
        limit: u32,
    ) {
        let message = Message::History { origin, number, entry: entry.clone(), from, limit };
        if self.hold(now, &entry, message).is_none() {
            return;
        }
        let room = self.room(now, &entry);
        let from = room.kept(room.resolve(from));
        // Leaves room for one largest message and the headers.
        let max_bytes = PAGE_BYTES_MAX / 4;
        let max_count = limit.min(PAGE_COUNT);
        match &room.latest {
            Some(latest) => {
                let Start::Offset(from) = from else { return };
                let page = latest.page(from, room.visible, max_bytes, max_count as usize);
                self.send_page(origin, number, &entry, &page.runs);
            }
            None if entry.rule.class == Class::Durable => {
                let topic_id = entry.id;
                let ticket = self.ticket(Ticketed::History { origin, number, entry });
                let read = Request::Read { ticket, topic_id, from, max_bytes, max_count };
                self.ask_for_page(now, ticket, read);
            }
            None => self.send_page(origin, number, &entry, &[]),
        }
    }

    fn ask_for_page(&mut self, now: Now, ticket: Ticket, request: Request) {
        if let Err(refused) = self.journal.submit(now, request)
            && let Some(ticketed) = self.tickets.remove(&ticket.0)
        {
            let (code, wait) = answer(refused);
            self.read_failed(ticketed, code, wait);
        }
    }

    /// The journal has read a page.
    pub(super) fn read(
        &mut self,
        now: Now,
        ticket: Ticket,
        floor: u64,
        from: u64,
        runs: &[Arc<Run>],
        damaged: &[journal::Hole],
    ) {
        match self.tickets.remove(&ticket.0) {
            Some(Ticketed::Open { topic_id }) => self.restored(now, topic_id, runs, damaged),
            Some(Ticketed::Page { to, entry, from: asked }) => {
                let asked = match asked {
                    Start::Offset(offset) => offset,
                    Start::Last(_) | Start::Since(_) => from,
                };
                self.feed_page(to, &entry, floor, asked, runs, damaged);
            }
            Some(Ticketed::History { origin, number, entry }) => {
                let Some(visible) = self.rooms.get(&entry.id).map(|room| room.visible) else {
                    return;
                };
                let runs: Vec<_> = runs.iter().filter_map(|run| seen(run, visible)).collect();
                self.send_page(origin, number, &entry, &runs);
            }
            _ => {}
        }
    }

    fn feed_page(
        &mut self,
        to: FeedRef,
        entry: &Arc<Entry>,
        floor: u64,
        from: u64,
        runs: &[Arc<Run>],
        damaged: &[journal::Hole],
    ) {
        let Some(room) = self.rooms.get_mut(&entry.id) else { return };
        room.floor = room.floor.max(floor);
        let (epoch, visible) = (room.epoch, room.visible);
        let mut next = from;
        let mut page = Vec::with_capacity(runs.len());
        for run in runs.iter().filter_map(|run| seen(run, visible)) {
            let hole = room.hole(next, run.from - 1, damaged);
            next = run.to + 1;
            page.push((hole, run));
        }
        // Nothing kept from here on: the rest up to live is one hole.
        let mut hole = None;
        if page.is_empty() {
            hole = room.hole(next, visible.saturating_sub(1), damaged);
            next = next.max(visible);
        }
        let (entry, caught_up) = (entry.clone(), next >= visible);
        let paged = Message::Paged { to, entry, epoch, runs: page, hole, next, caught_up };
        self.send(to.origin.shard, paged);
    }

    /// PAGE with these runs.
    fn send_page(&mut self, origin: Origin, number: u64, entry: &Arc<Entry>, runs: &[Arc<Run>]) {
        let Some(room) = self.rooms.get(&entry.id) else { return };
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Epoch, room.epoch);
        attribute::put_number(&mut attributes, Tag::Floor, room.floor);
        attribute::put_number(&mut attributes, Tag::Next, room.visible);
        let mut body = BytesMut::with_capacity(runs.iter().map(|run| run.bytes).sum());
        for chunk in runs.iter().flat_map(|run| &run.chunks) {
            body.extend_from_slice(&chunk.head);
            body.extend_from_slice(chunk.body.as_deref().unwrap_or_default());
        }
        let header = Header { topic_id: entry.id, ..Header::new(Kind::Page) }.number(number);
        let frame = header.to_frame(&attributes, &body).unwrap_or_default();
        self.send(origin.shard, Message::Control { session: origin.session, frame });
    }

    /// A page could not be read: history requests are refused, feeds try again a little later.
    pub(super) fn read_failed(&mut self, ticketed: Ticketed, code: Code, wait: Duration) {
        match ticketed {
            Ticketed::History { origin, number, .. } => {
                let frame = refused(number, code, wait);
                self.send(origin.shard, Message::Control { session: origin.session, frame });
            }
            Ticketed::Page { to, entry: _, from } => {
                self.send(to.origin.shard, Message::PageFailed { to, from });
            }
            // Values have been answered before.
            Ticketed::Open { .. } | Ticketed::Append { .. } | Ticketed::Put | Ticketed::Load(_) => {
            }
        }
    }
}

/// The hole `from..=to`, of which only the newest of each key follow.
fn replaced(epoch: u64, from: u64, to: u64) -> Option<Hole> {
    (from <= to).then_some(Hole { epoch, from, to, reason: GapReason::Conflated })
}

/// The part of a run that has been handed to subscribers.
fn seen(run: &Arc<Run>, visible: u64) -> Option<Arc<Run>> {
    if run.to < visible {
        return Some(run.clone());
    }
    let count = u32::try_from(visible.saturating_sub(run.from)).unwrap_or(u32::MAX);
    run.truncate_to(count)
}
