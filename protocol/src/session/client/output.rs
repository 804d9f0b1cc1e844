//! What the client session tells its shell: bytes to send, connections to make, and events for the
//! application.

use std::time::Duration;

use bytes::Bytes;

use crate::class::AckLevel;
use crate::code::Code;
use crate::control::{self, GapReason, TopicPosition};
use crate::frame::Frame;
use crate::topic::{Pattern, Topic};

/// Which of a connection's streams a frame came by or goes by.
///
/// An in-process link has one stream each way: what it brings is `Control`, and both sorts of
/// output go into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The bidirectional control stream.
    Control,
    /// The client's publish stream; output only.
    Publish,
    /// One of the broker's delivery lanes; input only.
    Lane,
    /// A datagram; input only.
    Datagram,
}

/// What the shell must do, in the order given.
#[derive(Clone, Debug)]
pub enum Output {
    /// Make a transport connection and name it by this number in every later input about it.
    Connect {
        /// Number of the connection, rising from 1.
        connection: u32,
    },
    /// Get an access token and give it to `Client::token`, or say `Client::no_token`.
    NeedToken,
    /// Send these whole frames.
    Send(Channel, Bytes),
    /// Tell the application.
    Event(Event),
    /// Send what was given before, then close this connection and report nothing more about it.
    Close {
        /// The connection.
        connection: u32,
        /// Why.
        code: Code,
        /// One sentence for a person.
        reason: String,
    },
}

/// What the application is told. Numbers are those that the commands returned.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A session is live; queued commands and unacknowledged publishes are on their way.
    Live(Box<Live>),
    /// The broker drains; the session goes on until a new connection replaces it.
    Draining {
        /// When the new connection will be made.
        renew_in: Duration,
    },
    /// There is no session; the next attempt follows by itself.
    Waiting {
        /// When.
        retry_in: Duration,
        /// What ended the last attempt or session.
        cause: Failure,
    },
    /// The client is closed for good; nothing follows. All that was open has failed.
    Closed(Failure),
    /// The token expires soon and no fresh one can be had from the token source.
    Expiring {
        /// When the session will be closed, Unix milliseconds.
        expires_ms: u64,
    },
    /// A standing registration was confirmed for the first time.
    Ready {
        /// The subscription, offer, watch or entry.
        number: u64,
        /// The join point of a subscription.
        joined: Option<Joined>,
    },
    /// A standing registration was refused and has ended.
    Ended {
        /// The subscription, offer, watch or entry.
        number: u64,
        /// Why.
        failure: Failure,
    },
    /// A message for a subscription.
    Message {
        /// The subscription.
        subscription: u64,
        /// The message.
        message: Message,
    },
    /// A job for a consumer.
    Job(Job),
    /// The broker takes back every job that a consumer holds: the connection that brought them is
    /// lost or about to end. What has not been begun is to be forgotten.
    JobsLost {
        /// The consumer.
        consumer: u64,
    },
    /// Offsets that a subscription will not get.
    Gap {
        /// The subscription.
        subscription: u64,
        /// The topic.
        topic: Topic,
        /// Epoch of the offsets.
        epoch: u64,
        /// First missing offset.
        from: u64,
        /// Last missing offset; 2^53 - 1 when the end of a lost epoch is not known.
        to: u64,
        /// Why.
        reason: GapReason,
    },
    /// A run of publishes was acknowledged.
    Published(Run),
    /// A publish was refused.
    PublishRefused {
        /// Its sequence.
        sequence: u64,
        /// Why.
        failure: Failure,
    },
    /// A request of any sort, or a settlement, was answered or failed.
    Answered {
        /// The request or settlement.
        number: u64,
        /// The answer.
        result: Result<Answer, Failure>,
    },
    /// A request to answer with `Client::reply`.
    Call(Box<Call>),
    /// An authorization question to answer with `Client::answer`.
    Question(Box<Question>),
    /// All members of a watched topic; replaces what was known.
    Members {
        /// The watch.
        watch: u64,
        /// The members.
        members: control::Members,
    },
    /// A change that follows the last one without a hole.
    MembersChanged {
        /// The watch.
        watch: u64,
        /// The change.
        change: control::MembersChanged,
    },
}

/// What WELCOME said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Live {
    /// User that the token names.
    pub user: String,
    /// Role that the token gives.
    pub role: String,
    /// Session id.
    pub session: u64,
    /// Broker process id.
    pub boot: u64,
    /// When the token expires, Unix milliseconds.
    pub expires_ms: u64,
    /// The broker's clock, Unix milliseconds.
    pub now_ms: u64,
    /// Largest payload, bytes.
    pub payload_bytes_max: u32,
    /// Whether this is not the client's first live session.
    pub resumed: bool,
}

/// Where a confirmed subscription starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The broker's clock at the join, Unix milliseconds.
    pub joined_ms: u64,
    /// For a single topic, its position at the join.
    pub position: Option<TopicPosition>,
}

/// A delivered message. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: Topic,
    /// Epoch of the frame's offset.
    pub epoch: u64,
    /// The DELIVER or JOB frame: offset and time in its header, attributes, payload as body.
    pub frame: Frame,
}

/// A message that a group has handed to one of this client's consumers. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Name to settle it by.
    pub id: JobId,
    /// How often the group has handed the message out, this time included.
    pub attempt: u64,
    /// The message; its frame is the JOB.
    pub message: Message,
}

/// A job's name, for `Client::settle`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobId {
    /// The consumer that it came to.
    pub consumer: u64,
    /// The connection and the broker process that it came from.
    pub(super) connection: u32,
    pub(super) boot: u64,
    pub(super) topic: Topic,
    pub(super) topic_id: u64,
    pub(super) epoch: u64,
    pub(super) offset: u64,
    pub(super) attempt: u64,
}

/// Consecutive publishes of one topic that were acknowledged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Sequence of the first publish.
    pub first: u64,
    /// How many publishes, 1 or more. Sequences and offsets rise by one.
    pub count: u64,
    /// Epoch of the offsets.
    pub epoch: u64,
    /// Offset of the first publish.
    pub offset: u64,
    /// What has happened to them.
    pub level: AckLevel,
    /// Whether the message had been published before.
    pub duplicate: bool,
    /// Whether the version was not above the kept one, so that nothing was delivered.
    pub stale: bool,
}

/// A successful answer.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It is done.
    Done,
    /// The responder's REPLY: attributes, payload as body.
    Reply(Frame),
    /// A page of history.
    Page(Page),
    /// What became of a job is stored.
    Settled {
        /// The consumer no longer held the job when it was settled, or not all of a run.
        late: bool,
    },
    /// Members of a topic at the moment.
    Members(control::Members),
    /// The fresh token was accepted.
    Refreshed {
        /// When it expires, Unix milliseconds.
        expires_ms: u64,
    },
}

/// One page of history.
#[derive(Clone, Debug)]
pub struct Page {
    /// Epoch of the offsets.
    pub epoch: u64,
    /// First offset still kept.
    pub floor: u64,
    /// Offset to continue from.
    pub next: u64,
    /// The messages, by rising offset.
    pub messages: Vec<Message>,
}

/// A call's name, valid on the connection that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CallId {
    pub(super) connection: u32,
    pub(super) number: u64,
}

/// A request that this client's offer should answer.
#[derive(Clone, Debug)]
pub struct Call {
    /// Name for the reply.
    pub id: CallId,
    /// The offer it came by.
    pub offer: u64,
    /// The topic asked on.
    pub topic: Topic,
    /// User who asks; empty if the broker does not say.
    pub user: String,
    /// Role of that user.
    pub role: String,
    /// How long the asker waits, if it is told.
    pub timeout: Option<Duration>,
    /// The REQUEST frame: attributes, payload as body.
    pub frame: Frame,
}

/// Whether a user may act on a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Name for the answer.
    pub id: CallId,
    /// The offer it came by.
    pub offer: u64,
    /// User who wants to act.
    pub user: String,
    /// Role of that user.
    pub role: String,
    /// What the user wants to do.
    pub action: control::Action,
    /// Topic or pattern acted on.
    pub topic: Pattern,
}

/// Who or what made a call fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The broker or a responder refused; the code is theirs.
    Refused,
    /// The connection was lost.
    Lost,
    /// No answer came in time.
    Deadline,
    /// The client is closed.
    Closed,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Who or what.
    pub cause: Cause,
    /// The code that goes with it.
    pub code: Code,
    /// When the same may be tried again, milliseconds; 0 if that is not known.
    pub retry_after_ms: u32,
    /// One sentence for a person.
    pub reason: String,
    /// Whether it may have had its effect all the same.
    pub may_have_happened: bool,
}

impl Failure {
    /// A refusal by the other end. STORAGE, DEADLINE and RESPONDER_LOST leave open whether the
    /// effect came about.
    pub(super) fn refused(code: Code, retry_after_ms: u32, reason: String) -> Self {
        let may_have_happened =
            matches!(code, Code::STORAGE | Code::DEADLINE | Code::RESPONDER_LOST);
        Failure { cause: Cause::Refused, code, retry_after_ms, reason, may_have_happened }
    }
}
