//! What shards tell each other. Between two shards messages keep their order, which is what joins
//! history and live: a reply that says "live from N" is followed by every delivery from N on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::control::{self, PresenceAct};
use sampan_protocol::session::server;
use sampan_protocol::{AckLevel, Code, Frame, Pattern, Position, Topic};

use crate::directory::Entry;
use crate::grant::Role;
use crate::group::{Consumer, Extent};
use crate::journal::{Chunk, Run, Start};
use crate::outbox::Compact;
use crate::session::SessionKey;

/// A session anywhere in the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The shard where the session lives.
    pub shard: u8,
    /// The session there.
    pub session: SessionKey,
}

/// A feed of a session: where pages of a catch-up go. With `SessionKey::GROUP` it is a group of the
/// shard: `feed` names the group, `nonce` the asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedRef {
    /// The session.
    pub origin: Origin,
    /// The feed's index in its session.
    pub feed: u32,
    /// Distinguishes feeds that use the same index one after the other.
    pub nonce: u32,
}

/// Offsets that are not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Epoch of the offsets.
    pub epoch: u64,
    /// First missing offset.
    pub from: u64,
    /// Last missing offset.
    pub to: u64,
    /// Why.
    pub reason: control::GapReason,
}

/// Publishes of one session that are acknowledged together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckRun {
    /// Sequence of the last one.
    pub sequence: u64,
    /// Offset of the last one.
    pub offset: u64,
    /// How many consecutive sequences and offsets, 1 or more.
    pub count: u64,
    /// What has happened to them.
    pub level: AckLevel,
    /// DUPLICATE or STALE, only when `count` is 1.
    pub flags: u8,
}

/// From where a topic is delivered to a joining session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinPoint {
    /// The topic's epoch.
    pub epoch: u64,
    /// Offset that the next live delivery will have.
    pub next: u64,
    /// Where catch-up starts; `None` joins at `next`.
    pub from: Option<Start>,
    /// What the resume position lost: the rest of its epoch if that has ended, and of the current
    /// one what the topic's class does not keep.
    pub holes: Vec<Hole>,
}

/// A message between shards.
#[allow(missing_docs, reason = "the variant says what the message asks; its fields are its words")]
#[derive(Debug)]
pub enum Message {
    /// Order this publish. To the topic's owner.
    Publish { origin: Origin, entry: Arc<Entry>, producer: u64, frame: Frame },
    /// These publishes are done.
    Published { session: SessionKey, topic_id: u64, epoch: u64, run: AckRun },
    /// This publish was refused.
    PublishRefused { session: SessionKey, sequence: u64, topic_id: u64, code: Code, retry_ms: u32 },
    /// New messages for the subscribers of one topic.
    Deliver { entry: Arc<Entry>, epoch: u64, run: Arc<Run>, hole: Option<Hole> },
    /// A session subscribes to one topic. To its owner.
    Join { origin: Origin, number: u64, entry: Arc<Entry>, start: JoinStart },
    /// The answer: the session is fed from here on.
    Joined { session: SessionKey, number: u64, entry: Arc<Entry>, point: JoinPoint },
    /// The answer: the topic cannot be served at the moment.
    JoinRefused { session: SessionKey, number: u64, topic_id: u64, code: Code, wait: Duration },
    /// No session of this shard wants the topic by name any more. To its owner.
    Leave { shard: u8, topic_id: u64 },
    /// A session subscribes to a pattern. To every shard.
    Watch { origin: Origin, number: u64, pattern: Pattern, start: WatchStart },
    /// The answer of one owner: its matching topics with something to replay.
    Watched {
        session: SessionKey,
        number: u64,
        owner: u8,
        topics: Vec<(Arc<Entry>, JoinPoint)>,
        overflow: bool,
    },
    /// One subscription of this shard to the pattern has ended. To every shard.
    Unwatch { shard: u8, pattern: Pattern },
    /// Send a page to this feed. To the topic's owner.
    Page { to: FeedRef, topic_id: u64, epoch: u64, from: Start, max_bytes: usize },
    /// The page: runs, each with the hole before it, then the hole at the end.
    Paged {
        to: FeedRef,
        entry: Arc<Entry>,
        epoch: u64,
        runs: Vec<(Option<Hole>, Arc<Run>)>,
        hole: Option<Hole>,
        next: u64,
        caught_up: bool,
    },
    /// The page could not be read; it may be asked for again later.
    PageFailed { to: FeedRef, from: Start },
    /// Send one page of history. To the topic's owner.
    History { origin: Origin, number: u64, entry: Arc<Entry>, from: Start, limit: u32 },
    /// A frame for the session's control stream.
    Control { session: SessionKey, frame: Bytes },
    /// The same frame for the control streams of several sessions.
    Spread { sessions: Vec<SessionKey>, frame: Bytes },
    /// Presence of one topic. To its owner.
    Presence {
        origin: Origin,
        number: u64,
        entry: Arc<Entry>,
        act: PresenceAct,
        after: String,
        user: Arc<str>,
        role: Role,
    },
    /// The session has ended, with what it held in the presence of this topic. To its owner.
    PresenceEnded { origin: Origin, topic_id: u64 },
    /// A session offers to answer. To every shard.
    Serve { origin: Origin, number: u64, pattern: Pattern, authorizer: bool },
    /// One shard knows of the offer.
    Served { session: SessionKey, number: u64 },
    /// The offer ends. To every shard.
    Withdraw { origin: Origin, number: u64, pattern: Pattern, authorizer: bool },
    /// A request or question for a responder's control stream.
    Call { responder: SessionKey, call: u64, from: u8, frame: Bytes },
    /// The responder's answer. To the shard of the call.
    Reply { responder: Origin, frame: Frame },
    /// The authorizer's answer. To the shard of the call.
    Answer { responder: Origin, number: u64, answer: control::Answer },
    /// The responder is not there any more. To the shard of the call, or to every shard.
    ResponderGone { responder: Origin },
    /// A session takes part in a group. To the group's shard.
    Consume { origin: Origin, user: Arc<str>, consume: Box<server::Consume> },
    /// There is no such consumer, or no longer. To its shard.
    ConsumerEnded { session: SessionKey, number: u64, code: Code, wait: Duration },
    /// A consumer wants jobs once. To the group's shard.
    Pull { consumer: Consumer, group: Topic, count: u64 },
    /// A consumer says what became of jobs. To the group's shard.
    Settle { origin: Origin, group: Topic, settle: Box<server::Settle> },
    /// A consumer leaves: by LEAVE, or with its session, of which `lost` says whether it went without
    /// a word. To the group's shard.
    LeaveGroup { consumer: Consumer, group: Topic, lost: Option<bool> },
    /// Encoded jobs of one topic for one session.
    Jobs { session: SessionKey, entry: Arc<Entry>, chunks: Vec<Chunk>, count: u64 },
    /// A group of that shard reads these topics. To every shard.
    Follow { shard: u8, group: u32, pattern: Pattern },
    /// The answer of one owner: its durable topics that match.
    Followed { group: u32, owner: u8, topics: Vec<(Arc<Entry>, Extent)> },
    /// A group of that shard reads these topics no longer. To every shard.
    Unfollow { shard: u8, pattern: Pattern },
    /// New messages for the groups of a shard.
    Fresh { entry: Arc<Entry>, epoch: u64, floor: u64, run: Arc<Run> },
    /// A group needs what is at or above the offset. To the topic's owner.
    Pin { topic_id: u64, name: Arc<str>, offset: Option<u64> },
}

/// Where a single-topic subscription starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinStart {
    /// With the next message.
    Now,
    /// With kept messages.
    From(Start),
    /// After this position.
    After(Position),
}

/// Where a pattern subscription starts, topic by topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchStart {
    /// With the next messages.
    Now,
    /// With kept messages.
    From(Start),
    /// After these positions (in name order), or at the join time for topics without one.
    Resume {
        /// The join time, Unix milliseconds; 0 means now.
        joined_ms: u64,
        /// Last message seen, by topic name.
        positions: Arc<[(Arc<str>, Position)]>,
    },
}

impl Hole {
    /// The GAP frame that tells of the hole.
    pub(crate) fn frame(&self, topic_id: u64) -> Bytes {
        let topic = Compact { topic_id, epoch: self.epoch };
        crate::outbox::gap(topic, self.from, self.to, self.reason)
    }
}
