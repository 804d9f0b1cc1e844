//! Making, losing and renewing connections, and the token that opens them.

use std::time::{Duration, Instant};

use super::consumers::JobTopics;
use super::output::{Cause, Event, Failure, Live, Output};
use super::{Client, requests};
use crate::VERSION;
use crate::code::{Code, Reaction};
use crate::control::{self, Close, Expiring, GoAway, Hello, Welcome};
use crate::error::Error;
use crate::frame::{Frame, Kind};
use crate::time::Now;

/// How long connecting and greeting may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A session that lived this long sets the backoff back to its start.
pub const STABLE_AFTER: Duration = Duration::from_secs(10);
/// How often a renewal that waits for open requests looks again.
const RENEWAL_STEP: Duration = Duration::from_millis(250);

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not opened yet.
    Idle,
    /// Waiting for the next attempt.
    Waiting,
    /// Waiting for a token or a transport.
    Connecting,
    /// Waiting for WELCOME.
    Greeting,
    /// Serving.
    Live,
    /// Serving, until a new connection replaces this one.
    Draining,
    /// Closed for good.
    Closed,
}

/// How a transport connection ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// The code that the broker closed it with, if it did.
    pub code: Option<Code>,
    /// What the transport says, for a person.
    pub reason: String,
    /// Whether trying again cannot help, such as a certificate that is not trusted. Believed only
    /// before the first session.
    pub hopeless: bool,
}

#[derive(Debug)]
pub(super) enum Phase {
    Idle,
    /// Waiting for a token to connect with.
    Token,
    Waiting {
        until: Instant,
    },
    Connecting {
        by: Instant,
    },
    Greeting {
        by: Instant,
    },
    Live {
        since: Instant,
    },
    Draining {
        since: Instant,
        renew: Instant,
        by: Instant,
    },
    Closed(Failure),
}

impl Phase {
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Phase::Live { .. } | Phase::Draining { .. })
    }

    pub(super) fn has_transport(&self) -> bool {
        matches!(self, Phase::Connecting { .. } | Phase::Greeting { .. }) || self.is_live()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Phase::Waiting { until } => Some(*until),
            Phase::Connecting { by } | Phase::Greeting { by } => Some(*by),
            Phase::Draining { renew, .. } => Some(*renew),
            Phase::Idle | Phase::Token | Phase::Live { .. } | Phase::Closed(_) => None,
        }
    }

    pub(super) fn state(&self) -> State {
        match self {
            Phase::Idle => State::Idle,
            Phase::Waiting { .. } => State::Waiting,
            Phase::Token | Phase::Connecting { .. } => State::Connecting,
            Phase::Greeting { .. } => State::Greeting,
            Phase::Live { .. } => State::Live,
            Phase::Draining { .. } => State::Draining,
            Phase::Closed(_) => State::Closed,
        }
    }
}

impl Client {
    /// Starts connecting. Does nothing on a client that was opened before.
    pub fn open(&mut self, now: Now) {
        if matches!(self.phase, Phase::Idle) {
            self.connect(now);
        }
    }

    /// The transport connection has been made.
    pub fn connected(&mut self, now: Now, connection: u32) {
        let Phase::Connecting { by } = self.phase else { return };
        if connection != self.connection {
            return;
        }
        let hello = Hello {
            version: VERSION,
            features: control::feature::ALL,
            producer: self.producer,
            client: self.options.client.clone(),
            token: self.options.token.clone().unwrap_or_default(),
        };
        match control::encode(&hello, 0) {
            Ok(frame) => {
                self.phase = Phase::Greeting { by };
                self.send(frame);
            }
            Err(error) => {
                self.drop_transport(Code::CLOSED, String::new());
                let code = Code::BAD_TOKEN;
                let reason = format!("HELLO cannot be sent: {error}");
                self.end(now, Some(code), 0, reason);
            }
        }
    }

    /// The transport connection has been lost, or could not be made.
    pub fn lost(&mut self, now: Now, connection: u32, lost: Lost) {
        if connection != self.connection || !self.phase.has_transport() {
            return;
        }
        if lost.hopeless && self.counters.sessions == 0 {
            self.finish(Code::PROTOCOL, lost.reason);
        } else {
            self.end(now, lost.code, 0, lost.reason);
        }
    }

    /// A stream of the connection could not be cut into frames, or the broker broke the protocol:
    /// the connection is given up and made again with backoff.
    pub fn broken(&mut self, now: Now, connection: u32, error: &Error) {
        if connection != self.connection || !self.phase.has_transport() {
            return;
        }
        self.counters.violations += 1;
        self.drop_transport(Code::PROTOCOL, error.to_string());
        self.end(now, None, 0, format!("the broker broke the protocol: {error}"));
    }

    /// The answer to [`Output::NeedToken`].
    pub fn token(&mut self, now: Now, token: String) {
        self.token_wanted = false;
        self.options.token = Some(token.clone());
        if matches!(self.phase, Phase::Token) {
            self.connect(now);
        } else if self.phase.is_live() {
            self.refresh(token);
        }
    }

    /// No token could be had; the next attempt follows with backoff.
    pub fn no_token(&mut self, now: Now, reason: String) {
        self.token_wanted = false;
        if matches!(self.phase, Phase::Token) {
            self.wait(now, None, 0, reason);
        }
    }

    /// Ends the session at once. What is open fails; nothing is flushed.
    pub fn close(&mut self) {
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        if self.phase.is_live() {
            self.hand_back();
            let body = Close { code: Code::CLOSED.0, retry_after_ms: 0, reason: String::new() };
            if let Ok(frame) = control::encode(&body, 0) {
                self.send(frame);
            }
        }
        if self.phase.has_transport() {
            self.drop_transport(Code::CLOSED, String::new());
        }
        self.finish(Code::CLOSED, Code::CLOSED.text().to_owned());
    }

    pub(super) fn phase_timeout(&mut self, now: Now) {
        match self.phase {
            Phase::Waiting { until } if until <= now.mono => self.connect(now),
            Phase::Connecting { by } | Phase::Greeting { by } if by <= now.mono => {
                self.drop_transport(Code::CLOSED, "no answer in time".to_owned());
                self.end(now, None, 0, "the broker did not answer in time".to_owned());
            }
            Phase::Draining { since, renew, by } if renew <= now.mono => {
                // Jobs are handed back first, and a step later the broker knows.
                if now.mono < by && (self.requests.awaits_reply() || self.hand_back()) {
                    let renew = (now.mono + RENEWAL_STEP).min(by);
                    self.phase = Phase::Draining { since, renew, by };
                    return;
                }
                self.drop_transport(Code::CLOSED, "moving as asked".to_owned());
                self.disconnected();
                self.connect(now);
            }
            _ => {}
        }
    }

    /// A frame on the control stream before the session is live.
    pub(super) fn greeted(&mut self, now: Now, frame: &Frame) -> Result<(), Error> {
        match (&self.phase, frame.header.kind) {
            (Phase::Greeting { .. }, Kind::Welcome) => {
                let welcome: Welcome = control::decode(frame)?;
                self.welcomed(now, welcome);
                Ok(())
            }
            (_, Kind::Close) => self.closed_by_broker(now, frame),
            _ => Err(Error::Invalid { field: "a frame before WELCOME" }),
        }
    }

    fn welcomed(&mut self, now: Now, welcome: Welcome) {
        if welcome.version != VERSION {
            let reason = format!("the broker speaks version {}", welcome.version);
            self.drop_transport(Code::UNSUPPORTED_VERSION, reason.clone());
            return self.finish(Code::UNSUPPORTED_VERSION, reason);
        }
        let resumed = self.counters.sessions > 0;
        let same_boot = resumed && self.boot == welcome.boot;
        self.phase = Phase::Live { since: now.mono };
        self.boot = welcome.boot;
        self.welcomed_ms = welcome.now_ms;
        self.payload_bytes_max = usize::try_from(welcome.payload_bytes_max).unwrap_or(usize::MAX);
        self.counters.sessions += 1;
        self.token_renewed = false;
        self.topics.reconnected(same_boot);
        self.job_topics = JobTopics::default();
        self.publishes.connected(same_boot);
        if !same_boot {
            // They name topics by ids that are void.
            self.fail_settlements(&requests::Fate::Restarted);
        }
        self.settlements.connected();
        self.event(Event::Live(Box::new(Live {
            user: welcome.user,
            role: welcome.role,
            session: welcome.session,
            boot: welcome.boot,
            expires_ms: welcome.expires_ms,
            now_ms: welcome.now_ms,
            payload_bytes_max: welcome.payload_bytes_max,
            resumed,
        })));
        self.register_all();
        self.send_requests();
    }

    /// The broker warns that the token expires.
    pub(super) fn expiring(&mut self, frame: &Frame) -> Result<(), Error> {
        let Expiring { expires_ms } = control::decode(frame)?;
        if !self.options.renewable {
            self.event(Event::Expiring { expires_ms });
        } else if !self.token_wanted {
            self.token_wanted = true;
            self.outputs.push_back(Output::NeedToken);
        }
        Ok(())
    }

    /// The broker drains: connect again at a random time within what it grants.
    pub(super) fn going_away(&mut self, now: Now, frame: &Frame) -> Result<(), Error> {
        let body: GoAway = control::decode(frame)?;
        let Phase::Live { since } = self.phase else { return Ok(()) };
        let within = body.reconnect_within_ms.min(body.close_after_ms);
        let renew_in = self.chance.within(Duration::from_millis(within.into()));
        let by = now.mono + Duration::from_millis(body.close_after_ms.into()).max(renew_in);
        self.phase = Phase::Draining { since, renew: now.mono + renew_in, by };
        self.event(Event::Draining { renew_in });
        Ok(())
    }

    pub(super) fn closed_by_broker(&mut self, now: Now, frame: &Frame) -> Result<(), Error> {
        let body: Close = control::decode(frame)?;
        self.drop_transport(Code::CLOSED, String::new());
        self.end(now, Some(Code(body.code)), body.retry_after_ms, body.reason);
        Ok(())
    }

    fn connect(&mut self, now: Now) {
        if self.options.token.is_some() {
            self.connection += 1;
            self.phase = Phase::Connecting { by: now.mono + CONNECT_TIMEOUT };
            self.outputs.push_back(Output::Connect { connection: self.connection });
        } else if self.options.renewable {
            self.phase = Phase::Token;
            if !self.token_wanted {
                self.token_wanted = true;
                self.outputs.push_back(Output::NeedToken);
            }
        } else {
            self.finish(Code::BAD_TOKEN, "there is no token".to_owned());
        }
    }

    /// The connection is over, with this code if the broker gave one.
    fn end(&mut self, now: Now, code: Option<Code>, retry_after_ms: u32, reason: String) {
        if let Phase::Live { since } | Phase::Draining { since, .. } = self.phase
            && now.mono.saturating_duration_since(since) >= STABLE_AFTER
        {
            self.attempt = 0;
        }
        self.disconnected();
        match code {
            Some(Code::BAD_TOKEN | Code::TOKEN_EXPIRED)
                if self.options.renewable && !self.token_renewed =>
            {
                self.token_renewed = true;
                self.options.token = None;
                self.connect(now);
            }
            Some(code @ Code::TOKEN_EXPIRED) => self.finish(code, reason),
            Some(code) => match code.reaction() {
                Reaction::Reconnect | Reaction::ReconnectWithBackoff | Reaction::RetryLater => {
                    self.wait(now, Some(code), retry_after_ms, reason);
                }
                Reaction::Fix | Reaction::NotAllowed | Reaction::Stop | Reaction::Application => {
                    self.finish(code, reason);
                }
            },
            None => self.wait(now, None, retry_after_ms, reason),
        }
    }

    /// Waits for the next attempt: the broker's hint plus full jitter, or at once where the code
    /// says so and no attempt has failed before.
    fn wait(&mut self, now: Now, code: Option<Code>, retry_after_ms: u32, reason: String) {
        let at_once = code.is_some_and(|code| code.reaction() == Reaction::Reconnect);
        let jitter = if at_once && self.attempt == 0 {
            Duration::ZERO
        } else {
            self.chance.backoff(self.attempt)
        };
        self.attempt = self.attempt.saturating_add(1);
        let retry_in = Duration::from_millis(retry_after_ms.into()) + jitter;
        self.phase = Phase::Waiting { until: now.mono + retry_in };
        let cause = Failure {
            cause: if code.is_some() { Cause::Refused } else { Cause::Lost },
            code: code.unwrap_or(Code::RESTARTED),
            retry_after_ms,
            reason,
            may_have_happened: false,
        };
        self.event(Event::Waiting { retry_in, cause });
    }

    /// What a lost connection takes with it.
    fn disconnected(&mut self) {
        self.publishes.disconnected();
        self.fail_requests(&requests::Fate::Lost);
        self.fail_settlements(&requests::Fate::Lost);
        self.jobs_lost();
        for (number, standing) in &mut self.standing {
            let seen = || self.topics.has_seen(*number);
            standing.disconnected(self.welcomed_ms, seen);
        }
    }

    /// Closes the client for good: all that is open fails.
    fn finish(&mut self, code: Code, reason: String) {
        let failure = Failure {
            cause: Cause::Closed,
            code,
            retry_after_ms: 0,
            reason,
            may_have_happened: false,
        };
        self.phase = Phase::Closed(failure.clone());
        self.fail_requests(&requests::Fate::Closed(failure.clone()));
        self.fail_settlements(&requests::Fate::Closed(failure.clone()));
        for number in std::mem::take(&mut self.standing).into_keys() {
            self.event(Event::Ended { number, failure: failure.clone() });
        }
        self.publishes.clear();
        self.event(Event::Closed(failure));
    }

    fn drop_transport(&mut self, code: Code, reason: String) {
        let connection = self.connection;
        self.outputs.push_back(Output::Close { connection, code, reason });
    }

    /// Renews a connection whose topic table has reached its bound.
    pub(super) fn renew(&mut self, now: Now) {
        self.drop_transport(Code::CLOSED, "the topic table is full".to_owned());
        self.disconnected();
        self.wait(now, None, 0, "the topic table is full".to_owned());
    }
}
