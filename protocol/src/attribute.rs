//! Attributes: the optional, typed fields between a frame's header and its body.
//!
//! Each is tag (u8), length (u16 little-endian), value. The table is in `spec/wire.md`.

use bytes::{BufMut, BytesMut};

use crate::error::Error;
use crate::limits::{
    CONTENT_TYPE_BYTES_MAX, EVENT_BYTES_MAX, IDEMPOTENCY_KEY_BYTES_MAX, KEY_BYTES_MAX, NUMBER_MAX,
    REASON_BYTES_MAX, TOPIC_BYTES_MAX, USER_BYTES_MAX,
};

/// Attribute tags. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Tag {
    /// Topic name, when the header's topic id is 0 (text).
    Topic = 1,
    /// Event name (text).
    Event = 2,
    /// Conflation and group key (text).
    Key = 3,
    /// Content type of the payload (text).
    ContentType = 4,
    /// Content encoding of the payload, such as `gzip` (text).
    ContentEncoding = 5,
    /// Key under which a publish takes effect once (text).
    IdempotencyKey = 6,
    /// Producer whose sequence the publish carries, if not the session's own (number).
    Producer = 7,
    /// Version of a `latest` value (number).
    Version = 8,
    /// Publish sequence that a PUBLISHED answers, or a SETTLE's request (number).
    Sequence = 9,
    /// Milliseconds that the asker waits (number).
    Deadline = 10,
    /// A header of the application: name length (u8), name, value.
    Header = 11,
    /// Epoch of the topic (number).
    Epoch = 12,
    /// How many consecutive publishes, offsets or settles are meant, or jobs wanted (number).
    Count = 13,
    /// First offset still kept (number).
    Floor = 14,
    /// Offset that the topic's next message will get (number).
    Next = 15,
    /// User on whose behalf a REQUEST was made, stamped by the broker (text).
    User = 16,
    /// Role of that user, stamped by the broker (text).
    Role = 17,
    /// Code of a failed REPLY (number).
    Code = 18,
    /// One sentence that goes with a code or a settlement (text).
    Reason = 19,
    /// Consumer that a job is for (number).
    Consumer = 20,
    /// How often the group has handed out this message, this time included; in a SETTLE, which of
    /// those times is meant (number).
    Attempt = 21,
    /// Milliseconds after which a job may come again (number).
    Delay = 22,
}

/// Headers of the application that one frame may carry.
pub const HEADERS_MAX: usize = 16;

/// The decoded attributes of one frame, borrowed from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// Topic name.
    pub topic: Option<&'a str>,
    /// Event name.
    pub event: Option<&'a str>,
    /// Conflation and group key.
    pub key: Option<&'a str>,
    /// Content type of the payload.
    pub content_type: Option<&'a str>,
    /// Content encoding of the payload.
    pub content_encoding: Option<&'a str>,
    /// Idempotency key.
    pub idempotency_key: Option<&'a str>,
    /// Producer id.
    pub producer: Option<u64>,
    /// Version of a `latest` value.
    pub version: Option<u64>,
    /// Publish sequence that is answered, or a settle's request.
    pub sequence: Option<u64>,
    /// Milliseconds that the asker waits.
    pub deadline_ms: Option<u64>,
    /// Epoch of the topic.
    pub epoch: Option<u64>,
    /// Consecutive publishes, offsets or settles that are meant, or jobs that are wanted.
    pub count: Option<u64>,
    /// First offset still kept.
    pub floor: Option<u64>,
    /// Offset that the next message will get.
    pub next: Option<u64>,
    /// User behind a request.
    pub user: Option<&'a str>,
    /// Role of that user.
    pub role: Option<&'a str>,
    /// Code of a failed reply.
    pub code: Option<u64>,
    /// One sentence that goes with a code or a settlement.
    pub reason: Option<&'a str>,
    /// Consumer that a job is for.
    pub consumer: Option<u64>,
    /// How often the message has been handed out, or which of those times is meant.
    pub attempt: Option<u64>,
    /// Milliseconds after which a job may come again.
    pub delay_ms: Option<u64>,
    /// Application headers, in order.
    pub headers: Vec<(&'a str, &'a [u8])>,
}

impl<'a> Attributes<'a> {
    /// Decodes and checks all attributes. Unknown tags are skipped, so that later versions may add
    /// some; a tag that stands twice (other than a header) is refused.
    ///
    /// # Errors
    /// The first attribute that is truncated, over its limit, doubled or not valid.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut out = Attributes::default();
        for attribute in raw(bytes) {
            let (tag, value) = attribute?;
            match tag {
                1 => text(&mut out.topic, value, "topic", TOPIC_BYTES_MAX)?,
                2 => text(&mut out.event, value, "event", EVENT_BYTES_MAX)?,
                3 => text(&mut out.key, value, "key", KEY_BYTES_MAX)?,
                4 => text(&mut out.content_type, value, "content type", CONTENT_TYPE_BYTES_MAX)?,
                5 => {
                    let field = &mut out.content_encoding;
                    text(field, value, "content encoding", CONTENT_TYPE_BYTES_MAX)?;
                }
                6 => {
                    let field = &mut out.idempotency_key;
                    text(field, value, "idempotency key", IDEMPOTENCY_KEY_BYTES_MAX)?;
                }
                7 => id(&mut out.producer, value, "producer")?,
                8 => number(&mut out.version, value, "version")?,
                9 => number(&mut out.sequence, value, "sequence")?,
                10 => number(&mut out.deadline_ms, value, "deadline")?,
                11 => out.header(value)?,
                12 => number(&mut out.epoch, value, "epoch")?,
                13 => number(&mut out.count, value, "count")?,
                14 => number(&mut out.floor, value, "floor")?,
                15 => number(&mut out.next, value, "next")?,
                16 => text(&mut out.user, value, "user", USER_BYTES_MAX)?,
                17 => text(&mut out.role, value, "role", USER_BYTES_MAX)?,
                18 => number(&mut out.code, value, "code")?,
                19 => text(&mut out.reason, value, "reason", REASON_BYTES_MAX)?,
                20 => number(&mut out.consumer, value, "consumer")?,
                21 => number(&mut out.attempt, value, "attempt")?,
                22 => number(&mut out.delay_ms, value, "delay")?,
                _ => {}
            }
        }
        Ok(out)
    }

    fn header(&mut self, value: &'a [u8]) -> Result<(), Error> {
        let invalid = Error::Invalid { field: "header" };
        let (&length, rest) = value.split_first().ok_or(invalid.clone())?;
        let (name, value) = rest.split_at_checked(usize::from(length)).ok_or(invalid.clone())?;
        let name = std::str::from_utf8(name).map_err(|_| invalid.clone())?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(invalid);
        }
        if self.headers.len() == HEADERS_MAX {
            let had = HEADERS_MAX as u64 + 1;
            return Err(Error::TooLarge { field: "headers", max: HEADERS_MAX, had });
        }
        self.headers.push((name, value));
        Ok(())
    }
}

/// The tags and values in `bytes`, not interpreted.
pub fn raw(bytes: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), Error>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let taken = take(rest);
        rest = taken.as_ref().map_or(&[][..], |(_, _, rest)| rest);
        Some(taken.map(|(tag, value, _)| (tag, value)))
    })
}

fn take(bytes: &[u8]) -> Result<(u8, &[u8], &[u8]), Error> {
    let truncated = |needed| Error::Truncated { field: "attribute", needed, had: bytes.len() };
    let [tag, low, high, rest @ ..] = bytes else { return Err(truncated(3)) };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let (value, rest) = rest.split_at_checked(length).ok_or(truncated(3 + length))?;
    Ok((*tag, value, rest))
}

fn once<T>(slot: &mut Option<T>, value: T, field: &'static str) -> Result<(), Error> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Invalid { field }),
    }
}

fn text<'a>(
    slot: &mut Option<&'a str>,
    value: &'a [u8],
    field: &'static str,
    max: usize,
) -> Result<(), Error> {
    if value.len() > max {
        return Err(Error::TooLarge { field, max, had: value.len() as u64 });
    }
    let text = std::str::from_utf8(value).map_err(|_| Error::Invalid { field })?;
    if text.chars().any(char::is_control) {
        return Err(Error::Invalid { field });
    }
    once(slot, text, field)
}

fn id(slot: &mut Option<u64>, value: &[u8], field: &'static str) -> Result<(), Error> {
    let bytes = value.try_into().map_err(|_| Error::Invalid { field })?;
    once(slot, u64::from_le_bytes(bytes), field)
}

fn number(slot: &mut Option<u64>, value: &[u8], field: &'static str) -> Result<(), Error> {
    id(slot, value, field)?;
    match slot {
        Some(number) if *number > NUMBER_MAX => Err(Error::Invalid { field }),
        _ => Ok(()),
    }
}

/// Appends one attribute with a byte value. Values over 65,535 bytes are cut by the frame's own
/// limit check, which refuses the frame.
pub fn put(out: &mut BytesMut, tag: Tag, value: &[u8]) {
    put_raw(out, tag as u8, value);
}

/// Appends one attribute with a number value.
pub fn put_number(out: &mut BytesMut, tag: Tag, value: u64) {
    put(out, tag, &value.to_le_bytes());
}

/// Appends one application header.
///
/// # Errors
/// `Invalid` if the name is empty, longer than 255 bytes or holds a control character.
pub fn put_header(out: &mut BytesMut, name: &str, value: &[u8]) -> Result<(), Error> {
    let length = u8::try_from(name.len()).map_err(|_| Error::Invalid { field: "header" })?;
    if length == 0 || name.chars().any(char::is_control) {
        return Err(Error::Invalid { field: "header" });
    }
    let mut joined = Vec::with_capacity(1 + name.len() + value.len());
    joined.push(length);
    joined.extend_from_slice(name.as_bytes());
    joined.extend_from_slice(value);
    put(out, Tag::Header, &joined);
    Ok(())
}

/// Copies the attributes that travel with a message from PUBLISH to DELIVER and JOB: event, key, content
/// type, content encoding, version and headers.
///
/// `attributes` must have been parsed successfully before; what follows a broken one is left out.
pub fn relay(out: &mut BytesMut, attributes: &[u8]) {
    for (tag, value) in raw(attributes).map_while(Result::ok) {
        if matches!(tag, 2..=5 | 8 | 11) {
            put_raw(out, tag, value);
        }
    }
}

fn put_raw(out: &mut BytesMut, tag: u8, value: &[u8]) {
    out.put_u8(tag);
    // An over-long value makes the attributes exceed their limit, which the frame refuses.
    out.put_u16_le(u16::try_from(value.len()).unwrap_or(u16::MAX));
    out.put_slice(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_attribute_round_trips() {
        let mut out = BytesMut::new();
        put(&mut out, Tag::Event, b"order:updated");
        put(&mut out, Tag::Key, b"sku-1");
        put_number(&mut out, Tag::Version, 12);
        put_header(&mut out, "trace", b"\x00\x01").expect("valid");
        let parsed = Attributes::parse(&out).expect("valid");
        assert_eq!(parsed.event, Some("order:updated"));
        assert_eq!(parsed.key, Some("sku-1"));
        assert_eq!(parsed.version, Some(12));
        assert_eq!(parsed.headers, vec![("trace", &b"\x00\x01"[..])]);
    }

    #[test]
    fn doubled_truncated_oversized_and_control_characters_are_refused() {
        let mut doubled = BytesMut::new();
        put(&mut doubled, Tag::Key, b"a");
        put(&mut doubled, Tag::Key, b"b");
        let mut long = BytesMut::new();
        put(&mut long, Tag::Key, &[b'k'; 256]);
        let mut control = BytesMut::new();
        put(&mut control, Tag::Event, b"a\nb");
        let mut big = BytesMut::new();
        put_number(&mut big, Tag::Version, NUMBER_MAX + 1);
        let header = [11, 3, 0, 1, b'\r', b'v'];
        let short: [&[u8]; 4] = [&[3, 9, 0, b'k'], &[3], &[11, 0, 0], &header];
        for bad in [&doubled[..], &long, &control, &big].into_iter().chain(short) {
            assert!(Attributes::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_what_belongs_to_the_message_is_relayed() {
        let mut sent = BytesMut::new();
        put(&mut sent, Tag::Topic, b"a.b");
        put(&mut sent, Tag::Event, b"e");
        put(&mut sent, Tag::User, b"forged");
        put(&mut sent, Tag::IdempotencyKey, b"i");
        let mut out = BytesMut::new();
        relay(&mut out, &sent);
        let parsed = Attributes::parse(&out).expect("valid");
        assert_eq!(parsed, Attributes { event: Some("e"), ..Attributes::default() });
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Attributes::parse(&noise);
        }
    }
}
