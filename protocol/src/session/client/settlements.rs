//! What became of jobs, kept until the broker says that it is stored.
//!
//! Acks of consecutive offsets that wait for the shell share one SETTLE. An ack is kept over a lost
//! connection and said again to the same broker process, since it may still be in time; what else
//! is said of a job is void with the connection, since the broker has taken the job back then.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::output::{Answer, Channel, Event, JobId, Output};
use super::requests::Fate;
use super::{Client, NotTaken, Phase};
use crate::control::Settlement;
use crate::error::Error;
use crate::frame::{Frame, flag};
use crate::session::settle::Settle;

/// Settlements that may wait for their answer.
pub const SETTLEMENTS_MAX: usize = 65_536;
/// Bytes of settlements handed to the shell at once, about.
const CHUNK_BYTES: usize = 64 * 1024;

/// What became of a job, or what its consumer wants for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It is done.
    Ack,
    /// It is done, and so is every job of its topic below it that the consumer holds.
    AckThrough,
    /// It failed and may come again, which counts as an attempt.
    Nak {
        /// When; the group's own rule if it is left out.
        delay: Option<Duration>,
        /// Why, for people.
        reason: &'a str,
    },
    /// It was not tried and goes to whoever is free; the attempt does not count.
    Release,
    /// It can never succeed and becomes a dead letter.
    Reject {
        /// Why, for people.
        reason: &'a str,
    },
    /// It takes longer.
    Extend {
        /// By how much, from this moment; the group's ack wait if it is left out.
        by: Option<Duration>,
    },
}

impl Verdict<'_> {
    fn is_ack(self) -> bool {
        matches!(self, Verdict::Ack | Verdict::AckThrough)
    }

    /// Settlement, delay and reason as SETTLE says them.
    fn parts(self) -> (Settlement, Option<Duration>, String) {
        match self {
            Verdict::Ack | Verdict::AckThrough => (Settlement::Ack, None, String::new()),
            Verdict::Nak { delay, reason } => (Settlement::Nak, delay, reason.to_owned()),
            Verdict::Release => (Settlement::Release, None, String::new()),
            Verdict::Reject { reason } => (Settlement::Reject, None, reason.to_owned()),
            Verdict::Extend { by } => (Settlement::Extend, by, String::new()),
        }
    }
}

#[derive(Debug)]
struct Open {
    settle: Settle,
    /// It was sent on some connection.
    sent: bool,
}

#[derive(Debug, Default)]
pub(super) struct Settlements {
    open: BTreeMap<u64, Open>,
    /// Numbers that this connection has not been told, in order.
    unsent: VecDeque<u64>,
    /// The jobs were handed back: what comes is for the next connection.
    paused: bool,
}

impl Settlements {
    /// Lets an ack join the last one, if nothing was said since and their offsets meet.
    fn join(&mut self, ack: &Settle) -> Option<u64> {
        let number = *self.unsent.back()?;
        let last = &mut self.open.get_mut(&number)?.settle;
        let meets = if last.is_cumulative { ack.to > last.to } else { ack.from == last.to + 1 };
        let of = |s: &Settle| (s.settlement, s.is_cumulative, s.consumer, s.topic_id, s.epoch);
        // Jobs of one run are of the same attempt, while a cumulative ack means them all.
        let same = last.is_cumulative || last.attempt == ack.attempt;
        if of(last) != of(ack) || !meets || !same {
            return None;
        }
        if last.is_cumulative {
            (last.from, last.attempt) = (ack.from, ack.attempt);
        }
        last.to = ack.to;
        Some(number)
    }

    fn push(&mut self, settle: Settle) {
        self.unsent.push_back(settle.number);
        self.open.insert(settle.number, Open { settle, sent: false });
    }

    /// The jobs were handed back on a connection that goes on.
    pub(super) fn pause(&mut self) {
        self.paused = true;
    }

    /// Says what is kept again, for a new session of the same broker process.
    pub(super) fn connected(&mut self) {
        self.paused = false;
        self.unsent = self.open.keys().copied().collect();
    }

    /// Whether [`Settlements::take`] has something.
    pub(super) fn has_unsent(&self) -> bool {
        !self.paused && !self.unsent.is_empty()
    }

    /// The next frames to send.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if !self.has_unsent() {
            return None;
        }
        let mut out = BytesMut::new();
        while out.len() < CHUNK_BYTES
            && let Some(number) = self.unsent.pop_front()
        {
            if let Some(open) = self.open.get_mut(&number) {
                open.sent = true;
                // Its parts came with a frame or were checked, so that it can be written.
                let _ = open.settle.write(&mut out);
            }
        }
        Some(out.freeze())
    }

    /// Closes those of these numbers that are open.
    fn answered(&mut self, numbers: RangeInclusive<u64>) -> Vec<u64> {
        let open: Vec<u64> = self.open.range(numbers).map(|(number, _)| *number).collect();
        for number in &open {
            self.open.remove(number);
        }
        open
    }

    /// Whether a settlement was open under this number, which it no longer is.
    pub(super) fn refused(&mut self, number: u64) -> bool {
        self.open.remove(&number).is_some()
    }
}

impl Client {
    /// Says what became of a job; [`Event::Answered`] tells when that is stored. Acks that follow
    /// each other may share one number, and one answer.
    ///
    /// # Errors
    /// `NotHeld` if the job is not this client's any more; an ack of it is taken all the same as
    /// long as the broker process lives. `Full`, `Closed`.
    pub fn settle(&mut self, job: &JobId, verdict: Verdict<'_>) -> Result<u64, NotTaken> {
        if matches!(self.phase, Phase::Closed(_)) {
            return Err(NotTaken::Closed);
        }
        let held = self.holds(job);
        let same_boot = job.boot == self.boot;
        let topic_id = if same_boot { Some(job.topic_id) } else { self.job_topics.id(&job.topic) };
        let topic_id = topic_id.filter(|_| held || verdict.is_ack()).ok_or(NotTaken::NotHeld)?;
        if !self.stands_as_consumer(job.consumer) {
            return Err(NotTaken::NotHeld);
        }
        let (settlement, delay, reason) = verdict.parts();
        let settle = Settle {
            number: 0,
            consumer: job.consumer,
            topic_id,
            epoch: job.epoch,
            from: job.offset,
            to: job.offset,
            attempt: job.attempt,
            is_cumulative: verdict == Verdict::AckThrough,
            settlement,
            delay,
            reason,
        };
        if verdict.is_ack()
            && let Some(number) = self.settlements.join(&settle)
        {
            return Ok(number);
        }
        if self.settlements.open.len() >= SETTLEMENTS_MAX {
            return Err(NotTaken::Full);
        }
        let number = self.requests.number();
        self.settlements.push(Settle { number, ..settle });
        Ok(number)
    }

    /// Whether a job is still this client's, as far as it knows: the connection that brought it is
    /// the one in use, and it has not been handed back.
    #[must_use]
    pub fn holds(&self, job: &JobId) -> bool {
        job.connection == self.connection && self.is_consuming(job.consumer)
    }

    /// Settlements that wait for their answer.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        self.settlements.open.len()
    }

    /// The next bytes of the control stream that say what became of jobs, gathered since the last
    /// call. They go after what [`Client::poll_urgent`] has given.
    pub fn settlements(&mut self) -> Option<Bytes> {
        if self.phase.is_live() { self.settlements.take() } else { None }
    }

    /// Whether [`Client::settlements`] has something.
    #[must_use]
    pub fn has_settlements(&self) -> bool {
        self.phase.is_live() && self.settlements.has_unsent()
    }

    /// Puts what is not sent among the outputs, ahead of a frame that must come after it.
    pub(super) fn send_settlements(&mut self) {
        while let Some(frames) = self.settlements() {
            self.outputs.push_back(Output::Send(Channel::Control, frames));
        }
    }

    /// SETTLED: a run of settlements is stored.
    pub(super) fn settled(&mut self, frame: &Frame) -> Result<(), Error> {
        let last = frame.header.number;
        let count = frame.attributes()?.count.unwrap_or(1);
        if count == 0 || count > last {
            return Err(Error::Invalid { field: "settled" });
        }
        let late = frame.header.flags & flag::LATE != 0;
        let answered = self.settlements.answered(last - count + 1..=last);
        self.counters.unmatched += u64::from(answered.is_empty());
        for number in answered {
            self.event(Event::Answered { number, result: Ok(Answer::Settled { late }) });
        }
        Ok(())
    }

    /// Fails what can be said no more: everything, or on a lost connection all but acks.
    pub(super) fn fail_settlements(&mut self, fate: &Fate) {
        let stays =
            |open: &Open| matches!(fate, Fate::Lost) && open.settle.settlement == Settlement::Ack;
        let open = std::mem::take(&mut self.settlements.open);
        let (kept, failed): (BTreeMap<_, _>, _) = open.into_iter().partition(|(_, o)| stays(o));
        self.settlements.open = kept;
        self.settlements.unsent.clear();
        for (number, Open { sent, .. }) in failed {
            let failure = fate.failure(sent);
            self.event(Event::Answered { number, result: Err(failure) });
        }
    }
}
