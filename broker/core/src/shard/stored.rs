//! At a topic's owner: what goes to the journal, and what follows from its answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::{AckLevel, Code, Now};

use super::Shard;
use super::commands::{millis, refused};
use super::owner::BUSY;
use super::replay::Ticketed;
use crate::directory::Entry;
use crate::journal::{self, Completion, Refused, Request, Run, Ticket};
use crate::message::{AckRun, Message, Origin};
use crate::room::{InFlight, Stored};

impl Shard {
    /// Gives a run to the journal; its publishers wait for what they asked for.
    pub(super) fn store(
        &mut self,
        now: Now,
        topic_id: u64,
        run: Arc<Run>,
        since: Instant,
        acks: Vec<(Origin, AckRun)>,
    ) {
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
            early: false,
            replaces: Vec::new(),
        };
        match self.journal.submit(now, request) {
            Ok(()) => {
                let (early, later): (Vec<_>, Vec<_>) = acks
                    .into_iter()
                    .partition(|(_, ack)| ack.level == AckLevel::Routed && best > AckLevel::Routed);
                room.in_flight.push_back(InFlight {
                    ticket,
                    since,
                    run,
                    acks: later,
                    state: Stored::Waiting,
                });
                self.publish_acks(now, since, topic_id, early);
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
    pub(super) fn completed(&mut self, now: Now, completion: Completion) {
        match completion {
            Completion::Opened { ticket, topic_id, epoch, floor, next, lost, .. } => {
                self.tickets.remove(&ticket.0);
                self.opened(topic_id, epoch, floor, next, lost);
            }
            Completion::Stored { ticket, level } => self.stored(now, ticket, level),
            Completion::Failed { ticket, error } => self.failed(ticket, error),
            Completion::Page { ticket, floor, from, runs, .. } => {
                self.read(ticket, floor, from, runs);
            }
            // Nothing asks for values.
            Completion::Values { .. } => {}
            Completion::Floor { topic_id, floor } => {
                if let Some(room) = self.rooms.get_mut(&topic_id) {
                    room.floor = room.floor.max(floor);
                    room.lost.retain(|lost| lost.to >= floor);
                }
            }
        }
    }

    pub(super) fn opened(
        &mut self,
        topic_id: u64,
        epoch: u64,
        floor: u64,
        next: u64,
        lost: Vec<journal::Hole>,
    ) {
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

    pub(super) fn stored(&mut self, now: Now, ticket: Ticket, level: AckLevel) {
        let best = self.journal.best();
        let Some(Ticketed::Append { topic_id }) = self.tickets.get(&ticket.0) else { return };
        let topic_id = *topic_id;
        if level >= best {
            self.tickets.remove(&ticket.0);
        }
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        let Some(batch) = room.in_flight.iter_mut().find(|b| b.ticket == ticket) else { return };
        let since = batch.since;
        let all = std::mem::take(&mut batch.acks);
        let (now_true, later) = all.into_iter().partition(|(_, ack)| ack.level <= level);
        batch.acks = later;
        if level >= best {
            batch.state = Stored::Visible;
        }
        self.publish_acks(now, since, topic_id, now_true);
        self.reveal(topic_id);
    }

    pub(super) fn failed(&mut self, ticket: Ticket, error: journal::Error) {
        self.counters.journal_failures += 1;
        match self.tickets.remove(&ticket.0) {
            Some(Ticketed::Append { topic_id }) => {
                let Some(room) = self.rooms.get_mut(&topic_id) else { return };
                let batch = room.in_flight.iter_mut().find(|batch| batch.ticket == ticket);
                let Some(batch) = batch else { return };
                batch.state = Stored::Failed;
                let acks = std::mem::take(&mut batch.acks);
                // Those that have their ack, or want none, are not told that theirs is gone.
                let refused: u64 = acks.iter().map(|(_, ack)| ack.count).sum();
                let (from, to, count) = (batch.run.from, batch.run.to, batch.run.count());
                if refused < count {
                    room.lose(journal::Hole { from, to });
                }
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
                    self.refuse_held(&room.entry, message, Code::STORAGE);
                }
            }
            Some(other) => self.read_failed(other),
            None => {}
        }
    }

    /// Answers what cannot wait for its room any longer.
    pub(super) fn refuse_held(&mut self, entry: &Arc<Entry>, message: Message, code: Code) {
        let (topic_id, wait) = (entry.id, BUSY);
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

    /// Delivers the batches at the front that the journal holds, skipping those that failed.
    pub(super) fn reveal(&mut self, topic_id: u64) {
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
    pub(super) fn fail(
        &mut self,
        topic_id: u64,
        acks: Vec<(Origin, AckRun)>,
        code: Code,
        wait: Duration,
    ) {
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
}
