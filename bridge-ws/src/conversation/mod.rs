//! One client on a WebSocket: JSON in, frames out; frames in, JSON out.
//!
//! No I/O and no clock. Law: give it one input, then carry out everything in [`Output`], then give
//! it the next. [`Conversation::deadline`] says when it wants to be told the time.

mod frames;
mod named;
mod outgoing;
mod request;
mod tell;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_core::bucket::{Bucket, Rate};
use sampan_protocol::Code;
use sampan_protocol::control::Welcome;
use sampan_protocol::limits::{CLIENT_BYTES_MAX, SUBSCRIPTIONS_MAX};
use serde_json::json;

use self::frames::frames;
use self::named::Rooms;
use self::request::{Connect, Operation, Request};
use self::tell::Teller;
use crate::failure::Failure;
use crate::json::Cache;
use crate::session::{Answer, Event, Session};

pub(crate) use self::outgoing::Outgoing;

/// How long a client may take for `connect`.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// Time between pings.
const PING_EVERY: Duration = Duration::from_secs(25);
/// Silence after which a client is taken for lost: two pings without an answer.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// WebSocket frames of any sort that a client may send.
const FRAMES: Rate = Rate { per_s: 500, burst: 2000 };
/// Bytes of texts after which they are written before more is read.
const TEXTS_BYTES: usize = 256 * 1024;
/// Requests that make no sense after which a client is sent away.
const STRIKES: u8 = 3;

/// WebSocket close codes that stand for no code of the protocol.
pub(crate) mod status {
    /// The client broke RFC 6455.
    pub(crate) const PROTOCOL: u16 = 1002;
    /// The client sent binary data.
    pub(crate) const UNSUPPORTED: u16 = 1003;
    /// The client sent text that is not UTF-8.
    pub(crate) const NOT_TEXT: u16 = 1007;
    /// The client sent more frames than it may.
    pub(crate) const POLICY: u16 = 1008;
    /// The client sent a frame or message above the limit.
    pub(crate) const TOO_BIG: u16 = 1009;
    /// What is added to a code of the protocol.
    pub(crate) const CODE: u16 = 4000;
}

/// How a connection is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(crate) status: u16,
    pub(crate) reason: String,
}

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Whole frames for the broker.
    pub(crate) frames: BytesMut,
    /// Texts for the client.
    pub(crate) texts: Outgoing,
    /// Send a ping.
    pub(crate) ping: bool,
    /// Close the connection; nothing follows.
    pub(crate) close: Option<Closing>,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Conversation {
    state: State,
    rate: Bucket,
    strikes: u8,
    heard: Instant,
    ping_at: Instant,
    /// Whether the client inflates payloads itself.
    inflates: bool,
    /// What the client has joined by named events.
    rooms: Rooms,
}

#[derive(Debug)]
enum State {
    /// Waits for `connect`.
    Fresh { until: Instant, token: Option<String>, producer: u64 },
    /// Waits for the broker's WELCOME; holds what the client has said meanwhile.
    Greeting { session: Box<Session>, held: Vec<Request> },
    /// Serves requests.
    Live { session: Box<Session> },
    /// Nothing more is said.
    Closed,
}

impl Conversation {
    /// A client that has just connected, with the token that its upgrade carried.
    pub(crate) fn new(now: Instant, token: Option<String>, producer: u64) -> Self {
        Conversation {
            state: State::Fresh { until: now + GREETING_TIMEOUT, token, producer },
            rate: Bucket::new(FRAMES, now),
            strikes: 0,
            heard: now,
            ping_at: now + PING_EVERY,
            inflates: false,
            rooms: Rooms::default(),
        }
    }

    /// Whether the client's requests can be taken. While the broker greets they wait in the socket.
    pub(crate) fn is_listening(&self) -> bool {
        !matches!(self.state, State::Greeting { .. })
    }

    /// When [`Conversation::time`] must be called next.
    pub(crate) fn deadline(&self) -> Instant {
        let next = self.ping_at.min(self.heard + SILENCE_MAX);
        match &self.state {
            State::Fresh { until, .. } => next.min(*until),
            _ => next,
        }
    }

    /// The time has come.
    pub(crate) fn time(&mut self, now: Instant, out: &mut Output) {
        match &self.state {
            State::Closed => {}
            State::Fresh { until, .. } if *until <= now => {
                self.close(&Failure::of(Code::SLOW_HANDSHAKE), out);
            }
            _ if self.heard + SILENCE_MAX <= now => self.close(&Failure::of(Code::IDLE), out),
            _ if self.ping_at <= now => {
                self.ping_at = now + PING_EVERY;
                out.ping = true;
            }
            _ => {}
        }
    }

    /// A WebSocket frame of any sort has come. Whether it may be looked at.
    pub(crate) fn heard(&mut self, now: Instant, out: &mut Output) -> bool {
        self.heard = now;
        if self.rate.take(now, 1).is_ok() {
            return true;
        }
        self.close_with(status::POLICY, &Failure::of(Code::RATE_LIMITED), out);
        false
    }

    /// The client's frames make no sense to the transport.
    pub(crate) fn broken(&mut self, status: u16, reason: &str, out: &mut Output) {
        let failure = Failure::new(Code::PROTOCOL, reason);
        if !matches!(std::mem::replace(&mut self.state, State::Closed), State::Closed) {
            out.close = Some(Closing { status, reason: failure.reason });
        }
    }

    /// The client has said something.
    pub(crate) fn text(&mut self, text: &str, out: &mut Output) {
        let requests = match request::parse(text) {
            Ok(requests) => requests,
            Err(failure) => return self.strike(0, &failure, out),
        };
        for (id, operation) in requests {
            match operation {
                Ok(operation) => self.request(Request { id, operation }, out),
                Err(failure) => self.strike(id, &failure, out),
            }
        }
    }

    /// The broker has sent whole frames. Not before [`Conversation::go_on`] has done with those
    /// before them.
    ///
    /// A fan-out brings the same bytes to many connections: the first that reads them keeps what
    /// they become for the others.
    pub(crate) fn read(&mut self, chunk: Bytes, cache: &Cache, out: &mut Output) {
        let inflates = self.inflates;
        let Some(session) = self.session() else { return };
        if let Some(texts) = cache.run(&chunk, inflates) {
            return out.texts.put_run(&texts);
        }
        let run = (!chunk.is_unique()).then(|| chunk.clone());
        session.push(chunk);
        let Some(run) = run else { return };
        let begin = out.texts.begin_run();
        let (is_run, more) = self.tell(cache, out);
        if is_run && !more {
            cache.keep_run(run, inflates, out.texts.end_run(begin));
        }
    }

    /// Turns what was read into texts, up to a bound. Whether there is more, once these are
    /// written.
    pub(crate) fn go_on(&mut self, cache: &Cache, out: &mut Output) -> bool {
        self.tell(cache, out).1
    }

    /// Whether all that was read are deliveries, and whether there is more.
    fn tell(&mut self, cache: &Cache, out: &mut Output) -> (bool, bool) {
        let mut is_run = true;
        while out.texts.bytes() < TEXTS_BYTES {
            let Some(session) = self.session() else { return (false, false) };
            let event = match session.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => return (is_run, false),
                Err(failure) => {
                    self.close(&failure, out);
                    return (false, false);
                }
            };
            is_run &= matches!(event, Event::Delivered { .. });
            if let Err(failure) = self.event(event, cache, out) {
                self.close(&failure, out);
            }
        }
        (is_run, true)
    }

    fn session(&mut self) -> Option<&mut Session> {
        match &mut self.state {
            State::Greeting { session, .. } | State::Live { session } => Some(session),
            State::Fresh { .. } | State::Closed => None,
        }
    }

    /// The connection is to end.
    pub(crate) fn close(&mut self, failure: &Failure, out: &mut Output) {
        self.close_with(status::CODE + failure.code.0.min(999), failure, out);
    }

    fn close_with(&mut self, status: u16, failure: &Failure, out: &mut Output) {
        if matches!(std::mem::replace(&mut self.state, State::Closed), State::Closed) {
            return;
        }
        out.texts.put(0, "close", &failure.told());
        out.close = Some(Closing { status, reason: failure.code.name().to_owned() });
    }

    fn strike(&mut self, id: u64, failure: &Failure, out: &mut Output) {
        if matches!(self.state, State::Closed) {
            return;
        }
        out.texts.put(id, "error", &failure.told());
        self.strikes += 1;
        if self.strikes >= STRIKES {
            let reason = "three requests that make no sense";
            self.close(&Failure::new(Code::PROTOCOL, reason), out);
        }
    }

    fn request(&mut self, request: Request, out: &mut Output) {
        let Request { id, operation } = request;
        match (&mut self.state, operation) {
            (State::Closed, _) => {}
            (_, Operation::Ping) => out.texts.put(id, "pong", &json!({})),
            (State::Fresh { .. }, Operation::Connect(connect)) => {
                if let Err(failure) = self.connect(*connect, out) {
                    self.close(&failure, out);
                }
            }
            (State::Fresh { .. }, _) => {
                let reason = "the first request must be connect";
                self.close(&Failure::new(Code::PROTOCOL, reason), out);
            }
            (State::Greeting { .. } | State::Live { .. }, Operation::Connect(_)) => {
                out.texts.put(id, "error", &Failure::of(Code::UNEXPECTED).told());
            }
            (State::Greeting { held, .. }, operation) => held.push(Request { id, operation }),
            (State::Live { session }, operation) => {
                let done = match operation {
                    Operation::Emit(emit) => self.rooms.emit(session, id, &emit, out),
                    Operation::Unsubscribe => self.rooms.unsubscribe(session, id, out),
                    operation => frames(session, id, operation)
                        .map(|frames| out.frames.extend_from_slice(&frames)),
                };
                if let Err(failure) = done {
                    out.texts.put(id, "error", &failure.told());
                }
            }
        }
    }

    fn connect(&mut self, connect: Connect, out: &mut Output) -> Result<(), Failure> {
        let State::Fresh { token, producer, .. } = &mut self.state else { return Ok(()) };
        let Connect { token: given, client, resume, inflates } = connect;
        let token = given.or_else(|| token.take()).ok_or_else(|| Failure::of(Code::BAD_TOKEN))?;
        let client = client.unwrap_or_else(|| "websocket".to_owned());
        if client.len() > CLIENT_BYTES_MAX {
            return Err(Failure::new(Code::TOO_LARGE, "the client's name is too long"));
        }
        if resume.len() > SUBSCRIPTIONS_MAX as usize {
            return Err(Failure::new(Code::TOO_MANY, "too many subscriptions to resume at once"));
        }
        let (session, hello) = Session::open(*producer, &client, &token)?;
        out.frames.extend_from_slice(&hello);
        let held = resume.into_iter().map(|resumed| Request {
            id: resumed.id,
            operation: Operation::Subscribe(resumed.subscribe),
        });
        self.inflates = inflates;
        self.state = State::Greeting { session: Box::new(session), held: held.collect() };
        Ok(())
    }

    fn live(&mut self, welcome: &Welcome, out: &mut Output) {
        let State::Greeting { session, held } = std::mem::replace(&mut self.state, State::Closed)
        else {
            return;
        };
        self.state = State::Live { session };
        let Welcome { session, boot, user, role, expires_ms, now_ms, .. } = welcome;
        let body = json!({
            // As texts, since a number of JSON is exact to 2^53 only.
            "session": session.to_string(),
            "boot": boot.to_string(),
            "user": user,
            "role": role,
            "expires_ms": expires_ms,
            "now_ms": now_ms,
            "payload_bytes_max": welcome.payload_bytes_max,
            "subscriptions_max": welcome.subscriptions_max,
            "ping_every_ms": u64::try_from(PING_EVERY.as_millis()).unwrap_or(u64::MAX),
        });
        out.texts.put(0, "welcome", &body);
        held.into_iter().for_each(|request| self.request(request, out));
    }

    /// Whether an answer is for the rooms alone.
    fn is_own(&mut self, number: u64, answer: &Answer, out: &mut Output) -> Result<bool, Failure> {
        let State::Live { session } = &mut self.state else { return Ok(false) };
        self.rooms.answered(session, number, answer, out)
    }

    fn event(&mut self, event: Event, cache: &Cache, out: &mut Output) -> Result<(), Failure> {
        match event {
            Event::Live(welcome) => self.live(&welcome, out),
            Event::Closed(failure) => return Err(failure),
            Event::Answered { number, answer } if self.is_own(number, &answer, out)? => {}
            other => Teller { cache, inflates: self.inflates }.tell(other, &mut out.texts)?,
        }
        Ok(())
    }
}
