//! A topic's live state at its owner: offsets, what waits to be flushed, who is interested.

use std::sync::Arc;
use std::time::Instant;

use sampan_protocol::control::GapReason;
use sampan_protocol::limits::NUMBER_MAX;
use sampan_protocol::{AckLevel, Class, Now};

use crate::batch::Batch;
use crate::dedupe::{self, Dedupe};
use crate::directory::Entry;
use crate::flight::Flights;
use crate::journal::{self, Start};
use crate::latest::{Coming, Latest};
use crate::message::{AckRun, Hole, JoinPoint, JoinStart, Message, Origin};

/// Ranges of lost or damaged offsets that are remembered; beyond it the oldest become one.
const LOST_MAX: usize = 64;

/// One topic at its owner.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) entry: Arc<Entry>,
    pub(crate) epoch: u64,
    /// Offset that the next message gets.
    pub(crate) next: u64,
    /// One above the last offset handed to subscribers.
    pub(crate) visible: u64,
    /// First offset still kept; `next` when nothing is.
    pub(crate) floor: u64,
    last_ms: u64,
    pub(crate) batch: Batch,
    /// Publishers that wait for the batch to be flushed.
    pub(crate) acks: Vec<(Origin, AckRun)>,
    /// When the first of them was ordered.
    pub(crate) gathering_since: Option<Instant>,
    /// Values of the batch.
    pub(crate) values: Vec<Coming>,
    /// Batches that the journal has been given.
    pub(crate) flights: Flights,
    /// Shards with a session that subscribes to the topic by name, as bits.
    pub(crate) named_by: u64,
    /// Shards with a matching pattern, as bits, and the pattern generation that this is of.
    pub(crate) matched_by: (u64, u64),
    pub(crate) latest: Option<Box<Latest>>,
    pub(crate) dedupe: Option<Box<Dedupe>>,
    /// When a throttled `latest` topic may speak next, and from which offset on it has been silent.
    pub(crate) throttle: Option<Throttle>,
    /// Whether the room is in the list of those to be flushed.
    pub(crate) dirty: bool,
    /// When the room was last used, for the sweep.
    pub(crate) touched: Instant,
    /// Messages that wait until the journal has said where the topic stands.
    pub(crate) opening: Option<Vec<Message>>,
    /// Offsets that a crash or a failure took, so that readers are told why they are missing.
    pub(crate) lost: Vec<journal::Hole>,
    /// Offsets of a `latest` topic that were found damaged when it was opened.
    pub(crate) damaged: Vec<journal::Hole>,
}

/// The pace of a `latest` topic with `max_hz`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throttle {
    pub(crate) free_at: Instant,
    /// First offset not yet told, while waiting for `free_at`.
    pub(crate) silent_from: Option<u64>,
}

impl Room {
    /// A room without history. The epoch is the wall clock at its making, so that it rises over
    /// restarts of a broker that keeps nothing.
    pub(crate) fn new(entry: Arc<Entry>, now: Now, window: std::time::Duration) -> Self {
        let class = entry.rule.class;
        Room {
            epoch: now.unix_ms.max(1),
            next: 1,
            visible: 1,
            floor: 1,
            last_ms: 0,
            batch: Batch::default(),
            acks: Vec::new(),
            gathering_since: None,
            values: Vec::new(),
            flights: Flights::default(),
            named_by: 0,
            matched_by: (0, 0),
            latest: (class == Class::Latest).then(Box::default),
            dedupe: (class != Class::Ephemeral)
                .then(|| Box::new(Dedupe::new(window, dedupe::Limits::default()))),
            throttle: None,
            dirty: false,
            touched: now.mono,
            opening: None,
            lost: Vec::new(),
            damaged: Vec::new(),
            entry,
        }
    }

    /// The time stamp of the next message: never before the previous one's.
    pub(crate) fn stamp(&mut self, now: Now) -> u64 {
        self.last_ms = self.last_ms.max(now.unix_ms);
        self.last_ms
    }

    /// Notes that `origin` waits for the message with this sequence and offset; extends the run of
    /// the previous one where both follow it.
    pub(crate) fn await_ack(
        &mut self,
        origin: Origin,
        sequence: u64,
        offset: u64,
        level: AckLevel,
    ) {
        if let Some((last, run)) = self.acks.last_mut() {
            let follows = run.sequence + 1 == sequence && run.offset + 1 == offset;
            if *last == origin && follows && run.level == level && run.flags == 0 {
                *run = AckRun { sequence, offset, count: run.count + 1, ..*run };
                return;
            }
        }
        self.acks.push((origin, AckRun { sequence, offset, count: 1, level, flags: 0 }));
    }

    /// Lets the ack of a publish that was settled by an earlier one wait with that one's, until it
    /// has reached the level that this one asks for; whether it has to wait. An offset that is no
    /// longer known has long been stored.
    pub(crate) fn joins_ack(&mut self, origin: Origin, ack: AckRun) -> bool {
        if !self.batch.is_empty() && ack.offset >= self.next - self.batch.count() {
            self.acks.push((origin, ack));
            return true;
        }
        let waits_for = self.flights.holding(ack.offset);
        let Some(flight) = waits_for.filter(|flight| flight.reached < Some(ack.level)) else {
            return false;
        };
        flight.acks.push((origin, ack));
        true
    }

    /// Takes back the batch that was gathered: nobody has seen its offsets, and they are given to
    /// others. Its publishers are to be refused.
    pub(crate) fn take_back(&mut self, run: &journal::Run, values: &[Coming]) {
        self.next = run.from;
        self.forget(run, values);
    }

    /// Forgets what was remembered of messages that could not be stored.
    pub(crate) fn forget(&mut self, run: &journal::Run, values: &[Coming]) {
        if let Some(dedupe) = &mut self.dedupe {
            run.sent.iter().for_each(|sent| dedupe.forget(sent));
            run.keys.iter().for_each(|(_, key)| dedupe.forget_key(key));
        }
        if let Some(latest) = &mut self.latest {
            values.iter().for_each(|value| latest.withdraw(&value.key, value.offset));
        }
    }

    /// Notes that messages of these offsets are gone although nobody was told that they would be.
    pub(crate) fn lose(&mut self, hole: journal::Hole) {
        remember(&mut self.lost, hole);
    }

    /// Notes that storage has damaged messages of these offsets.
    pub(crate) fn find_damaged(&mut self, hole: journal::Hole) {
        remember(&mut self.damaged, hole);
    }

    /// The hole `from..=to` if damage took any of it from a `latest` topic.
    pub(crate) fn damage(&self, from: u64, to: u64) -> Option<Hole> {
        let hole = self.hole(from, to, &self.damaged)?;
        Some(hole).filter(|hole| hole.reason == GapReason::Damaged)
    }

    /// The hole `from..=to` with its reason: damaged or lost if damage, or a crash or a failure of
    /// the journal, took any of it, below the floor by retention, else never used, since a message
    /// that fails to be stored is refused.
    ///
    /// Of offsets whose append has failed this may be told only once a later message is stored: till
    /// then a restart may yet find them.
    pub(crate) fn hole(&self, from: u64, to: u64, damaged: &[journal::Hole]) -> Option<Hole> {
        if from > to {
            return None;
        }
        let overlaps =
            |holes: &[journal::Hole]| holes.iter().any(|hole| hole.from <= to && from <= hole.to);
        let reason = match (overlaps(damaged), overlaps(&self.lost), to < self.floor) {
            (true, _, _) => GapReason::Damaged,
            (false, true, _) => GapReason::UnsyncedLost,
            (false, false, true) => GapReason::Retention,
            (false, false, false) => GapReason::NeverUsed,
        };
        Some(Hole { epoch: self.epoch, from, to, reason })
    }

    /// From where a subscription with this start is fed.
    pub(crate) fn join(&self, start: JoinStart) -> JoinPoint {
        let next = self.visible;
        let mut point = JoinPoint { epoch: self.epoch, next, from: None, holes: Vec::new() };
        let from = match start {
            JoinStart::Now => match &self.latest {
                Some(latest) if latest.len() > 0 || !self.damaged.is_empty() => Start::Offset(1),
                _ => return point,
            },
            JoinStart::From(start) => self.resolve(start),
            JoinStart::After(seen) if seen.epoch == self.epoch => Start::Offset(seen.offset + 1),
            JoinStart::After(seen) => {
                let (from, to) = (seen.offset + 1, NUMBER_MAX);
                let reason = GapReason::UnsyncedLost;
                point.holes.push(Hole { epoch: seen.epoch, from, to, reason });
                Start::Offset(1)
            }
        };
        match (self.entry.rule.class, from) {
            (_, Start::Offset(offset)) if offset >= next => {}
            (Class::Ephemeral, Start::Offset(offset)) if matches!(start, JoinStart::After(_)) => {
                let reason = GapReason::Retention;
                let missed = Hole { epoch: self.epoch, from: offset, to: next - 1, reason };
                point.holes.push(missed);
            }
            (Class::Ephemeral, _) => {}
            _ => point.from = Some(from),
        }
        point
    }

    /// A start as an offset, where that does not need the journal.
    pub(crate) fn resolve(&self, start: Start) -> Start {
        match (start, &self.latest) {
            (Start::Last(count), Some(latest)) => Start::Offset(latest.last(count as usize)),
            (Start::Since(ms), Some(latest)) => Start::Offset(latest.since(ms, self.visible)),
            (Start::Last(count), None) => Start::Offset(self.last(count.into())),
            (start, _) => start,
        }
    }

    /// The offset at which the last `count` messages start; what was lost is none of them.
    fn last(&self, mut count: u64) -> u64 {
        let mut end = self.visible;
        for hole in self.lost.iter().rev().filter(|hole| hole.from < self.visible) {
            let after = end.saturating_sub(hole.to.saturating_add(1));
            if after >= count {
                break;
            }
            count -= after;
            end = end.min(hole.from);
        }
        end.saturating_sub(count).max(self.floor)
    }

    /// A start at the floor or above it: what lies below is nobody's but a group's.
    pub(crate) fn kept(&self, start: Start) -> Start {
        match start {
            Start::Offset(offset) => Start::Offset(offset.max(self.floor)),
            other => other,
        }
    }

    /// Whether nothing would be forgotten with the room.
    pub(crate) fn is_idle(&self) -> bool {
        self.entry.rule.class == Class::Ephemeral
            && self.named_by == 0
            && self.batch.is_empty()
            && self.acks.is_empty()
    }
}

/// Adds a range above all others; there are never more than [`LOST_MAX`].
fn remember(holes: &mut Vec<journal::Hole>, hole: journal::Hole) {
    match holes.last_mut() {
        Some(last) if last.to + 1 == hole.from => last.to = hole.to,
        _ => holes.push(hole),
    }
    // What lies between two that become one was either stored, or is missing as well.
    if holes.len() > LOST_MAX {
        let first = holes.remove(0);
        holes[0].from = first.from;
    }
}
