//! What becomes of jobs: acks, failures, time-outs, and the way to the dead letters.

use std::sync::Arc;
use std::time::Duration;

use ::bytes::Bytes;
use sampan_protocol::control::Settlement;
use sampan_protocol::limits::DELAY_MS_MAX;
use sampan_protocol::session::server::Settle;
use sampan_protocol::{Code, Now};

use super::cursor::State;
use super::record::{BLOCK, Letter};
use super::tried::Failure;
use super::{Consumer, Group, curve, key};

/// Why an attempt failed whose consumer vanished.
pub(super) const LOST: &str = "worker lost";
/// Why an attempt failed whose consumer was silent.
pub(super) const TIMED_OUT: &str = "no answer in time";
/// Why a message is given up that was handed out so often that it cannot be again.
const USED_UP: &str = "the last attempt did not end";
/// Why a message is given up whose consumer said no more.
const REJECTED: &str = "rejected";
/// How long a message waits that cannot become a dead letter, since there are too many.
const STUCK: Duration = Duration::from_secs(10);
/// How long one waits until those before it are stored.
const SOON: Duration = Duration::from_millis(100);

impl Group {
    /// A consumer says what became of jobs; whether it no longer held them.
    ///
    /// An ack counts whoever holds the message by now, since the work is done. Anything else has no
    /// effect once the attempt that it names is over, but for a reject of what nobody holds.
    pub(crate) fn settle(&mut self, now: Now, by: Consumer, settle: &Settle) -> Result<bool, Code> {
        let result = self.apply(now, by, settle);
        match result {
            Ok(late) => self.counted.late += u64::from(late),
            Err(_) => self.counted.refused += 1,
        }
        result
    }

    fn apply(&mut self, now: Now, by: Consumer, settle: &Settle) -> Result<bool, Code> {
        let member = self.members.get(&by).ok_or(Code::UNKNOWN_REQUEST)?;
        let user = member.user.clone();
        let topic_id = settle.topic_id;
        let cursor = self.topics.get(&topic_id).ok_or(Code::NOT_DELIVERED)?;
        if settle.epoch < cursor.epoch {
            return Ok(true);
        }
        if settle.epoch > cursor.epoch || !cursor.is_fetched(settle.to) {
            return Err(Code::NOT_DELIVERED);
        }
        let held = |state| matches!(state, State::Held { by: holder, .. } if holder == by);
        let is_meant = |offset: u64, state: State| {
            let attempt = u64::from(cursor.attempts(offset));
            held(state) && (settle.is_cumulative || settle.attempt == attempt)
        };
        let from = if settle.is_cumulative { 0 } else { settle.from };
        let open: Vec<(u64, State, bool)> = cursor
            .open
            .range(from..=settle.to)
            .map(|(offset, job)| (*offset, job.state, is_meant(*offset, job.state)))
            .filter(|(_, _, is_own)| !settle.is_cumulative || *is_own)
            .collect();
        if open.iter().any(|(offset, ..)| !cursor.was_handed_out(*offset)) {
            return Err(Code::NOT_DELIVERED);
        }
        let own = open.iter().filter(|(_, _, is_own)| *is_own).count() as u64;
        let late = match settle.is_cumulative {
            true => own == 0,
            false => own < settle.to - settle.from + 1,
        };
        for (offset, state, is_own) in open {
            let is_held = matches!(state, State::Held { .. });
            match settle.settlement {
                Settlement::Ack => {
                    self.counted.acked += 1;
                    self.finish(topic_id, offset);
                }
                Settlement::Reject if is_own || !is_held => {
                    self.counted.rejected += 1;
                    let reason = if settle.reason.is_empty() { REJECTED } else { &settle.reason };
                    self.note_failure(now, topic_id, offset, &user, reason);
                    self.condemn(now, topic_id, offset);
                }
                Settlement::Nak if is_own => {
                    self.counted.naked += 1;
                    self.fail(now, topic_id, offset, &user, &settle.reason, settle.delay);
                }
                Settlement::Release if is_own => {
                    self.counted.released += 1;
                    self.release(topic_id, offset);
                }
                Settlement::Extend if is_own => {
                    self.counted.extended += 1;
                    let until = now.mono + settle.delay.unwrap_or(self.definition.ack_wait);
                    self.put(topic_id, offset, State::Held { by, until });
                }
                _ => {}
            }
        }
        Ok(late)
    }

    /// Settles a message for good.
    fn finish(&mut self, topic_id: u64, offset: u64) {
        self.withdraw(topic_id, offset);
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let Some(job) = cursor.remove(offset) else { return };
        self.open_count -= 1;
        self.open_bytes -= job.bytes();
        cursor.forget(offset);
        if let Some(id) = job.returned {
            self.changed.returned.push(key::returned(&self.name, id));
        }
        // One that is back was settled before, unless the group has been sent back behind it.
        if !cursor.is_settled(offset) {
            cursor.settle(offset, offset);
        }
        self.changed.topics.insert(topic_id);
        self.show(topic_id);
    }

    /// An attempt has failed: the message comes again after the delay, by the curve if none is
    /// given, or becomes a dead letter.
    pub(super) fn fail(
        &mut self,
        now: Now,
        topic_id: u64,
        offset: u64,
        user: &Arc<str>,
        reason: &str,
        delay: Option<Duration>,
    ) {
        self.note_failure(now, topic_id, offset, user, reason);
        let attempts = self.topics.get(&topic_id).map_or(0, |cursor| cursor.attempts(offset));
        if attempts >= self.definition.attempts_max {
            return self.condemn(now, topic_id, offset);
        }
        let delay = delay.unwrap_or_else(|| curve::delay(self.seed, topic_id, offset, attempts));
        self.park(now, topic_id, offset, delay);
    }

    pub(super) fn note_failure(
        &mut self,
        now: Now,
        topic_id: u64,
        offset: u64,
        user: &Arc<str>,
        reason: &str,
    ) {
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let (user, reason) = (user.clone(), Arc::from(reason));
        cursor.note_failure(offset, Failure { at_ms: now.unix_ms, user, reason });
        self.changed.topics.insert(topic_id);
    }

    /// The attempt was none: the message is ready again, and it does not count.
    pub(super) fn release(&mut self, topic_id: u64, offset: u64) {
        self.put(topic_id, offset, State::Ready);
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let tried = cursor.note(offset);
        tried.attempts = tried.attempts.saturating_sub(1);
        if tried.attempts == 0 && tried.failures.is_empty() {
            cursor.forget(offset);
        }
        self.changed.topics.insert(topic_id);
    }

    /// Lets a message wait. It may wait long, so it owns its bytes.
    pub(super) fn park(&mut self, now: Now, topic_id: u64, offset: u64, delay: Duration) {
        let until = now.mono + delay;
        self.put(topic_id, offset, State::Parked { until });
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        cursor.note(offset).due_ms = now.unix_ms.saturating_add(delay_ms);
        if let Some(job) = cursor.open.get_mut(&offset) {
            job.attributes = Bytes::copy_from_slice(&job.attributes);
            job.payload = Bytes::copy_from_slice(&job.payload);
        }
        self.changed.topics.insert(topic_id);
    }

    /// A message has waited long enough.
    pub(super) fn unpark(&mut self, now: Now, topic_id: u64, offset: u64) {
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        if cursor.tried.get(&offset).is_some_and(|tried| tried.condemned) {
            return self.condemn(now, topic_id, offset);
        }
        self.put(topic_id, offset, State::Ready);
    }

    /// Brings what is remembered of a fetched message into effect.
    pub(super) fn recall(&mut self, now: Now, topic_id: u64, offset: u64) {
        let Some(cursor) = self.topics.get(&topic_id) else { return };
        let Some(tried) = cursor.tried.get(&offset) else { return };
        if tried.condemned {
            return self.condemn(now, topic_id, offset);
        }
        if tried.attempts >= self.definition.attempts_max {
            self.note_failure(now, topic_id, offset, &Arc::from(""), USED_UP);
            return self.condemn(now, topic_id, offset);
        }
        // However the clock has been set meanwhile, nothing waits longer than it may be told to.
        let left_ms = tried.due_ms.saturating_sub(now.unix_ms).min(DELAY_MS_MAX.into());
        if left_ms > 0 {
            let until = now.mono + Duration::from_millis(left_ms);
            self.put(topic_id, offset, State::Parked { until });
        }
    }

    /// Makes a message a dead letter: its letter and its settlement are stored together. One for
    /// which there is no room stays, and tries again.
    pub(super) fn condemn(&mut self, now: Now, topic_id: u64, offset: u64) {
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let tried = cursor.note(offset);
        tried.condemned = true;
        let reason = tried.failures.last().map(|failure| failure.reason.clone());
        let Some(job) = cursor.open.get(&offset) else { return };
        let is_full = self.definition.letters >= self.bounds.letters_max;
        if is_full || self.changed.is_full() {
            self.counted.dead_refused += u64::from(is_full);
            return self.park(now, topic_id, offset, if is_full { STUCK } else { SOON });
        }
        let reason = reason.unwrap_or_else(|| Arc::from(REJECTED));
        let letter = cursor.letter(offset, job, reason, now.unix_ms);
        let block = offset / BLOCK;
        let bytes = cursor.block_bytes(block);
        let returned = cursor.open.get_mut(&offset).and_then(|job| job.returned.take());
        self.add_letter(&letter, returned);
        self.changed.settle_with(topic_id, block, bytes);
        self.finish(topic_id, offset);
    }

    /// Adds a dead letter, in one piece with the end of the return that it was.
    pub(super) fn add_letter(&mut self, letter: &Letter, returned: Option<u64>) {
        let id = self.definition.next_letter;
        self.definition.next_letter += 1;
        self.definition.letters += 1;
        let mut values = vec![(key::letter(&self.name, id), Some(letter.encode()))];
        values.extend(returned.map(|id| (key::returned(&self.name, id), None)));
        self.changed.act(values, &self.definition);
        self.counted.dead += 1;
    }

    /// Moves a job to another state. One that is behind another of its key stays so.
    pub(super) fn put(&mut self, topic_id: u64, offset: u64, state: State) {
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let Some(job) = cursor.open.get(&offset) else { return };
        if job.state == State::Behind {
            return;
        }
        self.withdraw(topic_id, offset);
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let Some(job) = cursor.open.get_mut(&offset) else { return };
        job.state = state;
        if let Some(at) = job.deadline() {
            self.deadlines.insert((at, topic_id, offset));
        }
        match state {
            State::Held { by, .. } => {
                if let Some(member) = self.members.get_mut(&by) {
                    member.held.insert((topic_id, offset));
                }
            }
            State::Ready => {
                cursor.ready.insert(offset);
                self.show(topic_id);
            }
            State::Behind | State::Parked { .. } => {}
        }
    }

    /// Takes a job away from whatever it waits for.
    pub(super) fn withdraw(&mut self, topic_id: u64, offset: u64) {
        let Some(cursor) = self.topics.get_mut(&topic_id) else { return };
        let Some(job) = cursor.open.get(&offset) else { return };
        let (state, deadline) = (job.state, job.deadline());
        cursor.ready.remove(&offset);
        if let Some(at) = deadline {
            self.deadlines.remove(&(at, topic_id, offset));
        }
        if let State::Held { by, .. } = state {
            if let Some(member) = self.members.get_mut(&by) {
                member.held.remove(&(topic_id, offset));
            }
            self.list(by);
        }
    }
}
