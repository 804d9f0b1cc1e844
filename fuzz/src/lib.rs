//! What each fuzz target does with its bytes. No target may panic, whatever the bytes are.

mod journal;
mod session;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Attributes, Tag};
use sampan_protocol::control::{self, Body};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::topic::{token, token_to_id};
use sampan_protocol::{Error, Frame, FrameReader, Header, Kind, Pattern, Position, Topic};

pub use journal::{journal_index, journal_segment};
pub use session::{client_session, server_session};

/// The frames in `chunks`, and the error that ends them.
fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<Error>) {
    let (mut reader, mut frames) = (FrameReader::new(PAYLOAD_BYTES_MAX), Vec::new());
    for chunk in chunks {
        reader.push(Bytes::copy_from_slice(chunk));
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

/// A stream gives the same frames however it is cut, and the frames give its bytes.
pub fn frame_reader(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let (frames, error) = read([stream].into_iter());
    assert_eq!(read(stream.chunks(usize::from(*size).max(1))), (frames.clone(), error));
    let again: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
    assert!(stream.starts_with(&again));
    frames.iter().for_each(|frame| drop(frame.attributes()));
}

/// Attributes that are accepted are accepted again after relaying, which changes nothing twice.
pub fn attributes(data: &[u8]) {
    let Ok(parsed) = Attributes::parse(data) else { return };
    let (mut once, mut twice, mut headers) = (BytesMut::new(), BytesMut::new(), BytesMut::new());
    attribute::relay(&mut once, data);
    attribute::relay(&mut twice, &once);
    assert_eq!(once, twice);
    let relayed = Attributes::parse(&once).expect("relayed");
    assert_eq!((relayed.event, relayed.version), (parsed.event, parsed.version));
    parsed.headers.iter().for_each(|(name, value)| {
        attribute::put_header(&mut headers, name, value).expect("parsed");
    });
    parsed.key.iter().for_each(|key| attribute::put(&mut headers, Tag::Key, key.as_bytes()));
    let again = Attributes::parse(&headers).expect("rebuilt");
    assert_eq!((again.headers, again.key), (parsed.headers, parsed.key));
}

/// A body that is accepted is the one that its fields encode to.
fn round_trip<B: Body>(bytes: &[u8]) {
    let Ok(frame) = Header::new(B::KIND).number(1).to_frame(&[], bytes) else { return };
    let Ok(frame) = Frame::decode(frame, PAYLOAD_BYTES_MAX) else { return };
    let Ok(body) = control::decode::<B>(&frame) else { return };
    assert_eq!(control::encode(&body, 1).expect("decoded"), frame.to_bytes());
}

/// The first byte chooses the kind, the rest is the body.
pub fn control_bodies(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    macro_rules! bodies {
        ($($name:ident)*) => { match Kind::from_number(*kind) {
            $(Some(control::$name::KIND) => round_trip::<control::$name>(body),)*
            _ => {}
        } };
    }
    bodies! {
        Hello Welcome Refresh Refreshed Expiring Refused PublishRefused GoAway Close Subscribe
        Subscribed History TopicName Gap Serve Ask Answer Presence Members MembersChanged
        Consume
    }
}

/// Three texts: names are patterns and ids, and cover is an order.
pub fn topics(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    assert_eq!(token_to_id(&token(&text)).as_deref(), Some(&*text));
    let patterns: Vec<Pattern> = text.splitn(3, '\n').filter_map(|t| t.parse().ok()).collect();
    for topic in text.splitn(3, '\n').filter_map(|t| t.parse::<Topic>().ok()) {
        assert!(topic.tokens().all(|t| token_to_id(t).is_none_or(|id| token(&id) == t)));
        assert!(patterns.iter().all(|p| p.matches(&topic) == p.covers(&Pattern::from(&topic))));
    }
    let [a, b, c] = &patterns[..] else { return };
    assert!(a.covers(a) && (a == b || !a.covers(b) || !b.covers(a)));
    assert!(a.covers(c) || !a.covers(b) || !b.covers(c));
}

/// A position that is read is written as text that reads the same.
pub fn positions(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(position) = text.parse::<Position>() else { return };
    assert_eq!(position.to_string().parse(), Ok(position));
}
