//! A message on its way out.

use bytes::{Bytes, BytesMut};
use protocol::attribute::{HEADERS_MAX, Tag, put, put_header, put_number};
use protocol::limits::{
    CONTENT_TYPE_BYTES_MAX, EVENT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, KEY_BYTES_MAX, NUMBER_MAX,
};
use protocol::{AckLevel, Topic};

use crate::Error;

/// A message to publish: a topic, a payload, and what goes with them.
///
/// The optional fields are encoded as they are set; a field that is not valid is reported by the
/// publish call, so that building needs no error handling. Set each field once.
#[derive(Clone, Debug)]
pub struct Message {
    pub(crate) topic: Topic,
    pub(crate) payload: Bytes,
    pub(crate) attributes: BytesMut,
    pub(crate) level: Option<AckLevel>,
    invalid: Option<&'static str>,
    headers: usize,
}

impl Message {
    /// A message for `topic`. The payload is shared, not copied, where it already is `Bytes`.
    #[must_use]
    pub fn new(topic: Topic, payload: impl Into<Bytes>) -> Self {
        Message {
            topic,
            payload: payload.into(),
            attributes: BytesMut::new(),
            level: None,
            invalid: None,
            headers: 0,
        }
    }

    /// Sets the event name, at most 128 bytes.
    #[must_use]
    pub fn event(self, name: &str) -> Self {
        self.text(Tag::Event, "the event name", name, EVENT_BYTES_MAX)
    }

    /// Sets the key by which `latest` topics conflate and groups keep order, at most 255 bytes.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        self.text(Tag::Key, "the key", key, KEY_BYTES_MAX)
    }

    /// Sets the content type, at most 128 bytes.
    #[must_use]
    pub fn content_type(self, content_type: &str) -> Self {
        self.text(Tag::ContentType, "the content type", content_type, CONTENT_TYPE_BYTES_MAX)
    }

    /// Sets the content encoding, such as `gzip`; the payload must be encoded already.
    #[must_use]
    pub fn content_encoding(self, encoding: &str) -> Self {
        self.text(Tag::ContentEncoding, "the content encoding", encoding, CONTENT_TYPE_BYTES_MAX)
    }

    /// Sets the key under which the publish takes effect once, at most 128 bytes.
    #[must_use]
    pub fn idempotency_key(self, key: &str) -> Self {
        let max = IDEMPOTENCY_KEY_BYTES_MAX;
        self.text(Tag::IdempotencyKey, "the idempotency key", key, max)
    }

    /// Sets the version of a `latest` value, below 2^53. A publish whose version is not above the
    /// kept one is acked as stale and not delivered.
    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        if version > NUMBER_MAX {
            self.invalid = Some("the version");
        } else {
            put_number(&mut self.attributes, Tag::Version, version);
        }
        self
    }

    /// Adds a header of the application; at most 16, names of 1 to 255 bytes.
    #[must_use]
    pub fn header(mut self, name: &str, value: &[u8]) -> Self {
        self.headers += 1;
        let bad = self.headers > HEADERS_MAX || value.len() > usize::from(u16::MAX) - 256;
        if bad || put_header(&mut self.attributes, name, value).is_err() {
            self.invalid = Some("a header");
        }
        self
    }

    /// Asks for an ack of this level instead of the topic's default.
    #[must_use]
    pub fn ack(self, level: AckLevel) -> Self {
        Message { level: Some(level), ..self }
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    fn text(mut self, tag: Tag, what: &'static str, text: &str, max: usize) -> Self {
        if text.len() > max || text.chars().any(char::is_control) {
            self.invalid = Some(what);
        } else {
            put(&mut self.attributes, tag, text.as_bytes());
        }
        self
    }

    /// Whether all that was set is valid, as a publish asks.
    ///
    /// # Errors
    /// `Invalid`, with what is not.
    pub fn check(&self) -> Result<(), Error> {
        match self.invalid {
            Some(what) => Err(Error::Invalid(format!("{what} is too long or not valid"))),
            None => Ok(()),
        }
    }

    /// What the session is given, if every field is valid.
    pub(crate) fn checked(self) -> Result<protocol::session::client::Publish, Error> {
        self.check()?;
        Ok(protocol::session::client::Publish {
            topic: self.topic,
            attributes: self.attributes.freeze(),
            payload: self.payload,
            level: self.level,
        })
    }
}

/// What the broker has done with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Epoch of the offset.
    pub epoch: u64,
    /// The message's offset in its topic.
    pub offset: u64,
    /// Whether the message had been published before; the offset is that of the first time.
    pub duplicate: bool,
    /// Whether the version was not above the kept one, so that nothing was delivered.
    pub stale: bool,
    /// What has happened to the message; never more than is true.
    pub level: AckLevel,
}
