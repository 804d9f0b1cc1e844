//! What the broker says, as JSON: acks, history, presence, gaps, good-byes.

use std::sync::Arc;

use sampan_protocol::Code;
use sampan_protocol::control::{self, GapReason};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::cache::Cache;
use super::message::Message;
use crate::failure::Failure;
use crate::session::{Ack, Named, Page};

/// Bytes of a page in JSON, beyond which it ends early: little may become much when it is inflated.
const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What has happened to a publish.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Acked {
    /// The topic, where the answer does not follow from the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<String>,
    /// Epoch of the offset.
    pub(crate) epoch: u64,
    /// Offset of the message; of a stale one, that of the kept value.
    pub(crate) offset: u64,
    /// Whether the message had been published before; nothing is delivered again.
    pub(crate) duplicate: bool,
    /// The level that it has reached.
    pub(crate) ack: &'static str,
    /// Whether the version was not above the kept one; nothing is delivered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stale: bool,
}

impl Acked {
    /// What the ack says of the publish with this offset.
    pub(crate) fn new(topic: Option<&str>, ack: &Ack, offset: u64) -> Self {
        let Ack { epoch, level, duplicate, stale, .. } = *ack;
        let topic = topic.map(str::to_owned);
        Acked { topic, epoch, offset, duplicate, ack: level.name(), stale }
    }
}

/// A page of history.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct History<'a> {
    /// Topic name.
    topic: &'a str,
    /// Epoch of the offsets.
    epoch: u64,
    /// First offset still kept.
    floor: u64,
    /// Offset that the topic's next message will get.
    next: u64,
    /// Messages by rising offset; none at the end.
    #[schemars(with = "Vec<Message<'static>>")]
    messages: Vec<Object>,
}

impl<'a> History<'a> {
    /// The page, with messages as all connections share them.
    ///
    /// # Errors
    /// When a message makes no sense.
    pub(crate) fn new(page: &'a Page, cache: &Cache, inflates: bool) -> Result<Self, Failure> {
        let (mut messages, mut bytes) = (Vec::new(), 0);
        for frame in &page.messages {
            let object = cache.object_for(&page.topic, frame, inflates)?;
            bytes += object.get().len();
            if bytes > PAGE_BYTES_MAX && !messages.is_empty() {
                break;
            }
            messages.push(Object(object));
        }
        let Page { topic, floor, next, .. } = page;
        let (floor, next) = (*floor, *next);
        Ok(History { topic: &topic.name, epoch: topic.epoch, floor, next, messages })
    }
}

/// A message as all connections share it.
#[derive(Debug)]
struct Object(Arc<RawValue>);

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

/// Offsets that will not come.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Gone<'a> {
    /// Topic name.
    topic: &'a str,
    /// Epoch of the offsets.
    epoch: u64,
    /// First missing offset.
    from: u64,
    /// Last missing offset; 2^53 - 1 when the end of a lost epoch is not known.
    to: u64,
    /// Why.
    reason: &'static str,
    /// Whether messages are missing that this reader should have had.
    lost: bool,
}

impl<'a> Gone<'a> {
    pub(crate) fn new(topic: &'a Named, gap: &control::Gap) -> Self {
        let control::Gap { epoch, from, to, reason } = *gap;
        let reason = GapReason::from_number(reason);
        let lost = reason.is_none_or(GapReason::is_loss);
        let reason = reason.map_or("unknown", GapReason::name);
        Gone { topic: &topic.name, epoch, from, to, reason, lost }
    }
}

/// The broker drains.
#[derive(Debug, Serialize)]
pub(crate) struct Away<'a> {
    code: u16,
    name: &'static str,
    reason: &'a str,
    reconnect_within_ms: u32,
    close_after_ms: u32,
}

impl<'a> Away<'a> {
    pub(crate) fn new(away: &'a control::GoAway) -> Self {
        let control::GoAway { code, reconnect_within_ms, close_after_ms, ref reason } = *away;
        Away { code, name: Code(code).name(), reason, reconnect_within_ms, close_after_ms }
    }
}

/// Who is present on a topic.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Members<'a> {
    /// Topic name.
    topic: &'a str,
    /// Sequence of the last change that is included.
    sequence: u64,
    /// Users present.
    count: u32,
    /// The users; none are named if there are more than 256.
    members: Vec<Member<'a>>,
}

/// A user who is present.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Member<'a> {
    /// User id.
    user: &'a str,
    /// Role of the user.
    role: &'a str,
    /// Live sessions; 0 while the user's grace runs.
    sessions: u32,
    /// When the user came, Unix milliseconds.
    since_ms: u64,
}

impl<'a> Members<'a> {
    pub(crate) fn new(members: &'a control::Members) -> Self {
        let control::Members { topic, sequence, count, members } = members;
        let members = members.iter().map(Member::new).collect();
        Members { topic, sequence: *sequence, count: *count, members }
    }
}

impl<'a> Member<'a> {
    pub(crate) fn new(member: &'a control::Member) -> Self {
        let control::Member { user, role, sessions, since_ms } = member;
        Member { user, role, sessions: *sessions, since_ms: *since_ms }
    }
}
