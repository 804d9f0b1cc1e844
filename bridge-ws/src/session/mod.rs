//! The client's end of one session, spoken for a peer that knows no frames.
//!
//! No I/O and no clock: commands become frames, chunks of frames become [`Event`]s. What is kept is
//! what the frames leave unsaid: the names of topic ids, and which publish an ack means. Requests
//! are numbered by the peer, so that nothing is kept for them. Reconnects are the peer's own.

mod event;
mod groups;
mod publishes;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Body};
use sampan_protocol::frame::{Header, flag};
use sampan_protocol::limits::{NUMBER_MAX, PAYLOAD_BYTES_MAX};
use sampan_protocol::{AckLevel, Code, Error, Frame, FrameReader, Kind, Topic, VERSION};

use self::event::Job;
use self::publishes::Publishes;
use crate::failure::Failure;

pub(crate) use self::event::{Ack, Answer, Event, Named, Page};
pub(crate) use self::groups::{Act, Settle};

/// Topics whose names one session knows. A session that meets more is closed.
const TOPICS_MAX: usize = 65_536;
/// Pages of history that one session waits for.
const PAGES_MAX: usize = 16;

/// The client's end of one session.
#[derive(Debug)]
pub(crate) struct Session {
    topics: HashMap<u64, Arc<Named>>,
    publishes: Publishes,
    /// What the broker has sent and nobody has read.
    unread: FrameReader,
    /// Topics of the pages that were asked for, by request.
    pages: BTreeMap<u64, Topic>,
}

/// A message to publish; texts are not yet checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Publish<'a> {
    pub(crate) topic: &'a str,
    pub(crate) event: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) content_encoding: Option<&'a str>,
    pub(crate) headers: Vec<(&'a str, Cow<'a, [u8]>)>,
    pub(crate) idempotency_key: Option<&'a str>,
    pub(crate) version: Option<u64>,
    pub(crate) level: Option<AckLevel>,
    pub(crate) no_ack: bool,
    pub(crate) payload: &'a [u8],
}

/// How long an answer may take if the peer does not say.
pub(crate) const TIMEOUT_MS: u64 = 10_000;
/// How long a peer may wait for an answer at most.
const TIMEOUT_MS_MAX: u64 = 60_000;

/// How long an answer may take, where the peer has perhaps said so.
pub(crate) fn timeout_ms(given: Option<u64>) -> u64 {
    given.unwrap_or(TIMEOUT_MS).clamp(1, TIMEOUT_MS_MAX)
}

/// A request to whoever serves a topic; texts are not yet checked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question<'a> {
    pub(crate) topic: &'a str,
    pub(crate) event: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) content_encoding: Option<&'a str>,
    pub(crate) timeout_ms: u64,
    pub(crate) payload: &'a [u8],
}

impl Session {
    /// A session, and the HELLO that opens it.
    ///
    /// # Errors
    /// When the token or the client's name cannot be one.
    pub(crate) fn open(producer: u64, client: &str, token: &str) -> Result<(Self, Bytes), Failure> {
        let hello = control::Hello {
            version: VERSION,
            features: 0,
            producer: producer.max(1),
            client: client.to_owned(),
            token: token.to_owned(),
        };
        let hello = control::encode(&hello, 0)?;
        let session = Session {
            topics: HashMap::new(),
            publishes: Publishes::default(),
            unread: FrameReader::new(PAYLOAD_BYTES_MAX),
            pages: BTreeMap::new(),
        };
        Ok((session, hello))
    }

    /// The frame of a numbered request with a body.
    pub(crate) fn request<B: Body>(&mut self, number: u64, body: &B) -> Result<Bytes, Failure> {
        check_number(number)?;
        Ok(control::encode(body, number)?)
    }

    /// The frame that asks for a page of history.
    pub(crate) fn history(
        &mut self,
        number: u64,
        body: &control::History,
    ) -> Result<Bytes, Failure> {
        let topic = Topic::parse(&body.topic).map_err(Error::from)?;
        if self.pages.len() >= PAGES_MAX {
            return Err(Failure::of(Code::TOO_MANY));
        }
        let frame = self.request(number, body)?;
        self.pages.insert(number, topic);
        Ok(frame)
    }

    /// The frame that ends a subscription.
    pub(crate) fn unsubscribe(&mut self, number: u64) -> Result<Bytes, Failure> {
        check_number(number)?;
        Ok(Header::new(Kind::Unsubscribe).number(number).bare())
    }

    /// The frame of a publish that is known by `number`; 0 for one that nobody waits for.
    pub(crate) fn publish(&mut self, number: u64, publish: &Publish<'_>) -> Result<Bytes, Failure> {
        if number > 0 {
            check_number(number)?;
        }
        Topic::parse(publish.topic).map_err(Error::from)?;
        let mut attributes = BytesMut::new();
        put_text(&mut attributes, Tag::Topic, Some(publish.topic));
        put_text(&mut attributes, Tag::Event, publish.event);
        put_text(&mut attributes, Tag::Key, publish.key);
        put_text(&mut attributes, Tag::ContentType, publish.content_type);
        put_text(&mut attributes, Tag::ContentEncoding, publish.content_encoding);
        put_text(&mut attributes, Tag::IdempotencyKey, publish.idempotency_key);
        if let Some(version) = publish.version {
            attribute::put_number(&mut attributes, Tag::Version, version);
        }
        for (name, value) in &publish.headers {
            attribute::put_header(&mut attributes, name, value)?;
        }
        check(&attributes, publish.payload)?;
        let level = publish.level.map_or(0, AckLevel::number);
        let flags = if publish.no_ack { level | flag::NO_ACK } else { level };
        let sequence = self.publishes.take(number, publish.no_ack)?;
        let header = Header { flags, ..Header::new(Kind::Publish).number(sequence) };
        Ok(header.to_frame(&attributes, publish.payload)?)
    }

    /// The frame of a request to whoever serves a topic.
    pub(crate) fn ask(&mut self, number: u64, ask: &Question<'_>) -> Result<Bytes, Failure> {
        check_number(number)?;
        Topic::parse(ask.topic).map_err(Error::from)?;
        let mut attributes = BytesMut::new();
        put_text(&mut attributes, Tag::Topic, Some(ask.topic));
        put_text(&mut attributes, Tag::Event, ask.event);
        put_text(&mut attributes, Tag::ContentType, ask.content_type);
        put_text(&mut attributes, Tag::ContentEncoding, ask.content_encoding);
        attribute::put_number(&mut attributes, Tag::Deadline, ask.timeout_ms);
        check(&attributes, ask.payload)?;
        let header = Header::new(Kind::Request).number(number);
        Ok(header.to_frame(&attributes, ask.payload)?)
    }

    /// What whole frames of the broker mean, in their order.
    ///
    /// # Errors
    /// When they make no sense, which is a fault of this program.
    pub(crate) fn read(&mut self, chunk: Bytes, events: &mut Vec<Event>) -> Result<(), Failure> {
        self.push(chunk);
        while let Some(event) = self.next_event()? {
            events.push(event);
        }
        Ok(())
    }

    /// Takes whole frames of the broker, for [`Session::next_event`].
    pub(crate) fn push(&mut self, chunk: Bytes) {
        self.unread.push(chunk);
    }

    /// The next thing that the frames mean.
    ///
    /// # Errors
    /// As [`Session::read`].
    pub(crate) fn next_event(&mut self) -> Result<Option<Event>, Failure> {
        while let Some(frame) = self.unread.next_frame()? {
            if let Some(event) = self.frame(frame)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn frame(&mut self, frame: Frame) -> Result<Option<Event>, Failure> {
        let number = frame.header.number;
        let answered = |answer| Some(Event::Answered { number, answer });
        Ok(match frame.header.kind {
            Kind::Deliver => {
                let topic = self.named(frame.header.topic_id)?;
                Some(Event::Delivered { topic, frame })
            }
            Kind::Topic => {
                self.learn(frame.header.topic_id, control::decode(&frame)?)?;
                None
            }
            Kind::Gap => {
                let topic = self.named(frame.header.topic_id)?;
                Some(Event::Gap { topic, gap: control::decode(&frame)? })
            }
            Kind::Published => return self.published(&frame),
            Kind::Job => {
                let topic = self.named(frame.header.topic_id)?;
                Some(Event::Job(Job::decode(topic, frame)?))
            }
            Kind::Settled => Some(Event::settled(&frame)?),
            Kind::PublishRefused => {
                let refused: control::PublishRefused = control::decode(&frame)?;
                let control::PublishRefused { code, retry_after_ms, reason } = refused;
                let failure = Failure { code: Code(code), retry_after_ms, reason };
                let number = self.publishes.settle(number).unwrap_or(0);
                Some(Event::Answered { number, answer: Answer::Refused(failure) })
            }
            Kind::Done => answered(Answer::Done),
            Kind::Refused => {
                self.pages.remove(&number);
                let control::Refused { code, retry_after_ms, reason } = control::decode(&frame)?;
                answered(Answer::Refused(Failure { code: Code(code), retry_after_ms, reason }))
            }
            Kind::Subscribed => answered(Answer::Subscribed(control::decode(&frame)?)),
            Kind::Page => {
                let topic = self.pages.remove(&number);
                let topic = topic.ok_or_else(|| broken("a page that nobody asked for"))?;
                answered(Answer::Page(Page::decode(topic, &frame)?))
            }
            Kind::Reply => answered(Answer::replied(frame)?),
            Kind::Members => answered(Answer::Members(control::decode(&frame)?)),
            Kind::Refreshed => {
                let control::Refreshed { expires_ms } = control::decode(&frame)?;
                answered(Answer::Refreshed { expires_ms })
            }
            Kind::MembersChanged => Some(Event::Changed(control::decode(&frame)?)),
            Kind::Welcome => Some(Event::Live(Box::new(control::decode(&frame)?))),
            Kind::Expiring => {
                let control::Expiring { expires_ms } = control::decode(&frame)?;
                Some(Event::Expiring { expires_ms })
            }
            Kind::GoAway => Some(Event::Draining(control::decode(&frame)?)),
            Kind::Close => {
                let control::Close { code, retry_after_ms, reason } = control::decode(&frame)?;
                Some(Event::Closed(Failure { code: Code(code), retry_after_ms, reason }))
            }
            // What only responders and authorizers are told, and the client's own kinds.
            _ => None,
        })
    }

    fn published(&mut self, frame: &Frame) -> Result<Option<Event>, Failure> {
        let attributes = frame.attributes()?;
        let level = AckLevel::from_number(frame.header.flags & flag::LEVEL_MASK);
        let (Some(level), Some(last), Some(epoch)) = (level, attributes.sequence, attributes.epoch)
        else {
            return Err(broken("an ack without level, sequence or epoch"));
        };
        let count = attributes.count.unwrap_or(1).max(1);
        let acks = (0..count).rev().filter_map(|back| {
            let number = self.publishes.settle(last.checked_sub(back)?)?;
            let offset = frame.header.number.checked_sub(back)?;
            Some((number, offset)).filter(|(number, _)| *number > 0)
        });
        let acks: Vec<(u64, u64)> = acks.collect();
        let ack = Ack {
            acks,
            epoch,
            level,
            duplicate: frame.header.flags & flag::DUPLICATE != 0,
            stale: frame.header.flags & flag::STALE != 0,
        };
        Ok((!ack.acks.is_empty()).then_some(Event::Published(ack)))
    }

    fn learn(&mut self, id: u64, topic: control::TopicName) -> Result<(), Failure> {
        if self.topics.len() >= TOPICS_MAX && !self.topics.contains_key(&id) {
            return Err(Failure::new(Code::TOO_MANY, "more topics than one connection may meet"));
        }
        let control::TopicName { name, epoch, .. } = topic;
        self.topics.insert(id, Arc::new(Named { id, name, epoch }));
        Ok(())
    }

    fn named(&self, id: u64) -> Result<Arc<Named>, Failure> {
        self.topics.get(&id).cloned().ok_or_else(|| broken("a delivery of an unknown topic"))
    }
}

fn broken(reason: &str) -> Failure {
    Failure::new(Code::PROTOCOL, reason)
}

/// Refuses what can be no client's number of a request.
pub(crate) fn check_number(number: u64) -> Result<(), Failure> {
    if (1..=NUMBER_MAX).contains(&number) {
        return Ok(());
    }
    Err(Failure::new(Code::BAD_FIELD, "an id is a whole number from 1 to 2^53 - 1"))
}

fn put_text(out: &mut BytesMut, tag: Tag, text: Option<&str>) {
    if let Some(text) = text {
        attribute::put(out, tag, text.as_bytes());
    }
}

/// Refuses what the broker would refuse, so that no sequence is spent on it.
fn check(attributes: &[u8], payload: &[u8]) -> Result<(), Failure> {
    attribute::Attributes::parse(attributes)?;
    if payload.len() > PAYLOAD_BYTES_MAX {
        let had = payload.len() as u64;
        return Err(Error::TooLarge { field: "payload", max: PAYLOAD_BYTES_MAX, had }.into());
    }
    Ok(())
}
