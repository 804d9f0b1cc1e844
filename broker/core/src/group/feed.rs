//! Fetching messages from their topics' owners, and handing them out in turn.

use std::sync::Arc;
use std::time::Duration;

use sampan_protocol::Now;
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{GapReason, GroupOrder};
use sampan_protocol::limits::{ATTRIBUTES_BYTES_MAX, HEADER_BYTES};

use super::cursor::{Cursor, Job, State};
use super::{Group, Handed, Output, PIN_EVERY};
use crate::directory::Entry;
use crate::journal::{Deliver, Run, Start};
use crate::message::Hole;

/// Bytes of the attributes that a JOB adds to its message's: three numbers.
const JOB_ATTRIBUTES_BYTES: usize = 3 * (3 + 8);
/// Why a message cannot be handed out that leaves no room for them.
const TOO_LARGE: &str = "its attributes leave no room for those of a job";
/// Pages that one group has asked for at the same time.
const PAGES: usize = 4;
/// Bytes of one page.
const PAGE_BYTES: usize = 128 * 1024;
/// Why a message that was on its way back is a dead letter again.
pub(super) const ENDED: &str = "the topic's history has ended";
/// How long a group waits before it asks again for a page that could not be read.
const AGAIN: Duration = Duration::from_millis(250);

/// Where a topic stands at its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Its epoch.
    pub epoch: u64,
    /// First offset still kept.
    pub floor: u64,
    /// Offset of the next message to come.
    pub next: u64,
}

/// Where a group begins to read a topic that it does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With the first kept message.
    Floor,
    /// At this offset.
    At(u64),
    /// With the first message at or after this time, Unix milliseconds.
    Since(u64),
}

/// A page of a topic, from its owner.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) epoch: u64,
    pub(crate) runs: Vec<(Option<Hole>, Arc<Run>)>,
    pub(crate) hole: Option<Hole>,
    pub(crate) next: u64,
}

impl Group {
    /// An owner says where a topic stands. A topic whose epoch has ended is read from the start of
    /// the new one.
    pub(crate) fn stand(&mut self, now: Now, entry: &Arc<Entry>, extent: Extent, begin: Begin) {
        let topic_id = entry.id;
        let Extent { epoch, floor, next } = extent;
        let is_full = self.topics.len() >= self.bounds.topics_max;
        match self.topics.get_mut(&topic_id) {
            Some(cursor) if cursor.epoch == epoch && cursor.is_known => {
                cursor.end = cursor.end.max(next);
            }
            Some(cursor) => {
                self.counted.skipped += cursor.lag();
                self.restart(now, topic_id, epoch, floor.saturating_sub(1));
                self.extend(topic_id, next);
            }
            None if is_full => {
                self.counted.topics_refused += 1;
                return;
            }
            None => {
                let mut cursor = Cursor::new(entry.clone());
                (cursor.epoch, cursor.end, cursor.is_known) = (epoch, next, true);
                match begin {
                    Begin::Floor => cursor.done = floor.saturating_sub(1),
                    Begin::At(offset) => cursor.done = offset.clamp(1, next) - 1,
                    Begin::Since(ms) => cursor.since_ms = Some(ms),
                }
                cursor.next = cursor.done + 1;
                // A topic without a stored place would be read from another one after a restart.
                cursor.moved = cursor.since_ms.is_none()
                    && (begin != Begin::Floor || self.definition.since_ms > 0);
                self.topics.insert(topic_id, cursor);
                self.changed.topics.insert(topic_id);
            }
        }
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        if self.definition.is_used && cursor.pinned == 0 && cursor.since_ms.is_none() {
            self.outputs.push_back(cursor.pin());
        }
        self.want(topic_id);
    }

    /// An owner has new messages.
    pub(crate) fn offer(
        &mut self,
        now: Now,
        entry: &Arc<Entry>,
        epoch: u64,
        floor: u64,
        run: &Arc<Run>,
    ) {
        let topic_id = entry.id;
        let known = self.topics.get(&topic_id).is_some_and(|cursor| cursor.epoch == epoch);
        if !known {
            let extent = Extent { epoch, floor, next: run.from };
            self.stand(now, entry, extent, Begin::Floor);
        }
        let has_room = self.has_room();
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let follows =
            cursor.next == run.from && cursor.asked.is_none() && cursor.since_ms.is_none();
        cursor.end = cursor.end.max(run.to + 1);
        if follows && has_room {
            self.take(now, topic_id, run, true);
        }
        self.want(topic_id);
    }

    /// The page that was asked for under this number.
    pub(crate) fn paged(&mut self, now: Now, topic_id: u64, asked: u32, page: &Page) {
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        if cursor.asked != Some(asked) {
            return;
        }
        cursor.asked = None;
        self.pages -= 1;
        if cursor.epoch != page.epoch {
            self.counted.skipped += cursor.lag();
            self.restart(now, topic_id, page.epoch, 0);
        } else if cursor.since_ms.is_some() {
            let first = page.runs.first().map_or(page.next, |(_, run)| run.from);
            self.restart(now, topic_id, page.epoch, first.saturating_sub(1));
        }
        self.extend(topic_id, page.next);
        for (hole, run) in &page.runs {
            self.skip(topic_id, *hole);
            self.take(now, topic_id, run, false);
        }
        self.skip(topic_id, page.hole);
        self.want(topic_id);
    }

    /// The page that was asked for under this number could not be read.
    pub(crate) fn page_failed(&mut self, now: Now, asked: u32) {
        let mut all = self.topics.iter_mut();
        let Some((&topic_id, cursor)) = all.find(|(_, cursor)| cursor.asked == Some(asked)) else {
            return;
        };
        cursor.asked = None;
        self.pages -= 1;
        self.deadlines.insert((now.mono + AGAIN, topic_id, 0));
    }

    /// Hands ready jobs to members in turn, topics in turn, as far as members take any; then asks
    /// for more.
    pub(crate) fn hand_out(&mut self, now: Now) {
        while let Some(&topic_id) = self.listed.front() {
            let Some(cursor) = self.topics.get_mut(&topic_id) else {
                self.listed.pop_front();
                continue;
            };
            let Some(&offset) = cursor.ready.first() else {
                cursor.is_listed = false;
                self.listed.pop_front();
                continue;
            };
            if cursor.tried.get(&offset).is_some_and(|tried| tried.condemned) {
                self.condemn(now, topic_id, offset);
                continue;
            }
            let Some(&to) = self.takers.front() else { break };
            self.takers.pop_front();
            let Some(member) = self.members.get_mut(&to) else { continue };
            member.is_listed = false;
            if !member.takes() {
                continue;
            }
            if member.held.len() >= member.window as usize {
                member.pulled = member.pulled.saturating_sub(1);
            }
            self.listed.rotate_left(1);
            self.hand(now, topic_id, offset, to);
            self.list(to);
        }
        self.fetch();
    }

    fn hand(&mut self, now: Now, topic_id: u64, offset: u64, to: super::Consumer) {
        let until = now.mono + self.definition.ack_wait;
        self.put(topic_id, offset, State::Held { by: to, until });
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let tried = cursor.note(offset);
        tried.attempts = tried.attempts.saturating_add(1);
        tried.due_ms = 0;
        let attempt = tried.attempts;
        self.counted.delivered += 1;
        self.counted.redelivered += u64::from(attempt > 1);
        self.changed.topics.insert(topic_id);
        let Some(job) = cursor.open.get(&offset) else { return };
        self.outputs.push_back(Output::Job(Handed {
            to,
            entry: cursor.entry.clone(),
            epoch: cursor.epoch,
            offset,
            time_ms: job.time_ms,
            attempt,
            attributes: job.attributes.clone(),
            payload: job.payload.clone(),
        }));
    }

    /// Asks for pages while there is room for what they bring.
    fn fetch(&mut self) {
        while self.pages < PAGES && self.has_room() {
            let Some(topic_id) = self.hungry.pop_front() else { return };
            let max_bytes = PAGE_BYTES.min(self.bounds.ahead_bytes - self.open_bytes);
            if let Some(cursor) = self.topics.get_mut(&topic_id) {
                cursor.is_hungry = false;
                self.ask(topic_id, max_bytes);
            }
        }
    }

    /// Asks for a topic's next page, if it wants one.
    pub(super) fn ask(&mut self, topic_id: u64, max_bytes: usize) {
        let Some(cursor) = self.topics.get_mut(&topic_id).filter(|cursor| cursor.wants()) else {
            return;
        };
        let asked = self.next_page;
        self.next_page = self.next_page.wrapping_add(1);
        self.pages += 1;
        cursor.asked = Some(asked);
        let from = cursor.since_ms.map_or(Start::Offset(cursor.next), Start::Since);
        let entry = cursor.entry.clone();
        self.outputs.push_back(Output::Page { entry, from, max_bytes, asked });
    }

    /// Whether more messages may be fetched: there is room, and somebody for whom to.
    fn has_room(&self) -> bool {
        let fits = self.open_count < self.bounds.ahead_count;
        fits && self.open_bytes < self.bounds.ahead_bytes && !self.members.is_empty()
    }

    /// Takes the messages of a run that have not been fetched; with `while_room` only as many as
    /// there is room for.
    fn take(&mut self, now: Now, topic_id: u64, run: &Run, while_room: bool) {
        for frame in run.frames() {
            if while_room && !self.has_room() {
                break;
            }
            let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
            if frame.offset < cursor.next {
                continue;
            }
            let (from, to) = (cursor.next, frame.offset - 1);
            let epoch = cursor.epoch;
            self.skip(topic_id, Some(Hole { epoch, from, to, reason: GapReason::NeverUsed }));
            self.add(now, topic_id, frame);
        }
        self.changed.topics.insert(topic_id);
        self.show(topic_id);
    }

    fn add(&mut self, now: Now, topic_id: u64, frame: Deliver) {
        let offset = frame.offset;
        let by_key = self.definition.order == GroupOrder::Key;
        let Some(job) = job(frame, by_key) else { return };
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        cursor.next = offset + 1;
        cursor.end = cursor.end.max(cursor.next);
        if cursor.is_settled(offset) || cursor.open.contains_key(&offset) {
            return;
        }
        let fits = job.attributes.len() + JOB_ATTRIBUTES_BYTES <= ATTRIBUTES_BYTES_MAX;
        self.open_count += 1;
        self.open_bytes += job.bytes();
        cursor.add(offset, job);
        if !fits {
            self.note_failure(now, topic_id, offset, &Arc::from(""), TOO_LARGE);
            return self.condemn(now, topic_id, offset);
        }
        self.recall(now, topic_id, offset);
    }

    /// Offsets that will not come.
    fn skip(&mut self, topic_id: u64, hole: Option<Hole>) {
        let (Some(hole), Some(cursor)) = (hole, self.topics.get_mut(&topic_id)) else { return };
        let gone = cursor.skip(hole);
        if hole.reason.is_loss() {
            self.counted.skipped += gone;
        }
        self.changed.topics.insert(topic_id);
    }

    /// Reads a topic anew behind `done`. Messages on their way back from the dead letters stay; when
    /// their history has ended they can only be published anew, and are dead letters again.
    pub(super) fn restart(&mut self, now: Now, topic_id: u64, epoch: u64, done: u64) {
        let Some(cursor) = self.topics.get(&topic_id) else { return };
        for offset in cursor.open.keys().copied().collect::<Vec<_>>() {
            self.withdraw(topic_id, offset);
        }
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        self.pages -= usize::from(cursor.asked.is_some());
        let is_same = cursor.epoch == epoch;
        let mut ended = Vec::new();
        if !is_same {
            let returned =
                cursor.open.iter().filter_map(|(offset, job)| Some((offset, job, job.returned?)));
            ended.extend(returned.map(|(offset, job, id)| {
                (id, cursor.letter(*offset, job, Arc::from(ENDED), now.unix_ms))
            }));
        }
        for (offset, job) in cursor.restart(epoch, done) {
            if is_same && job.returned.is_some() {
                cursor.add(offset, job);
            } else {
                self.open_count -= 1;
                self.open_bytes -= job.bytes();
            }
        }
        for (id, letter) in ended {
            self.add_letter(&letter, Some(id));
        }
        self.changed.topics.insert(topic_id);
        self.show(topic_id);
        self.want(topic_id);
    }

    fn extend(&mut self, topic_id: u64, end: u64) {
        if let Some(cursor) = self.topics.get_mut(&topic_id) {
            cursor.end = cursor.end.max(end);
        }
    }

    /// Lists a topic that has ready jobs.
    pub(super) fn show(&mut self, topic_id: u64) {
        if let Some(cursor) = self.topics.get_mut(&topic_id)
            && !cursor.ready.is_empty()
            && !cursor.is_listed
        {
            cursor.is_listed = true;
            self.listed.push_back(topic_id);
        }
    }

    /// Lists a topic that has more to be fetched.
    pub(super) fn want(&mut self, topic_id: u64) {
        if let Some(cursor) = self.topics.get_mut(&topic_id)
            && cursor.wants()
            && !cursor.is_hungry
        {
            cursor.is_hungry = true;
            self.hungry.push_back(topic_id);
        }
    }

    /// Asks owners to keep what the group needs, from its first consumer on.
    pub(super) fn pin_all(&mut self) {
        let known = self.topics.values_mut().filter(|c| c.is_known && c.since_ms.is_none());
        self.outputs.extend(known.map(Cursor::pin));
    }

    /// What a stored cursor no longer needs may go.
    pub(super) fn pin(&mut self, now: Now, topic_id: u64, offset: u64) {
        let Some(cursor) = self.topics.get(&topic_id) else { return };
        if cursor.pinned == offset {
            // What was to be let go before the group was sent back is needed again.
            self.pins.remove(&topic_id);
        } else if self.definition.is_used {
            self.pins.insert(topic_id, offset);
            self.pin_at.get_or_insert(now.mono + PIN_EVERY);
        }
    }
}

/// The job in a DELIVER frame, with its key if that is wanted.
fn job(frame: Deliver, by_key: bool) -> Option<Job> {
    let Deliver { time_ms, head, body, .. } = frame;
    let lengths = head.get(2..4)?.try_into().ok()?;
    let end = HEADER_BYTES + usize::from(u16::from_le_bytes(lengths));
    let attributes = head.get(HEADER_BYTES..end).map(|attributes| head.slice_ref(attributes))?;
    let payload = body.unwrap_or_else(|| head.slice(end..));
    let key = by_key.then(|| key(&attributes)).flatten();
    Some(Job { time_ms, attributes, payload, key, state: State::Ready, returned: None })
}

/// The message key among these attributes.
pub(super) fn key(attributes: &[u8]) -> Option<Arc<str>> {
    attribute::raw(attributes)
        .map_while(Result::ok)
        .find(|(tag, _)| *tag == Tag::Key as u8)
        .and_then(|(_, key)| Some(Arc::from(std::str::from_utf8(key).ok()?)))
}
