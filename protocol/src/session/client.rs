//! The client's end of a session: connecting and resuming, subscriptions, publishes, requests.
//!
//! The machine names no socket, clock or source of randomness. The law for its caller: change it
//! once (an input or a command), take every output with [`Client::poll`], then wait until
//! [`Client::deadline`] or the next input. The rules it follows are in `spec/session.md`.

mod answers;
mod backoff;
mod calls;
mod connection;
mod consumers;
mod deliveries;
mod output;
mod presence;
mod publishes;
mod requests;
mod settlements;
mod standing;
#[cfg(test)]
mod tests;
mod topics;
mod unsent;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;

pub use self::backoff::{BACKOFF_MAX, BACKOFF_MIN};
pub use self::connection::{CONNECT_TIMEOUT, Lost, STABLE_AFTER, State};
pub use self::output::{
    Answer, Call, CallId, Cause, Channel, Event, Failure, Job, JobId, Joined, Live, Message,
    Output, Page, Question, Run,
};
pub use self::publishes::{NotTaken, Publish, UNSENT_BYTES_MAX};
pub use self::requests::{OPEN_MAX, Request};
pub use self::settlements::{SETTLEMENTS_MAX, Verdict};
pub use self::standing::STANDING_MAX;
pub use self::topics::TOPICS_MAX;

use self::backoff::Chance;
use self::connection::Phase;
use self::consumers::JobTopics;
use self::publishes::{Bounds, Publishes};
use self::requests::Requests;
use self::settlements::Settlements;
use self::standing::Standing;
use self::topics::Topics;
use crate::error::Error;
use crate::frame::{Frame, Kind};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::time::Now;

/// What a client session is told at its start.
#[derive(Clone)]
pub struct Options {
    /// Name and version of the client software.
    pub client: String,
    /// The access token, if there is one already.
    pub token: Option<String>,
    /// Whether [`Output::NeedToken`] can bring a token other than that one.
    pub renewable: bool,
    /// Publishes that may wait for their ack.
    pub pending_max: usize,
    /// Bytes of publishes that may wait for their ack.
    pub pending_bytes_max: usize,
}

impl Default for Options {
    /// No token, 4,096 publishes, 8 MiB.
    fn default() -> Self {
        Options {
            client: String::new(),
            token: None,
            renewable: false,
            pending_max: 4096,
            pending_bytes_max: 8 * 1024 * 1024,
        }
    }
}

impl std::fmt::Debug for Options {
    /// All but the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Options { client, token, renewable, pending_max, pending_bytes_max } = self;
        f.debug_struct("Options")
            .field("client", client)
            .field("token", &token.as_ref().map(|_| ".."))
            .field("renewable", renewable)
            .field("pending_max", pending_max)
            .field("pending_bytes_max", pending_bytes_max)
            .finish()
    }
}

/// What a client session has counted since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Sessions that became live.
    pub sessions: u64,
    /// Messages received, doubles included.
    pub received: u64,
    /// Messages dropped because every subscription had seen them.
    pub duplicates: u64,
    /// Datagrams dropped because they could not be used.
    pub datagrams_dropped: u64,
    /// Answers that belong to nothing that is open.
    pub unmatched: u64,
    /// Connections closed because the broker broke the protocol.
    pub violations: u64,
}

/// The client's end of one session, over as many connections as it takes.
///
/// Memory: what waits for acks (bounded by [`Options`]), open requests ([`OPEN_MAX`]), standing
/// registrations ([`STANDING_MAX`]), settlements ([`SETTLEMENTS_MAX`]) and known topics
/// ([`TOPICS_MAX`]). The outputs are bounded by
/// the input that causes them, as long as the caller takes them after each.
#[derive(Debug)]
pub struct Client {
    options: Options,
    producer: u64,
    chance: Chance,
    phase: Phase,
    connection: u32,
    /// Attempts since the last session that lasted.
    attempt: u32,
    /// A token was refused and another asked for; cleared when a session is live.
    token_renewed: bool,
    /// [`Output::NeedToken`] waits for its answer.
    token_wanted: bool,
    boot: u64,
    /// The broker's clock when the session became live, Unix milliseconds.
    welcomed_ms: u64,
    payload_bytes_max: usize,
    topics: Topics,
    job_topics: JobTopics,
    publishes: Publishes,
    requests: Requests,
    settlements: Settlements,
    standing: BTreeMap<u64, Standing>,
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Client {
    /// A client that has not been opened. `seed` decides its jitter and its producer id.
    #[must_use]
    pub fn new(options: Options, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let bounds = Bounds { messages: options.pending_max, bytes: options.pending_bytes_max };
        Client {
            producer: chance.next().max(1),
            chance,
            phase: Phase::Idle,
            connection: 0,
            attempt: 0,
            token_renewed: false,
            token_wanted: false,
            boot: 0,
            welcomed_ms: 0,
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            topics: Topics::default(),
            job_topics: JobTopics::default(),
            publishes: Publishes::new(bounds),
            requests: Requests::default(),
            settlements: Settlements::default(),
            standing: BTreeMap::new(),
            outputs: VecDeque::new(),
            counters: Counters::default(),
            options,
        }
    }

    /// The next output, in the order in which they must be carried out.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.poll_but_publishes();
        output.or_else(|| self.publishes().map(|bytes| Output::Send(Channel::Publish, bytes)))
    }

    /// The next output other than bytes of the publish stream, for a shell that takes those with
    /// [`Client::publishes`] when its stream has room.
    pub fn poll_but_publishes(&mut self) -> Option<Output> {
        let output = self.poll_urgent();
        output.or_else(|| self.settlements().map(|bytes| Output::Send(Channel::Control, bytes)))
    }

    /// The next output other than bytes of the publish stream and settlements, for a shell that
    /// takes those with [`Client::publishes`] and [`Client::settlements`] when it sends, so that
    /// what came together travels together.
    #[inline]
    pub fn poll_urgent(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next bytes of the publish stream, coalesced from what was published since. Chunks must
    /// be sent in the order in which they are given; one may end within a frame.
    pub fn publishes(&mut self) -> Option<Bytes> {
        self.publishes.unsent()
    }

    /// Whether [`Client::publishes`] has something.
    #[must_use]
    pub fn has_publishes(&self) -> bool {
        self.publishes.has_unsent()
    }

    /// When [`Client::timeout`] must be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let timer = self.requests.next_timer();
        self.phase.deadline().into_iter().chain(timer).min()
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Now) {
        self.phase_timeout(now);
        while let Some(number) = self.requests.due(now.mono) {
            if !self.expire(number) {
                self.ask_again(number);
            }
        }
    }

    /// A frame has arrived on a connection.
    pub fn frame(&mut self, now: Now, connection: u32, channel: Channel, frame: Frame) {
        if connection != self.connection || !self.phase.has_transport() {
            return;
        }
        if let Err(error) = self.accept(now, channel, frame) {
            self.broken(now, connection, &error);
        }
    }

    fn accept(&mut self, now: Now, channel: Channel, frame: Frame) -> Result<(), Error> {
        let kind = frame.header.kind;
        if kind == Kind::Deliver {
            return self.deliver(channel, frame);
        }
        match (channel, kind) {
            (Channel::Datagram, _) => {
                self.counters.datagrams_dropped += 1;
                Ok(())
            }
            (_, Kind::Topic) => self.topic_named(now, &frame),
            (_, Kind::Gap) => self.gap(&frame),
            (_, Kind::Job) => self.job(frame),
            (Channel::Control, _) if self.phase.is_live() => self.answered(now, frame),
            (Channel::Control, _) => self.greeted(now, &frame),
            _ => Err(Error::Invalid { field: "a control frame on a lane" }),
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn send(&mut self, frame: Bytes) {
        self.outputs.push_back(Output::Send(Channel::Control, frame));
    }

    /// Whether commands reach a broker at the moment.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase.is_live()
    }

    /// Where the session stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Why the client is closed, once it is.
    #[must_use]
    pub fn closed(&self) -> Option<&Failure> {
        match &self.phase {
            Phase::Closed(failure) => Some(failure),
            _ => None,
        }
    }

    /// The random id under which this client's publishes are told apart from repeats.
    #[must_use]
    pub fn producer(&self) -> u64 {
        self.producer
    }

    /// Publishes that wait for their ack.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.publishes.pending()
    }

    /// What has been counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Publishes a message that is kept, and sent again after a loss, until it is acked. Answers
    /// its sequence, which [`Event::Published`] and [`Event::PublishRefused`] name.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn publish(&mut self, publish: Publish) -> Result<u64, NotTaken> {
        if matches!(self.phase, Phase::Closed(_)) {
            return Err(NotTaken::Closed);
        }
        self.publishes.push(publish, self.payload_bytes_max, self.phase.is_live())
    }

    /// Publishes a message that wants no ack and is sent at most once. A refusal is still told.
    ///
    /// # Errors
    /// See [`NotTaken`].
    pub fn publish_unacked(&mut self, publish: &Publish) -> Result<u64, NotTaken> {
        match self.phase {
            Phase::Closed(_) => Err(NotTaken::Closed),
            Phase::Live { .. } | Phase::Draining { .. } => {
                self.publishes.send(publish, self.payload_bytes_max)
            }
            _ => Err(NotTaken::NotLive),
        }
    }
}
