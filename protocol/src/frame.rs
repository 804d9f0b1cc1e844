//! The frame: a 32-byte header, attributes, a body. Drawn in `spec/wire.md`.
//!
//! Decoding never copies a frame that lies whole in one chunk, and never allocates more than the
//! bytes that have arrived.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::attribute::Attributes;
use crate::error::Error;
use crate::limits::{
    ATTRIBUTES_BYTES_MAX, CONTROL_BYTES_MAX, HEADER_BYTES, NUMBER_MAX, PAGE_BYTES_MAX,
};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal,)*) => {
        /// What a frame is. Numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $name = $number,)* }

        impl Kind {
            /// Every kind, by ascending number.
            pub const ALL: &'static [Kind] = &[$(Kind::$name),*];

            /// The kind with this number.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Kind> {
                match number { $($number => Some(Kind::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    /// Client's first frame: version, features, token.
    Hello = 1,
    /// Server's answer to an accepted HELLO.
    Welcome = 2,
    /// Client presents a fresh token.
    Refresh = 3,
    /// Server accepted the fresh token.
    Refreshed = 4,
    /// Server did what the numbered request asked; no body.
    Done = 5,
    /// Server refused the numbered request.
    Refused = 6,
    /// Server warns that the token is about to expire.
    Expiring = 7,
    /// Server drains: connect again as told.
    GoAway = 8,
    /// The sender closes the session, with a code.
    Close = 9,
    /// Client asks for a subscription; the frame's number is its id.
    Subscribe = 10,
    /// Server confirms a subscription with its join point.
    Subscribed = 11,
    /// Client ends the subscription with this number; no body.
    Unsubscribe = 12,
    /// Client asks for one page of history.
    History = 13,
    /// Server's page of history: DELIVER frames in the body.
    Page = 14,
    /// Client publishes a message.
    Publish = 16,
    /// Server acknowledges one publish or a run of them; no body.
    Published = 17,
    /// Server refused a publish.
    PublishRefused = 18,
    /// Server names a topic id, ahead of its first delivery on a lane.
    Topic = 20,
    /// A message on its way to a subscriber.
    Deliver = 21,
    /// Server tells which offsets will not follow, and why.
    Gap = 22,
    /// A question to whoever serves the topic, or that question handed to a responder.
    Request = 24,
    /// The answer to a REQUEST, in either direction.
    Reply = 25,
    /// Client offers to answer requests or authorizations for a pattern.
    Serve = 26,
    /// Server asks an authorizer.
    Ask = 27,
    /// Authorizer's answer.
    Answer = 28,
    /// Client ends the offer with this number; no body.
    Withdraw = 29,
    /// Client enters, leaves, watches or reads the presence of a topic.
    Presence = 30,
    /// Server's whole list of members.
    Members = 31,
    /// Server's change to a list of members.
    MembersChanged = 32,
    /// Client takes part in a group; the frame's number is the consumer's id.
    Consume = 33,
    /// Client asks for jobs once; no body.
    Pull = 34,
    /// A message on its way to one consumer of a group.
    Job = 35,
    /// Client says what became of jobs; no body.
    Settle = 36,
    /// Server acknowledges one SETTLE or a run of them; no body.
    Settled = 37,
    /// Client ends the consumer with this number; no body.
    Leave = 38,
}

impl Kind {
    /// Bytes that a body of this kind may have, given the session's payload limit.
    #[must_use]
    pub fn body_bytes_max(self, payload_bytes_max: usize) -> usize {
        match self {
            Kind::Publish | Kind::Deliver | Kind::Request | Kind::Reply | Kind::Job => {
                payload_bytes_max
            }
            Kind::Page => PAGE_BYTES_MAX,
            Kind::Done | Kind::Unsubscribe | Kind::Withdraw | Kind::Published => 0,
            Kind::Pull | Kind::Settle | Kind::Settled | Kind::Leave => 0,
            _ => CONTROL_BYTES_MAX,
        }
    }
}

/// Flag bits; what a bit means depends on the kind.
pub mod flag {
    /// The low three bits: an ack level's number, 0 for the topic's default.
    pub const LEVEL_MASK: u8 = 0b0000_0111;
    /// PUBLISHED: the message had been published before; the first result is given.
    pub const DUPLICATE: u8 = 0b0000_1000;
    /// PUBLISHED: the version was not above the kept one; nothing was delivered.
    pub const STALE: u8 = 0b0001_0000;
    /// PUBLISH: no PUBLISHED is wanted; a refusal is still told.
    pub const NO_ACK: u8 = 0b0010_0000;
    /// SETTLE: the low three bits are a settlement's number.
    pub const SETTLEMENT_MASK: u8 = 0b0000_0111;
    /// SETTLE: what the consumer holds of the topic below the offset is meant too.
    pub const CUMULATIVE: u8 = 0b0000_1000;
    /// SETTLED: the consumer no longer held the job.
    pub const LATE: u8 = 0b0000_1000;
}

/// A frame's header without its two lengths, which follow from what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub kind: Kind,
    /// Flag bits; see [`flag`].
    pub flags: u8,
    /// Broker-wide topic id; 0 if the frame names its topic otherwise or has none.
    pub topic_id: u64,
    /// Offset, sequence or request number, by kind; at most 2^53 - 1.
    pub number: u64,
    /// Milliseconds since 1970-01-01 UTC, or 0.
    pub time_ms: u64,
}

impl Header {
    /// A header of this kind with all else zero.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Header { kind, flags: 0, topic_id: 0, number: 0, time_ms: 0 }
    }

    /// The same header with this number.
    #[must_use]
    pub fn number(self, number: u64) -> Self {
        Header { number, ..self }
    }

    /// The header's 32 bytes for these lengths.
    #[must_use]
    fn to_bytes(self, attributes: u16, body: u32) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0] = self.kind as u8;
        out[1] = self.flags;
        out[2..4].copy_from_slice(&attributes.to_le_bytes());
        out[4..8].copy_from_slice(&body.to_le_bytes());
        out[8..16].copy_from_slice(&self.topic_id.to_le_bytes());
        out[16..24].copy_from_slice(&self.number.to_le_bytes());
        out[24..32].copy_from_slice(&self.time_ms.to_le_bytes());
        out
    }

    /// The header and the two lengths (attributes, body) in these bytes.
    fn from_bytes(
        bytes: &[u8; HEADER_BYTES],
        payload_bytes_max: usize,
    ) -> Result<(Self, usize, usize), Error> {
        let mut rest = &bytes[..];
        let number = rest.get_u8();
        let kind = Kind::from_number(number).ok_or(Error::UnknownKind(number))?;
        let flags = rest.get_u8();
        let attributes = usize::from(rest.get_u16_le());
        let body = rest.get_u32_le();
        let header = Header {
            kind,
            flags,
            topic_id: rest.get_u64_le(),
            number: rest.get_u64_le(),
            time_ms: rest.get_u64_le(),
        };
        if attributes > ATTRIBUTES_BYTES_MAX {
            let had = attributes as u64;
            return Err(Error::TooLarge { field: "attributes", max: ATTRIBUTES_BYTES_MAX, had });
        }
        let max = kind.body_bytes_max(payload_bytes_max);
        let body = match usize::try_from(body) {
            Ok(bytes) if bytes <= max => bytes,
            _ => return Err(Error::TooLarge { field: "body", max, had: body.into() }),
        };
        if header.number > NUMBER_MAX || header.time_ms > NUMBER_MAX {
            return Err(Error::Invalid { field: "a header number above 2^53 - 1" });
        }
        Ok((header, attributes, body))
    }

    /// Appends a whole frame to `out`.
    ///
    /// # Errors
    /// `TooLarge` if the attributes are; nothing is appended then.
    pub fn write(self, out: &mut BytesMut, attributes: &[u8], body: &[u8]) -> Result<(), Error> {
        let lengths = self.lengths(attributes.len(), body.len())?;
        out.reserve(HEADER_BYTES + attributes.len() + body.len());
        out.put_slice(&self.to_bytes(lengths.0, lengths.1));
        out.put_slice(attributes);
        out.put_slice(body);
        Ok(())
    }

    /// The header and attributes of a frame whose body of `body_bytes` follows as its own chunk.
    ///
    /// # Errors
    /// `TooLarge` as for [`Header::write`].
    pub fn head(self, attributes: &[u8], body_bytes: usize) -> Result<Bytes, Error> {
        let lengths = self.lengths(attributes.len(), body_bytes)?;
        let mut out = BytesMut::with_capacity(HEADER_BYTES + attributes.len());
        out.put_slice(&self.to_bytes(lengths.0, lengths.1));
        out.put_slice(attributes);
        Ok(out.freeze())
    }

    /// A whole frame as bytes of its own, exactly sized.
    ///
    /// # Errors
    /// `TooLarge` as for [`Header::write`].
    pub fn to_frame(self, attributes: &[u8], body: &[u8]) -> Result<Bytes, Error> {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + attributes.len() + body.len());
        self.write(&mut out, attributes, body)?;
        Ok(out.freeze())
    }

    /// A frame without attributes and body.
    #[must_use]
    pub fn bare(self) -> Bytes {
        Bytes::copy_from_slice(&self.to_bytes(0, 0))
    }

    fn lengths(self, attributes: usize, body: usize) -> Result<(u16, u32), Error> {
        let too_large = |field, max, had: usize| Error::TooLarge { field, max, had: had as u64 };
        if attributes > ATTRIBUTES_BYTES_MAX {
            return Err(too_large("attributes", ATTRIBUTES_BYTES_MAX, attributes));
        }
        let attributes_u16 = u16::try_from(attributes)
            .map_err(|_| too_large("attributes", ATTRIBUTES_BYTES_MAX, attributes))?;
        let body_u32 =
            u32::try_from(body).map_err(|_| too_large("body", u32::MAX as usize, body))?;
        Ok((attributes_u16, body_u32))
    }
}

/// One received frame: its header, and attributes and body as shared bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The decoded header.
    pub header: Header,
    attributes_bytes: usize,
    content: Bytes,
}

impl Frame {
    /// Decodes exactly one frame that fills `bytes`.
    ///
    /// # Errors
    /// Any header error, `Truncated`, or `Invalid` if bytes follow the frame.
    pub fn decode(bytes: Bytes, payload_bytes_max: usize) -> Result<Self, Error> {
        let mut reader = FrameReader::new(payload_bytes_max);
        let had = bytes.len();
        reader.push(bytes);
        match reader.next_frame()? {
            Some(frame) if reader.buffered_bytes() == 0 => Ok(frame),
            Some(_) => Err(Error::Invalid { field: "bytes after the frame" }),
            None => Err(Error::Truncated { field: "frame", needed: had + 1, had }),
        }
    }

    /// The raw attribute bytes.
    #[must_use]
    pub fn attribute_bytes(&self) -> &[u8] {
        &self.content[..self.attributes_bytes]
    }

    /// The attributes, decoded and checked.
    ///
    /// # Errors
    /// The first attribute that is truncated, over its limit or not valid.
    pub fn attributes(&self) -> Result<Attributes<'_>, Error> {
        Attributes::parse(self.attribute_bytes())
    }

    /// The body, sharing the received bytes.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.content.slice(self.attributes_bytes..)
    }

    /// The body as a slice.
    #[must_use]
    pub fn body_bytes(&self) -> &[u8] {
        &self.content[self.attributes_bytes..]
    }

    /// Bytes of the whole frame on the wire.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        HEADER_BYTES + self.content.len()
    }

    /// The frame's bytes again.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.wire_bytes());
        let body = self.content.len() - self.attributes_bytes;
        let (attributes, body) =
            (u16::try_from(self.attributes_bytes), u32::try_from(body).unwrap_or(u32::MAX));
        out.put_slice(&self.header.to_bytes(attributes.unwrap_or(u16::MAX), body));
        out.put_slice(&self.content);
        out.freeze()
    }
}

/// Cuts a byte stream into frames.
///
/// Memory is what has been pushed and not yet taken; a frame that spans chunks is gathered into one
/// buffer that grows with the bytes received, not with the length that its header promises.
#[derive(Debug)]
pub struct FrameReader {
    payload_bytes_max: usize,
    /// The chunk being cut; empty while `partial` waits for more.
    chunk: Bytes,
    /// Start of a frame that its chunk did not complete.
    partial: BytesMut,
    /// Whole length of the frame in `partial`, once its header is complete.
    needed: usize,
}

impl FrameReader {
    /// A reader for a stream whose payloads may have this many bytes.
    #[must_use]
    pub fn new(payload_bytes_max: usize) -> Self {
        FrameReader { payload_bytes_max, chunk: Bytes::new(), partial: BytesMut::new(), needed: 0 }
    }

    /// Adds received bytes. Call [`FrameReader::next_frame`] until it answers `None` before the
    /// next push; pushing earlier costs a copy.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            joined.put_slice(&self.chunk);
            joined.put_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// Bytes pushed and not yet returned as frames.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.chunk.len() + self.partial.len()
    }

    /// The next whole frame, or `None` until more bytes are pushed.
    ///
    /// # Errors
    /// A header error. The stream cannot be read further, since the next boundary is unknown.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Error> {
        if self.partial.is_empty() {
            let Some(bytes) = self.chunk.first_chunk::<HEADER_BYTES>() else {
                return Ok(self.start_partial(0));
            };
            let (header, attributes, body) = Header::from_bytes(bytes, self.payload_bytes_max)?;
            let whole = HEADER_BYTES + attributes + body;
            if self.chunk.len() < whole {
                return Ok(self.start_partial(whole));
            }
            let mut content = self.chunk.split_to(whole);
            content.advance(HEADER_BYTES);
            return Ok(Some(Frame { header, attributes_bytes: attributes, content }));
        }
        if self.partial.len() < HEADER_BYTES && !self.gather(HEADER_BYTES) {
            return Ok(None);
        }
        let Some(bytes) = self.partial.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let (header, attributes, body) = Header::from_bytes(bytes, self.payload_bytes_max)?;
        self.needed = HEADER_BYTES + attributes + body;
        if !self.gather(self.needed) {
            return Ok(None);
        }
        let mut content = std::mem::take(&mut self.partial).freeze();
        content.advance(HEADER_BYTES);
        Ok(Some(Frame { header, attributes_bytes: attributes, content }))
    }

    /// Moves what is left of the chunk into `partial`; its frame needs `whole` bytes if known.
    fn start_partial(&mut self, whole: usize) -> Option<Frame> {
        self.needed = whole;
        if !self.chunk.is_empty() {
            let rest = std::mem::take(&mut self.chunk);
            self.partial.reserve(rest.len().max(HEADER_BYTES));
            self.partial.put_slice(&rest);
        }
        None
    }

    /// Fills `partial` up to `target` bytes from the chunk; whether it got there.
    fn gather(&mut self, target: usize) -> bool {
        let missing = target.saturating_sub(self.partial.len());
        let take = self.chunk.split_to(missing.min(self.chunk.len()));
        if self.partial.capacity() < self.partial.len() + take.len() {
            // Doubling keeps the copies linear, the target keeps the last growth exact.
            let grow = (self.partial.len() + take.len()).max(self.partial.len() * 2).min(target);
            self.partial.reserve(grow - self.partial.len());
        }
        self.partial.put_slice(&take);
        self.partial.len() >= target
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn publish(body: &[u8]) -> Bytes {
        let header = Header { kind: Kind::Publish, flags: 1, topic_id: 9, number: 8, time_ms: 7 };
        header.to_frame(&[2, 1, 0, b'e'], body).expect("small")
    }

    #[test]
    fn a_length_that_lies_is_refused_before_it_is_allocated() {
        let mut bytes = BytesMut::from(&publish(b"x")[..]);
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        let mut reader = FrameReader::new(1024);
        reader.push(bytes.freeze());
        assert!(matches!(reader.next_frame(), Err(Error::TooLarge { field: "body", .. })));
    }

    #[test]
    fn a_promised_body_that_never_comes_holds_only_what_came() {
        let whole = Header::new(Kind::Publish).to_frame(&[], &vec![0; 1 << 20]).expect("1 MiB");
        let mut reader = FrameReader::new(1 << 20);
        reader.push(whole.slice(..100));
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.partial.capacity() < 1024, "{}", reader.partial.capacity());
        reader.push(whole.slice(100..200));
        assert_eq!(reader.next_frame(), Ok(None));
        assert!(reader.partial.capacity() < 1024, "{}", reader.partial.capacity());
    }

    #[test]
    fn a_whole_frame_in_a_chunk_shares_its_bytes() {
        let bytes = publish(b"body");
        let frame = Frame::decode(bytes.clone(), 1024).expect("valid");
        assert_eq!(frame.body().as_ptr(), bytes[HEADER_BYTES + 4..].as_ptr());
    }

    #[test]
    fn unknown_kinds_and_numbers_above_the_range_are_refused() {
        let mut bytes = BytesMut::from(&publish(b"")[..]);
        bytes[0] = 200;
        assert_eq!(Frame::decode(bytes.clone().freeze(), 64), Err(Error::UnknownKind(200)));
        bytes[0] = Kind::Publish as u8;
        bytes[23] = 0xff;
        assert!(matches!(Frame::decode(bytes.freeze(), 64), Err(Error::Invalid { .. })));
    }

    proptest! {
        #[test]
        fn any_cut_of_a_stream_gives_the_same_frames(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 1..6),
            cuts in prop::collection::vec(1usize..70, 1..40),
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|b| publish(b).to_vec()).collect();
            let mut reader = FrameReader::new(1024);
            let mut got = Vec::new();
            let (mut at, mut cuts) = (0, cuts.iter().cycle());
            while at < stream.len() {
                let end = (at + cuts.next().expect("cycle")).min(stream.len());
                reader.push(Bytes::copy_from_slice(&stream[at..end]));
                at = end;
                while let Some(frame) = reader.next_frame().expect("valid") {
                    got.push(frame.body().to_vec());
                }
            }
            prop_assert_eq!(got, bodies);
            prop_assert_eq!(reader.buffered_bytes(), 0);
        }

        #[test]
        fn frames_round_trip(
            flags: u8, topic_id: u64, number in 0..=NUMBER_MAX, time_ms in 0..=NUMBER_MAX,
            body in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = Header { kind: Kind::Deliver, flags, topic_id, number, time_ms };
            let bytes = header.to_frame(&[3, 1, 0, b'k'], &body).expect("small");
            let frame = Frame::decode(bytes.clone(), 1024).expect("valid");
            prop_assert_eq!(frame.header, header);
            prop_assert_eq!(frame.body_bytes(), &body[..]);
            prop_assert_eq!(frame.to_bytes(), bytes);
        }

        #[test]
        fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = FrameReader::new(256);
            reader.push(Bytes::from(noise));
            while let Ok(Some(frame)) = reader.next_frame() {
                let _ = frame.attributes();
            }
        }
    }
}
