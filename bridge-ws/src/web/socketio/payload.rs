//! Messages of Engine.IO as one body: separated, and bytes as base64.

use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::socketio::Message;

/// What stands between two messages.
const BETWEEN: u8 = 0x1e;

/// The body that holds these messages.
pub(super) fn encode<'a>(messages: impl Iterator<Item = &'a Message>) -> Bytes {
    let mut body = Vec::new();
    for message in messages {
        if !body.is_empty() {
            body.push(BETWEEN);
        }
        match message {
            Message::Text(text) => body.extend_from_slice(text),
            Message::Binary(bytes) => {
                body.push(b'b');
                body.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            }
        }
    }
    body.into()
}

/// The messages of a body; `None` if it makes no sense.
pub(super) fn decode(body: &Bytes) -> Option<Vec<Message>> {
    std::str::from_utf8(body).ok()?;
    let message = |part: &[u8]| match part.split_first() {
        Some((b'b', encoded)) => Some(Message::Binary(STANDARD.decode(encoded).ok()?.into())),
        _ => Some(Message::Text(body.slice_ref(part))),
    };
    body.split(|byte| *byte == BETWEEN).map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_share_a_body() {
        let text = |text: &'static str| Message::Text(Bytes::from_static(text.as_bytes()));
        let messages = [text("42[\"a\"]"), Message::Binary(Bytes::from_static(b"\xff")), text("2")];
        let body = encode(messages.iter());
        assert_eq!(body, "42[\"a\"]\u{1e}b/w==\u{1e}2".as_bytes());
        assert_eq!(decode(&body), Some(messages.to_vec()));
        assert_eq!(decode(&Bytes::new()), Some(vec![text("")]), "which is no packet");
        assert_eq!(decode(&Bytes::from_static(b"b!")), None);
        assert_eq!(decode(&Bytes::from_static(b"4\xff")), None);
    }
}
