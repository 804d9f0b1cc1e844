//! A session for the length of one HTTP request.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::Code;
use sampan_protocol::control::Welcome;
use tokio::time::{Instant, timeout_at};

use super::caller::Caller;
use crate::attached::Attached;
use crate::bridge::{Bridge, random};
use crate::counters::count;
use crate::failure::Failure;
use crate::session::{Answer, Event, Session};

/// How long a request may take, unless it says so itself.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the session of a request says about its software.
const CLIENT: &str = "http";

/// A live session.
pub(super) struct Call {
    attached: Attached,
    pub(super) session: Session,
    events: VecDeque<Event>,
    until: Instant,
}

impl Call {
    /// A live session of the caller.
    ///
    /// # Errors
    /// When the token is refused, or the broker takes no more sessions.
    pub(super) async fn open(bridge: &Bridge, caller: &Caller) -> Result<(Self, Welcome), Failure> {
        count(&bridge.counters.bridge_http_requests);
        let producer = u64::from_le_bytes(random()?);
        let (session, hello) = Session::open(producer, CLIENT, &caller.token)?;
        let attached = Attached::new(bridge, caller.address)?;
        let until = Instant::now() + PATIENCE;
        let mut call = Call { attached, session, events: VecDeque::new(), until };
        call.send(hello).await;
        loop {
            match call.next().await? {
                Event::Live(welcome) => return Ok((call, *welcome)),
                Event::Closed(failure) => return Err(failure),
                _ => {}
            }
        }
    }

    /// Lets the request take this much longer.
    pub(super) fn allow(&mut self, longer: Duration) {
        self.until += longer;
    }

    /// Sends whole frames.
    pub(super) async fn send(&self, frames: Bytes) {
        self.attached.send(frames).await;
    }

    /// The next event.
    ///
    /// # Errors
    /// When the session ends, or the request has taken too long.
    pub(super) async fn next(&mut self) -> Result<Event, Failure> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let more = timeout_at(self.until, self.wait()).await;
            self.events = more.map_err(|_| Failure::of(Code::DEADLINE))??;
        }
    }

    /// The next events, however long they take. Nothing is lost when the future is dropped before
    /// it is done.
    ///
    /// # Errors
    /// When the session ends.
    pub(super) async fn wait(&mut self) -> Result<VecDeque<Event>, Failure> {
        if !self.events.is_empty() {
            return Ok(std::mem::take(&mut self.events));
        }
        let mut events = Vec::new();
        for chunk in self.attached.next().await? {
            self.session.read(chunk, &mut events)?;
        }
        Ok(events.into())
    }

    /// Sends a request and waits for its answer, the only one of this session.
    ///
    /// # Errors
    /// When the answer is a refusal, and as [`Call::next`].
    pub(super) async fn answer(&mut self, frames: Bytes) -> Result<Answer, Failure> {
        self.send(frames).await;
        loop {
            match self.next().await? {
                Event::Answered { answer: Answer::Refused(failure), .. } => return Err(failure),
                Event::Answered { answer, .. } => return Ok(answer),
                Event::Closed(failure) => return Err(failure),
                _ => {}
            }
        }
    }
}

/// The failure of an answer that does not go with the question.
pub(super) fn unexpected() -> Failure {
    Failure::new(Code::PROTOCOL, "the broker's answer does not go with the question")
}
