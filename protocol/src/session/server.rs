//! The broker's end of one session: greeting, authentication, expiry, draining, and the checked
//! commands of a live client.
//!
//! Outputs go into a queue that the caller owns, since ten thousand idle sessions should not own
//! one each. The caller handles one input, takes every output, and calls again with
//! [`Input::Time`] when [`Server::deadline`] has come.

mod command;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use self::command::command;
pub use self::command::{Command, Consume};
pub use super::settle::Settle;
use crate::VERSION;
use crate::code::Code;
use crate::control::{self, Close, Expiring, GoAway, Hello, Refresh, Refreshed};
use crate::error::Error;
use crate::frame::{Frame, Header, Kind};
use crate::time::Now;

/// How long a client may take for HELLO, and the verifier for its verdict.
pub const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// How long before its token expires a client is warned, at most.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(60);
/// Bad control frames that a session survives.
const STRIKES_MAX: u8 = 3;

/// What happened to the session.
#[derive(Debug)]
pub enum Input {
    /// A frame arrived.
    Frame(Frame),
    /// A stream of the session could not be cut into frames.
    Broken(Error),
    /// The verifier's answer to [`Output::Authenticate`].
    Verdict(Result<Accepted, Code>),
    /// The broker wants the client to go.
    Drain {
        /// The client connects again after a random time up to this.
        reconnect_within: Duration,
        /// When the session is closed at the latest.
        close_after: Duration,
    },
    /// The broker ends the session.
    Close {
        /// Why.
        code: Code,
        /// When a new session may be tried.
        retry_after: Duration,
    },
    /// Time has passed.
    Time,
}

/// What the verifier found in a token, and what the broker announces.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// User that the token names.
    pub user: String,
    /// Role that the token gives.
    pub role: String,
    /// When the token expires, Unix milliseconds.
    pub expires_ms: u64,
    /// Session id to announce.
    pub session: u64,
    /// Broker process id to announce.
    pub boot: u64,
    /// Payload limit to announce, bytes.
    pub payload_bytes_max: u32,
    /// Subscription limit to announce.
    pub subscriptions_max: u32,
    /// Keep-alive interval to announce.
    pub keep_alive: Duration,
}

/// What the caller must do.
#[derive(Debug)]
pub enum Output {
    /// Judge this token and answer with [`Input::Verdict`].
    Authenticate {
        /// The token as presented.
        token: String,
    },
    /// The session became live.
    Live {
        /// The client's producer id.
        producer: u64,
        /// Features that both ends know.
        features: u64,
        /// The client's description of itself.
        client: String,
    },
    /// A checked command of a live session.
    Command(Command),
    /// Send this frame on the control stream.
    Send(Bytes),
    /// Send what is queued, then close the transport with this code. Nothing follows.
    Close {
        /// Why.
        code: Code,
        /// One sentence for a person.
        reason: String,
    },
}

#[derive(Debug)]
enum State {
    /// Waiting for HELLO.
    Fresh { until: Instant },
    /// Waiting for the verdict on HELLO's token.
    Greeting { until: Instant, hello: Box<(u64, u64, String)> },
    /// Serving commands.
    Live(Live),
    /// Nothing more is accepted or sent.
    Closed,
}

#[derive(Debug)]
struct Live {
    expires_at: Instant,
    warn_at: Option<Instant>,
    /// Number of the REFRESH that waits for a verdict.
    refresh: Option<u64>,
    /// When a draining session is closed.
    close_at: Option<Instant>,
}

/// The broker's end of one session.
#[derive(Debug)]
pub struct Server {
    state: State,
    strikes: u8,
}

impl Server {
    /// A session whose transport has just been opened.
    #[must_use]
    pub fn new(now: Now) -> Self {
        Server { state: State::Fresh { until: now.mono + GREETING_TIMEOUT }, strikes: 0 }
    }

    /// Whether commands are accepted.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.state, State::Live(_))
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// When [`Input::Time`] must be handled next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Fresh { until } | State::Greeting { until, .. } => Some(*until),
            State::Live(live) => {
                let first = live.warn_at.unwrap_or(live.expires_at).min(live.expires_at);
                Some(live.close_at.map_or(first, |at| at.min(first)))
            }
            State::Closed => None,
        }
    }

    /// Handles one input; what follows from it is appended to `out`.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut VecDeque<Output>) {
        if self.is_closed() {
            return;
        }
        match input {
            Input::Frame(frame) => self.frame(now, frame, out),
            Input::Broken(error) => self.close(Code::PROTOCOL, &error.to_string(), 0, out),
            Input::Verdict(verdict) => self.verdict(now, verdict, out),
            Input::Drain { reconnect_within, close_after } => {
                self.drain(now, reconnect_within, close_after, out);
            }
            Input::Close { code, retry_after } => {
                self.close(code, code.text(), millis(retry_after), out);
            }
            Input::Time => self.time(now, out),
        }
    }

    fn frame(&mut self, now: Now, frame: Frame, out: &mut VecDeque<Output>) {
        match &mut self.state {
            State::Fresh { .. } => self.hello(now, &frame, out),
            State::Live(live) => match frame.header.kind {
                Kind::Publish => out.push_back(Output::Command(Command::Publish(frame))),
                Kind::Refresh => match (control::decode::<Refresh>(&frame), live.refresh) {
                    (Ok(_), Some(_)) => {
                        self.refuse(
                            frame.header.number,
                            Code::DUPLICATE_REQUEST,
                            "one at a time",
                            out,
                        );
                    }
                    (Ok(refresh), None) => {
                        live.refresh = Some(frame.header.number);
                        out.push_back(Output::Authenticate { token: refresh.token });
                    }
                    (Err(error), _) => self.strike(frame.header.number, &error, out),
                },
                Kind::Close => {
                    self.state = State::Closed;
                    out.push_back(Output::Close { code: Code::CLOSED, reason: String::new() });
                }
                _ => match command(frame) {
                    Ok(command) => out.push_back(Output::Command(command)),
                    Err((number, Some(error))) => self.strike(number, &error, out),
                    Err((_, None)) => {
                        self.close(Code::PROTOCOL, "a frame of the broker's own kind", 0, out);
                    }
                },
            },
            State::Greeting { .. } => {
                self.close(Code::PROTOCOL, "a frame before WELCOME", 0, out);
            }
            State::Closed => {}
        }
    }

    fn hello(&mut self, now: Now, frame: &Frame, out: &mut VecDeque<Output>) {
        match control::decode::<Hello>(frame) {
            Ok(hello) if hello.version != VERSION => {
                self.close(Code::UNSUPPORTED_VERSION, "this broker speaks version 1", 0, out);
            }
            Ok(Hello { features, producer, client, token, .. }) => {
                let hello = Box::new((producer, features & control::feature::ALL, client));
                self.state = State::Greeting { until: now.mono + GREETING_TIMEOUT, hello };
                out.push_back(Output::Authenticate { token });
            }
            Err(error) if frame.header.kind == Kind::Hello => {
                self.close(Code::PROTOCOL, &error.to_string(), 0, out);
            }
            Err(_) => self.close(Code::PROTOCOL, "the first frame must be HELLO", 0, out),
        }
    }

    fn verdict(&mut self, now: Now, verdict: Result<Accepted, Code>, out: &mut VecDeque<Output>) {
        match (&mut self.state, verdict) {
            (State::Greeting { hello, .. }, Ok(accepted)) => {
                let (producer, features, client) = std::mem::take(&mut **hello);
                let welcome = control::Welcome {
                    version: VERSION,
                    features,
                    session: accepted.session,
                    boot: accepted.boot,
                    user: accepted.user,
                    role: accepted.role,
                    expires_ms: accepted.expires_ms,
                    now_ms: now.unix_ms,
                    payload_bytes_max: accepted.payload_bytes_max,
                    subscriptions_max: accepted.subscriptions_max,
                    keep_alive_ms: millis(accepted.keep_alive),
                };
                self.state = State::Live(Live::until(now, accepted.expires_ms));
                send(control::encode(&welcome, 0), out);
                out.push_back(Output::Live { producer, features, client });
            }
            (State::Greeting { .. }, Err(code)) => self.close(code, code.text(), 0, out),
            (State::Live(live), verdict) => {
                let Some(number) = live.refresh.take() else { return };
                match verdict {
                    Ok(accepted) => {
                        let close_at = live.close_at;
                        *live = Live { close_at, ..Live::until(now, accepted.expires_ms) };
                        let body = Refreshed { expires_ms: accepted.expires_ms };
                        send(control::encode(&body, number), out);
                    }
                    Err(code) => self.refuse(number, code, code.text(), out),
                }
            }
            (State::Fresh { .. } | State::Closed, _) => {}
        }
    }

    fn drain(
        &mut self,
        now: Now,
        reconnect_within: Duration,
        close_after: Duration,
        out: &mut VecDeque<Output>,
    ) {
        let State::Live(live) = &mut self.state else {
            return self.close(Code::GOING_AWAY, Code::GOING_AWAY.text(), 0, out);
        };
        if live.close_at.is_some() {
            return;
        }
        live.close_at = Some(now.mono + close_after);
        let body = GoAway {
            code: Code::GOING_AWAY.0,
            reconnect_within_ms: millis(reconnect_within),
            close_after_ms: millis(close_after),
            reason: Code::GOING_AWAY.text().to_owned(),
        };
        send(control::encode(&body, 0), out);
    }

    fn time(&mut self, now: Now, out: &mut VecDeque<Output>) {
        match &mut self.state {
            State::Fresh { until } | State::Greeting { until, .. } if *until <= now.mono => {
                self.close(Code::SLOW_HANDSHAKE, Code::SLOW_HANDSHAKE.text(), 0, out);
            }
            State::Live(live) if live.expires_at <= now.mono => {
                self.close(Code::TOKEN_EXPIRED, Code::TOKEN_EXPIRED.text(), 0, out);
            }
            State::Live(live) if live.close_at.is_some_and(|at| at <= now.mono) => {
                self.close(Code::GOING_AWAY, Code::GOING_AWAY.text(), 0, out);
            }
            State::Live(live) if live.warn_at.is_some_and(|at| at <= now.mono) => {
                live.warn_at = None;
                let left = live.expires_at - now.mono;
                let expires_ms = now.unix_ms.saturating_add(u64::from(millis(left)));
                send(control::encode(&Expiring { expires_ms }, 0), out);
            }
            _ => {}
        }
    }

    fn refuse(&self, number: u64, code: Code, reason: &str, out: &mut VecDeque<Output>) {
        send(control::encode(&control::refused(code, 0, reason), number), out);
    }

    /// Refuses a bad control frame; the third one ends the session.
    fn strike(&mut self, number: u64, error: &Error, out: &mut VecDeque<Output>) {
        self.strikes += 1;
        self.refuse(number, error.code(), &error.to_string(), out);
        if self.strikes >= STRIKES_MAX {
            self.close(Code::PROTOCOL, "too many malformed frames", 0, out);
        }
    }

    fn close(&mut self, code: Code, reason: &str, retry_after_ms: u32, out: &mut VecDeque<Output>) {
        let reason = control::reason_text(reason);
        let body = Close { code: code.0, retry_after_ms, reason: reason.clone() };
        send(control::encode(&body, 0), out);
        self.state = State::Closed;
        out.push_back(Output::Close { code, reason });
    }
}

impl Live {
    fn until(now: Now, expires_ms: u64) -> Self {
        let expires_at = now.when(expires_ms);
        let left = expires_at - now.mono;
        let warn_at = Some(now.mono + left.saturating_sub(EXPIRY_WARNING).max(left / 2));
        Live { expires_at, warn_at, refresh: None, close_at: None }
    }
}

/// Queues an encoded frame. The broker's own bodies are within their limits, so an encoding error
/// here is a defect of ours.
fn send(frame: Result<Bytes, Error>, out: &mut VecDeque<Output>) {
    match frame {
        Ok(frame) => out.push_back(Output::Send(frame)),
        Err(error) => debug_assert!(false, "own control body does not encode: {error}"),
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// A DONE frame for this request.
#[must_use]
pub fn done(number: u64) -> Bytes {
    Header::new(Kind::Done).number(number).bare()
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
