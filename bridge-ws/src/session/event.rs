//! What the broker says to a session, decoded.

use std::sync::Arc;

use sampan_protocol::control::{self, Gap, GoAway, MembersChanged, Subscribed, Welcome};
use sampan_protocol::frame::flag;
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::{AckLevel, Code, Frame, FrameReader, Kind, Topic};

use super::broken;
use crate::failure::Failure;

/// Settlements that one answer may mean.
const SETTLED_MAX: u64 = 65_536;

/// A topic as TOPIC names it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) epoch: u64,
}

/// What the broker says.
#[derive(Debug)]
pub(crate) enum Event {
    /// The session is live.
    Live(Box<Welcome>),
    /// The answer to a numbered request, or the refusal of a publish; 0 if it had no number.
    Answered { number: u64, answer: Answer },
    /// Publishes have reached a level.
    Published(Ack),
    /// A message.
    Delivered { topic: Arc<Named>, frame: Frame },
    /// A message of a group, for one of this session's consumers.
    Job(Job),
    /// Settlements are stored: the number of the first and of the last of a run.
    Settled { first: u64, last: u64, late: bool },
    /// Offsets that will not come.
    Gap { topic: Arc<Named>, gap: Gap },
    /// A change in a watched topic's presence.
    Changed(MembersChanged),
    /// The token expires soon.
    Expiring { expires_ms: u64 },
    /// The broker drains.
    Draining(GoAway),
    /// The session has ended; nothing follows.
    Closed(Failure),
}

/// One or more publishes that were acknowledged together.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// Number of the publish and its offset.
    pub(crate) acks: Vec<(u64, u64)>,
    pub(crate) epoch: u64,
    pub(crate) level: AckLevel,
    pub(crate) duplicate: bool,
    pub(crate) stale: bool,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) enum Answer {
    Done,
    Subscribed(Subscribed),
    Page(Page),
    /// A responder's REPLY: attributes, payload as body.
    Replied(Frame),
    Members(control::Members),
    Refreshed {
        expires_ms: u64,
    },
    Refused(Failure),
}

impl Answer {
    /// What a REPLY means.
    pub(super) fn replied(frame: Frame) -> Result<Answer, Failure> {
        let attributes = frame.attributes()?;
        let Some(code) = attributes.code else { return Ok(Answer::Replied(frame)) };
        let code = Code(u16::try_from(code).map_err(|_| broken("a code out of range"))?);
        Ok(Answer::Refused(Failure::new(code, attributes.reason.unwrap_or(code.text()))))
    }
}

/// A message of a group.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) topic: Arc<Named>,
    /// Number of the consumer that it is for.
    pub(crate) consumer: u64,
    /// How often it has been handed out, this time included.
    pub(crate) attempt: u64,
    pub(crate) epoch: u64,
    /// Header, attributes and payload as of a DELIVER.
    pub(crate) frame: Frame,
}

impl Job {
    pub(super) fn decode(topic: Arc<Named>, frame: Frame) -> Result<Self, Failure> {
        let attributes = frame.attributes()?;
        let (Some(consumer), Some(attempt), Some(epoch)) =
            (attributes.consumer, attributes.attempt, attributes.epoch)
        else {
            return Err(broken("a job without consumer, attempt or epoch"));
        };
        Ok(Job { topic, consumer, attempt, epoch, frame })
    }
}

impl Event {
    /// What a SETTLED means.
    pub(super) fn settled(frame: &Frame) -> Result<Event, Failure> {
        let last = frame.header.number;
        let count = frame.attributes()?.count.unwrap_or(1);
        let first = last.checked_sub(count).map(|before| before + 1);
        let first = first.filter(|_| (1..=SETTLED_MAX).contains(&count));
        let first = first.ok_or_else(|| broken("an answer to settlements that nobody sent"))?;
        let late = frame.header.flags & flag::LATE != 0;
        Ok(Event::Settled { first, last, late })
    }
}

/// One page of history.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) topic: Named,
    /// First offset still kept.
    pub(crate) floor: u64,
    /// Offset that the next message will get.
    pub(crate) next: u64,
    /// DELIVER frames by rising offset.
    pub(crate) messages: Vec<Frame>,
}

impl Page {
    pub(super) fn decode(topic: Topic, frame: &Frame) -> Result<Self, Failure> {
        let attributes = frame.attributes()?;
        let (Some(epoch), Some(floor), Some(next)) =
            (attributes.epoch, attributes.floor, attributes.next)
        else {
            return Err(broken("a page without epoch, floor or next"));
        };
        let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
        reader.push(frame.body());
        let mut messages = Vec::new();
        while let Some(message) = reader.next_frame()? {
            if message.header.kind != Kind::Deliver {
                return Err(broken("a page of something else than messages"));
            }
            messages.push(message);
        }
        let topic = Named { id: frame.header.topic_id, name: topic.as_str().to_owned(), epoch };
        Ok(Page { topic, floor, next, messages })
    }
}
