//! At a topic's owner: what goes to the journal, and what follows from its answers.

use std::sync::Arc;
use std::time::Duration;

use sampan_protocol::{AckLevel, Class, Code, Now};

use super::Shard;
use super::commands::millis;
use super::owner::BUSY;
use super::replay::Ticketed;
use crate::flight::{Acks, Failure, Flight};
use crate::journal::{self, Completion, Refused, Request, Run, Ticket};
use crate::latest::Coming;
use crate::message::{AckRun, Origin};

impl Shard {
    /// Gives a run to the journal; its publishers wait for what they asked for.
    pub(super) fn store(
        &mut self,
        now: Now,
        topic_id: u64,
        run: Arc<Run>,
        values: Vec<Coming>,
        (since, acks): Acks,
    ) {
        let ticket = self.ticket(Ticketed::Append { topic_id });
        let best = self.journal.best();
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        // Kept values are shown at once, messages when no crash can take them back.
        let shown_from = match room.entry.rule.class {
            Class::Latest => AckLevel::Routed,
            _ => best,
        };
        let weakest = acks.iter().map(|(_, ack)| ack.level).min().unwrap_or(best);
        let early = weakest.min(shown_from) < best;
        let request = Request::Append {
            ticket,
            topic_id,
            topic: room.entry.topic.clone(),
            epoch: room.epoch,
            run: run.clone(),
            early,
            replaces: values.iter().map(|value| value.key.clone()).collect(),
        };
        match self.journal.submit(now, request) {
            Ok(()) => room.flights.push(Flight {
                ticket,
                since,
                run,
                values,
                acks,
                heard_from: if early { AckLevel::Routed } else { best },
                shown_from,
                reached: None,
                has_ended: false,
                is_told: false,
            }),
            Err(refused) => {
                self.tickets.remove(&ticket.0);
                room.take_back(&run, &values);
                let (code, wait) = answer(refused);
                self.refuse_acks(topic_id, acks, code, wait);
            }
        }
    }

    /// What the journal has to say.
    pub(super) fn completed(&mut self, now: Now, completion: Completion) {
        let Some(completion) = self.values_completed(now, completion) else { return };
        match completion {
            opened @ Completion::Opened { .. } => self.opened(now, opened),
            Completion::Stored { ticket, level } => self.stored(now, ticket, level),
            Completion::Failed { ticket, error } => self.failed(now, ticket, error),
            Completion::Page { ticket, floor, from, runs, damaged, next: _ } => {
                self.read(now, ticket, floor, from, &runs, &damaged);
            }
            // Values have been taken before.
            Completion::Values { .. } => {}
            Completion::Floor { topic_id, floor } => {
                if let Some(room) = self.rooms.get_mut(&topic_id) {
                    room.floor = room.floor.max(floor);
                    room.lost.retain(|lost| lost.to >= floor);
                }
            }
        }
    }

    fn stored(&mut self, now: Now, ticket: Ticket, level: AckLevel) {
        let best = self.journal.best();
        let Some(Ticketed::Append { topic_id }) = self.tickets.get(&ticket.0) else { return };
        let topic_id = *topic_id;
        if level >= best {
            self.tickets.remove(&ticket.0);
        }
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        let Some(acks) = room.flights.reached(ticket, level, best) else { return };
        self.publish_acks(now, topic_id, acks);
        self.reveal(now, topic_id);
    }

    fn failed(&mut self, now: Now, ticket: Ticket, error: journal::Error) {
        self.counters.journal_failures += 1;
        match self.tickets.remove(&ticket.0) {
            Some(Ticketed::Append { topic_id }) => self.not_stored(now, topic_id, ticket, error),
            Some(Ticketed::Open { topic_id }) => {
                self.not_opened(now, topic_id, Code::STORAGE, BUSY)
            }
            Some(other) => self.read_failed(other, Code::STORAGE, super::STARVED),
            None => {}
        }
    }

    fn not_stored(&mut self, now: Now, topic_id: u64, ticket: Ticket, error: journal::Error) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        let Some(failure) = room.flights.failed(ticket) else { return };
        let Failure { run, values, acks, was_shown } = failure;
        room.forget(&run, &values);
        // Those that have their ack, or want none, are not told that theirs is gone.
        let refused: u64 = acks.iter().map(|(_, ack)| ack.count).sum();
        if was_shown {
            let latest = room.latest.iter_mut();
            latest.for_each(|l| (run.from..=run.to).for_each(|offset| l.forget_version(offset)));
        } else if refused < run.count() {
            room.lose(journal::Hole { from: run.from, to: run.to });
        }
        let code = match error {
            journal::Error::TooLarge => Code::TOO_LARGE,
            journal::Error::Full => Code::BUSY,
            _ => Code::STORAGE,
        };
        self.refuse_acks(topic_id, acks, code, BUSY);
        self.reveal(now, topic_id);
    }

    /// Delivers the batches at the front that are to be shown.
    fn reveal(&mut self, now: Now, topic_id: u64) {
        let Some(room) = self.rooms.get_mut(&topic_id) else { return };
        for (run, values) in room.flights.shown() {
            let Some(room) = self.rooms.get_mut(&topic_id) else { return };
            if let Some(latest) = &mut room.latest {
                let before = latest.bytes();
                values.into_iter().for_each(|value| latest.put(value));
                self.latest_bytes = self.latest_bytes + latest.bytes() - before;
                if self.throttle(now, topic_id) {
                    continue;
                }
            }
            let Some(room) = self.rooms.get_mut(&topic_id) else { return };
            let hole = room.hole(room.visible, run.from - 1, &[]);
            room.visible = run.to + 1;
            self.spread(topic_id, run, hole);
        }
    }

    /// Tells publishers that their messages were not stored, so that they may try again.
    fn refuse_acks(
        &mut self,
        topic_id: u64,
        acks: Vec<(Origin, AckRun)>,
        code: Code,
        wait: Duration,
    ) {
        for (origin, run) in acks {
            for back in (0..run.count).rev() {
                let sequence = run.sequence - back;
                self.send_refusal(origin, sequence, topic_id, code, millis(wait));
            }
        }
    }
}

/// What is told to whoever asked for what the journal has not taken.
pub(super) fn answer(refused: Refused) -> (Code, Duration) {
    match refused {
        Refused::Full { retry_after } => (Code::BUSY, retry_after),
        Refused::Fenced => (Code::STORAGE, BUSY),
    }
}
