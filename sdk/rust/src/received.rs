//! A message that has arrived, and what a subscription yields.

use bytes::Bytes;
use protocol::attribute::{Attributes, Tag, raw};
use protocol::control::GapReason;
use protocol::session::client;
use protocol::{Position, Topic};

/// What a subscription yields.
#[derive(Clone, Debug)]
pub enum Delivery {
    /// A message.
    Message(Received),
    /// Offsets that will not be delivered.
    Gap(Gap),
}

/// A message as it came from the broker. Cloning shares the bytes.
///
/// Optional fields are looked up in the received bytes when they are asked for, so that a reader
/// pays only for what it reads.
#[derive(Clone, Debug)]
pub struct Received(pub(crate) client::Message);

impl Received {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.0.topic
    }

    /// Epoch of the offset.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// The message's offset in its topic, 1 or more.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.0.frame.header.number
    }

    /// Epoch and offset.
    #[must_use]
    pub fn position(&self) -> Position {
        Position { epoch: self.epoch(), offset: self.offset() }
    }

    /// When the broker took the message, Unix milliseconds.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.0.frame.header.time_ms
    }

    /// The payload, sharing the received bytes. A small payload that is kept for long holds the
    /// whole chunk it came in; copy it then.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.0.frame.body()
    }

    /// The payload as a slice.
    #[must_use]
    pub fn payload_bytes(&self) -> &[u8] {
        self.0.frame.body_bytes()
    }

    /// The event name.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        text(self.0.frame.attribute_bytes(), Tag::Event)
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        text(self.0.frame.attribute_bytes(), Tag::Key)
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        text(self.0.frame.attribute_bytes(), Tag::ContentType)
    }

    /// The content encoding, such as `gzip`.
    #[must_use]
    pub fn content_encoding(&self) -> Option<&str> {
        text(self.0.frame.attribute_bytes(), Tag::ContentEncoding)
    }

    /// The version of a `latest` value.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        let value = find(self.0.frame.attribute_bytes(), Tag::Version)?;
        Some(u64::from_le_bytes(value.try_into().ok()?))
    }

    /// The application's headers, in order; none if the attributes are broken.
    #[must_use]
    pub fn headers(&self) -> Vec<(&str, &[u8])> {
        let attributes = Attributes::parse(self.0.frame.attribute_bytes());
        attributes.map(|attributes| attributes.headers).unwrap_or_default()
    }
}

/// Offsets of a topic that will not be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The topic.
    pub topic: Topic,
    /// Epoch of the offsets.
    pub epoch: u64,
    /// First missing offset.
    pub from: u64,
    /// Last missing offset; 2^53 - 1 when the end of a lost epoch is not known.
    pub to: u64,
    /// Why they are missing.
    pub reason: GapReason,
}

impl Gap {
    /// Whether messages are missing that this reader should have had.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        self.reason.is_loss()
    }
}

/// The value of the first attribute with this tag.
pub(crate) fn find(attributes: &[u8], tag: Tag) -> Option<&[u8]> {
    let mut found = raw(attributes).map_while(Result::ok).filter(|(t, _)| *t == tag as u8);
    found.next().map(|(_, value)| value)
}

/// The text of the first attribute with this tag, if it is text.
pub(crate) fn text(attributes: &[u8], tag: Tag) -> Option<&str> {
    find(attributes, tag).and_then(|value| std::str::from_utf8(value).ok())
}
