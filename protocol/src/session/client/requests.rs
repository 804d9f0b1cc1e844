//! Numbered requests that wait for one answer, and the timers of the session.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use super::output::{Answer, Cause, Event, Failure};
use super::{Client, NotTaken, Phase};
use crate::attribute::{self, Tag};
use crate::code::Code;
use crate::control::{self, History, Presence, PresenceAct, Refresh};
use crate::error::Error;
use crate::frame::{Header, Kind};
use crate::time::Now;
use crate::topic::Topic;

/// Requests that may be open at the same time.
pub const OPEN_MAX: usize = 4096;

/// A question to whoever serves a topic.
#[derive(Clone, Debug)]
pub struct Request {
    /// The topic.
    pub topic: Topic,
    /// Encoded attributes, none of them topic or deadline.
    pub attributes: Bytes,
    /// The payload.
    pub payload: Bytes,
    /// How long to wait for the answer.
    pub timeout: Duration,
}

/// What an open request waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wants {
    Reply,
    Page(Topic),
    Members,
    Done,
    Refreshed,
}

#[derive(Debug)]
struct Open {
    wants: Wants,
    /// The frame, until it is sent.
    unsent: Option<Bytes>,
}

/// Why open requests fail together.
pub(super) enum Fate {
    /// The connection is lost; requests that were never sent live on.
    Lost,
    /// The broker process is another one.
    Restarted,
    Closed(Failure),
}

impl Fate {
    /// The failure of one of them.
    pub(super) fn failure(&self, may_have_happened: bool) -> Failure {
        match self {
            Fate::Lost | Fate::Restarted => Failure {
                cause: Cause::Lost,
                code: Code::RESTARTED,
                retry_after_ms: 0,
                reason: "the connection was lost before the answer".to_owned(),
                may_have_happened,
            },
            Fate::Closed(failure) => Failure { may_have_happened, ..failure.clone() },
        }
    }
}

/// Why a frame that cannot be written is not taken.
pub(super) fn not_taken(error: Error) -> NotTaken {
    match error {
        Error::TooLarge { field, max, had } => {
            NotTaken::TooLarge { field, max, had: usize::try_from(had).unwrap_or(usize::MAX) }
        }
        Error::Invalid { field } => NotTaken::Invalid { field },
        _ => NotTaken::Invalid { field: "request" },
    }
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The last number given.
    last: u64,
    open: BTreeMap<u64, Open>,
    /// Deadlines of requests and registrations, some of them of what is gone.
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Requests {
    /// A fresh number. Requests and registrations share one sequence.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    pub(super) fn next_timer(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// The number of a timer that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        self.timers.peek().filter(|Reverse((at, _))| *at <= now)?;
        self.timers.pop().map(|Reverse((_, number))| number)
    }

    /// Closes a request; what it wanted, if it is open.
    pub(super) fn take(&mut self, number: u64) -> Option<Wants> {
        self.open.remove(&number).map(|open| open.wants)
    }

    /// Closes a request if it wants this.
    pub(super) fn take_if(&mut self, number: u64, wants: impl Fn(&Wants) -> bool) -> Option<Wants> {
        if self.open.get(&number).is_some_and(|open| wants(&open.wants)) {
            return self.take(number);
        }
        None
    }

    /// Whether a reply is still on its way.
    pub(super) fn awaits_reply(&self) -> bool {
        self.open.values().any(|open| open.wants == Wants::Reply && open.unsent.is_none())
    }
}

impl Client {
    /// Asks whoever serves the topic; [`Event::Answered`] brings the answer.
    ///
    /// # Errors
    /// `Full` with [`OPEN_MAX`] requests open, `TooLarge`, `Closed`.
    pub fn request(&mut self, now: Now, request: Request) -> Result<u64, NotTaken> {
        let max = self.payload_bytes_max;
        if request.payload.len() > max {
            let had = request.payload.len();
            return Err(NotTaken::TooLarge { field: "payload", max, had });
        }
        let mut attributes = BytesMut::new();
        attribute::put(&mut attributes, Tag::Topic, request.topic.as_str().as_bytes());
        let timeout_ms = u64::try_from(request.timeout.as_millis()).unwrap_or(u64::MAX);
        let timeout_ms = timeout_ms.clamp(1, crate::limits::NUMBER_MAX);
        attribute::put_number(&mut attributes, Tag::Deadline, timeout_ms);
        attributes.put_slice(&request.attributes);
        let payload = request.payload;
        let number = self.ask(Wants::Reply, |number| {
            Header::new(Kind::Request).number(number).to_frame(&attributes, &payload)
        })?;
        self.set_timer(now.mono + request.timeout, number);
        Ok(number)
    }

    /// Calls `timeout` for this request or registration at this moment.
    pub(super) fn set_timer(&mut self, at: Instant, number: u64) {
        let Requests { timers, open, .. } = &mut self.requests;
        // Timers of what was answered are swept before they outnumber what is open.
        if timers.len() > 2 * (open.len() + self.standing.len()) + 64 {
            timers.retain(|Reverse((_, n))| open.contains_key(n) || self.standing.contains_key(n));
        }
        timers.push(Reverse((at, number)));
    }

    /// Asks for one page of history; [`Event::Answered`] brings it.
    ///
    /// # Errors
    /// `Full`, `TooLarge`, `Closed`.
    pub fn history(
        &mut self,
        topic: Topic,
        from: control::From,
        limit: u32,
    ) -> Result<u64, NotTaken> {
        let body = History { topic: topic.as_str().to_owned(), from, limit: limit.max(1) };
        self.ask(Wants::Page(topic), |number| control::encode(&body, number))
    }

    /// Asks who is present behind a user by name, none for the first; [`Event::Answered`] brings a
    /// page of the members.
    ///
    /// # Errors
    /// `Full`, `Closed`.
    pub fn members(&mut self, topic: &Topic, after: &str) -> Result<u64, NotTaken> {
        let read = Presence::of(topic.as_str(), PresenceAct::Read);
        let body = Presence { after: after.to_owned(), ..read };
        self.ask(Wants::Members, |number| control::encode(&body, number))
    }

    pub(super) fn presence(
        &mut self,
        topic: &Topic,
        act: PresenceAct,
        wants: Wants,
    ) -> Result<u64, NotTaken> {
        let body = Presence::of(topic.as_str(), act);
        self.ask(wants, |number| control::encode(&body, number))
    }

    /// Presents a fresh token, now if there is a session and with every later connection.
    /// [`Event::Answered`] tells what the broker says.
    pub fn refresh(&mut self, token: String) -> Option<u64> {
        self.options.token = Some(token.clone());
        let body = Refresh { token };
        self.ask(Wants::Refreshed, |number| control::encode(&body, number)).ok()
    }

    /// Opens a request and sends it as soon as there is a session.
    fn ask(
        &mut self,
        wants: Wants,
        frame: impl FnOnce(u64) -> Result<Bytes, Error>,
    ) -> Result<u64, NotTaken> {
        if matches!(self.phase, Phase::Closed(_)) {
            return Err(NotTaken::Closed);
        }
        if self.requests.open.len() >= OPEN_MAX {
            return Err(NotTaken::Full);
        }
        let number = self.requests.number();
        let frame = frame(number).map_err(not_taken)?;
        let live = self.phase.is_live();
        let unsent = (!live).then(|| frame.clone());
        if live {
            self.send(frame);
        }
        self.requests.open.insert(number, Open { wants, unsent });
        Ok(number)
    }

    /// Sends what was asked while there was no session.
    pub(super) fn send_requests(&mut self) {
        let unsent = self.requests.open.values_mut().filter_map(|open| open.unsent.take());
        for frame in unsent.collect::<Vec<_>>() {
            self.send(frame);
        }
    }

    /// Fails open requests together.
    pub(super) fn fail_requests(&mut self, fate: &Fate) {
        let lost = matches!(fate, Fate::Lost);
        for (number, open) in std::mem::take(&mut self.requests.open) {
            let sent = open.unsent.is_none();
            if lost && !sent {
                self.requests.open.insert(number, open);
                continue;
            }
            let failure = fate.failure(sent && open.wants == Wants::Reply);
            self.event(Event::Answered { number, result: Err(failure) });
        }
    }

    /// Fails a request whose time is over; whether one was open.
    pub(super) fn expire(&mut self, number: u64) -> bool {
        let Some(open) = self.requests.open.remove(&number) else { return false };
        let failure = Failure {
            cause: Cause::Deadline,
            code: Code::DEADLINE,
            retry_after_ms: 0,
            reason: "no answer came in time".to_owned(),
            may_have_happened: open.unsent.is_none(),
        };
        self.event(Event::Answered { number, result: Err(failure) });
        true
    }

    pub(super) fn answer_with(&mut self, number: u64, answer: Answer) {
        self.event(Event::Answered { number, result: Ok(answer) });
    }
}
