//! Groups and the journal: reading what they were, storing what they become.
//!
//! One gathering is on its way at a time. What happens meanwhile goes with the next one, so that a
//! busy journal costs few large writes rather than many small ones, and whoever waits is told when
//! the gathering that holds theirs is stored. A large one goes in parts, none of which divides what
//! a group has to store in one piece.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::control::Start;
use sampan_protocol::session::server::Consume;
use sampan_protocol::{Code, Now, Topic};

use super::super::replay::Ticketed;
use super::super::{Shard, owner::BUSY, stored::answer};
use super::Answer;
use crate::directory::owner;
use crate::group::record::Letter;
use crate::group::{Group, Piece, Stored, key, weights};
use crate::journal::{self, Completion, Request, Ticket};
use crate::timer::Timer;

/// Bytes of one page of stored values.
const LOAD_BYTES: usize = 1024 * 1024;
/// Bytes of values that are put together into one part of a gathering, unless they are one piece.
const PART_BYTES: usize = 256 * 1024;
/// What is read at start, in this order: each needs what comes before it.
const PREFIXES: [&str; 4] = [key::GROUPS, key::CURSORS, key::BLOCKS, key::RETURNS];

/// Values on their way to the journal.
#[derive(Debug)]
pub(super) struct Put {
    /// None while the journal has not taken them.
    ticket: Option<Ticket>,
    /// When it is asked again, and how it failed.
    again_at: Instant,
    failure: Option<Code>,
    /// The parts that are not stored, the one on its way first.
    parts: VecDeque<Piece>,
    stored: Vec<(u32, Stored)>,
    answers: Vec<Answer>,
}

/// How far the reading at start has come.
#[derive(Debug, Default)]
pub(super) struct Loading {
    stage: usize,
    after: Option<Bytes>,
    /// Whether an answer is on its way, or a timer set.
    is_waiting: bool,
}

/// What a reading of values is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shard) enum Reading {
    /// The shard starts.
    Start,
    /// An operator's task.
    Task,
}

impl Shard {
    /// Takes what the journal says about values; gives back what is about messages.
    pub(in crate::shard) fn values_completed(
        &mut self,
        now: Now,
        completion: Completion,
    ) -> Option<Completion> {
        let ticket = match &completion {
            Completion::Stored { ticket, .. }
            | Completion::Failed { ticket, .. }
            | Completion::Values { ticket, .. } => *ticket,
            _ => return Some(completion),
        };
        let reading = match self.tickets.get(&ticket.0) {
            Some(Ticketed::Put) => None,
            Some(Ticketed::Load(reading)) => Some(*reading),
            _ => return Some(completion),
        };
        match (completion, reading) {
            (Completion::Stored { level, .. }, _) if level < self.journal.best() => {}
            (Completion::Stored { .. }, _) => {
                self.tickets.remove(&ticket.0);
                self.put_stored(now);
            }
            (Completion::Values { values, more, .. }, Some(reading)) => {
                self.tickets.remove(&ticket.0);
                match reading {
                    Reading::Start => self.loaded(now, &values, more),
                    Reading::Task => self.task_read(now, &values, more),
                }
            }
            (Completion::Failed { error, .. }, reading) => {
                self.tickets.remove(&ticket.0);
                self.counters.journal_failures += 1;
                match reading {
                    None => self.put_failed(now, BUSY, error_code(error)),
                    Some(reading) => self.reading_failed(now, reading, error_code(error), BUSY),
                }
            }
            _ => {}
        }
        None
    }

    /// Reads values; the answer comes as a completion.
    pub(super) fn read_values(
        &mut self,
        now: Now,
        reading: Reading,
        prefix: Bytes,
        after: Option<Bytes>,
        max_bytes: usize,
    ) {
        let ticket = self.ticket(Ticketed::Load(reading));
        let request = Request::Load { ticket, prefix, after, max_bytes };
        if let Err(refused) = self.journal.submit(now, request) {
            self.tickets.remove(&ticket.0);
            let (code, wait) = answer(refused);
            self.reading_failed(now, reading, code, wait);
        }
    }

    fn reading_failed(&mut self, now: Now, reading: Reading, code: Code, wait: Duration) {
        match reading {
            Reading::Start => self.timers.set(now.mono + wait.max(BUSY), Timer::Groups),
            Reading::Task => self.end_task(Some(code)),
        }
    }

    /// Reads on at start.
    pub(super) fn load_groups(&mut self, now: Now) {
        let Some(loading) = &mut self.groups.loading else { return };
        if std::mem::replace(&mut loading.is_waiting, true) {
            return;
        }
        let (stage, after) = (loading.stage, loading.after.clone());
        match PREFIXES.get(stage) {
            Some(prefix) => {
                let prefix = Bytes::from_static(prefix.as_bytes());
                self.read_values(now, Reading::Start, prefix, after, LOAD_BYTES);
            }
            None => self.start_groups(now),
        }
    }

    fn loaded(&mut self, now: Now, values: &[(Bytes, Bytes)], more: bool) {
        let Some(stage) = self.groups.loading.as_ref().map(|loading| loading.stage) else { return };
        for (name, value) in values {
            if self.restore(PREFIXES[stage], name, value).is_none() {
                self.counters.groups.values_refused += 1;
            }
        }
        let Some(loading) = &mut self.groups.loading else { return };
        loading.is_waiting = false;
        match values.last() {
            Some((last, _)) if more => loading.after = Some(last.clone()),
            _ => (loading.stage, loading.after) = (stage + 1, None),
        }
        self.load_groups(now);
    }

    /// Takes over one stored value; `None` if it cannot be read or has no place.
    fn restore(&mut self, prefix: &str, name: &[u8], value: &Bytes) -> Option<()> {
        let (name, second, number) = key::parts(name)?;
        if prefix == key::GROUPS {
            let bounds = (&self.config.limits).into();
            let group = Group::restored(name, value, bounds, self.boot)?;
            self.host_group(group, None);
            return Some(());
        }
        let letter = if prefix == key::RETURNS { Some(Letter::decode(value)?) } else { None };
        let topic = match &letter {
            Some(letter) => letter.topic.clone(),
            None => Topic::parse(second?).ok()?,
        };
        let entry = self.directory.resolve(&topic).ok()?;
        let group = &mut self.groups.named(&name)?.group;
        match letter {
            Some(letter) => group.restore_return(&entry, number?, &letter),
            None if prefix == key::CURSORS => {
                return group.restore_place(&entry, value).then_some(());
            }
            None => return group.restore_block(&entry, number?, value).then_some(()),
        }
        Some(())
    }

    /// Everything stored has been read: what has waited goes on, and groups that the configuration
    /// names are made if there are none of their names.
    fn start_groups(&mut self, now: Now) {
        self.groups.loading = None;
        // Not before their places were known: the answers may be acted on.
        for id in self.groups.all.keys().copied().collect::<Vec<_>>() {
            self.follow_topics(id);
        }
        let config = self.config.clone();
        for rule in &config.groups {
            let (group, pattern) = (rule.name.clone(), rule.pattern.clone());
            let is_here = owner(&group, self.shards) == self.me;
            if is_here && !self.groups.names.contains_key(&group) {
                let (start, window, number) = (Start::Since(0), 0, 0);
                let (order, ack_wait, attempts_max) = (None, None, None);
                self.form(
                    now,
                    &Consume {
                        number,
                        group,
                        pattern,
                        start,
                        window,
                        order,
                        ack_wait,
                        attempts_max,
                    },
                );
            }
        }
        self.inbox.extend(std::mem::take(&mut self.groups.waiting));
        self.timers.set(now.mono + EXPIRE_EVERY, Timer::Letters);
    }

    /// Gathers what differs from what is stored, unless an earlier gathering is on its way.
    pub(super) fn store_groups(&mut self, now: Now) {
        if let Some(put) = &self.groups.put {
            let (is_out, failure) = (put.ticket.is_some(), put.failure);
            if !is_out && put.again_at <= now.mono {
                return self.submit_put(now);
            }
            if let Some(code) = failure {
                let answers = std::mem::take(&mut self.groups.answers);
                self.refuse_answers(answers, code);
            }
            return;
        }
        self.answer_seeks();
        let (mut pieces, mut stored) = (Vec::new(), Vec::new());
        for id in std::mem::take(&mut self.groups.unsaved) {
            if let Some(hosted) = self.groups.all.get_mut(&id)
                && hosted.group.has_changed()
            {
                let (gathered, taken) = hosted.group.gather(PART_BYTES);
                pieces.extend(gathered);
                stored.push((id, taken));
            }
        }
        let erased = std::mem::take(&mut self.groups.erased);
        pieces.extend(erased.into_iter().map(|key| vec![(key, None)]));
        let parts = parts(pieces);
        let answers = std::mem::take(&mut self.groups.answers);
        if parts.is_empty() {
            return self.give_answers(answers);
        }
        let again_at = now.mono;
        let (ticket, failure) = (None, None);
        self.groups.put = Some(Put { ticket, again_at, failure, parts, stored, answers });
        self.submit_put(now);
    }

    fn submit_put(&mut self, now: Now) {
        let ticket = self.ticket(Ticketed::Put);
        let Some(put) = &mut self.groups.put else { return };
        put.ticket = Some(ticket);
        let values = put.parts.front().cloned().unwrap_or_default();
        let request = Request::Put { ticket, values };
        if let Err(refused) = self.journal.submit(now, request) {
            self.tickets.remove(&ticket.0);
            let (code, wait) = answer(refused);
            self.put_failed(now, wait, code);
        }
    }

    fn put_stored(&mut self, now: Now) {
        if let Some(put) = &mut self.groups.put {
            put.parts.pop_front();
            put.failure = None;
            if !put.parts.is_empty() {
                return self.submit_put(now);
            }
        }
        let Some(put) = self.groups.put.take() else { return };
        for (id, stored) in put.stored {
            if let Some(hosted) = self.groups.touch(id) {
                hosted.group.stored(now, stored);
            }
        }
        self.give_answers(put.answers);
        // What has come meanwhile may be gathered now.
        self.groups.again = true;
    }

    /// The values stay, and are given to the journal again; whoever waits for a journal that has
    /// failed is told so.
    fn put_failed(&mut self, now: Now, wait: Duration, code: Code) {
        let Some(put) = &mut self.groups.put else { return };
        put.ticket = None;
        put.again_at = now.mono + wait.max(BUSY);
        self.timers.set(put.again_at, Timer::Groups);
        put.failure = Some(code).filter(|code| *code != Code::BUSY);
        if put.failure.is_some() {
            let answers = std::mem::take(&mut put.answers);
            self.refuse_answers(answers, code);
        }
    }

    /// The time to try again has come.
    pub(in crate::shard) fn groups_time(&mut self) {
        if let Some(loading) = &mut self.groups.loading {
            loading.is_waiting = false;
        }
        self.groups.again = true;
    }
}

/// How often dead letters that are too old are looked for.
pub(super) const EXPIRE_EVERY: Duration = Duration::from_secs(60);

/// Joins pieces that follow each other as far as `PART_BYTES` go.
fn parts(pieces: Vec<Piece>) -> VecDeque<Piece> {
    let (mut parts, mut bytes) = (VecDeque::<Piece>::new(), 0);
    for piece in pieces {
        let size = weights(&piece);
        match parts.back_mut().filter(|_| bytes + size <= PART_BYTES) {
            Some(part) => {
                part.extend(piece);
                bytes += size;
            }
            None => {
                parts.push_back(piece);
                bytes = size;
            }
        }
    }
    parts
}

fn error_code(error: journal::Error) -> Code {
    match error {
        journal::Error::TooLarge => Code::TOO_LARGE,
        _ => Code::STORAGE,
    }
}
