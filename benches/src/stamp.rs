//! The time of a publish call, by [`crate::clock::nanos`], as a payload carries it.

use bytes::{BufMut, BytesMut};

/// Ahead of a time in text. It stands nowhere else in what is received.
const MARK: u8 = b'@';
/// Hexadecimal digits of a time.
const DIGITS: usize = 16;

/// The form of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// Eight bytes.
    Binary,
    /// Text that stays as it is within JSON.
    Text,
}

impl Stamp {
    /// Bytes of the smallest payload.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Stamp::Binary => 8,
            Stamp::Text => 1 + DIGITS,
        }
    }

    pub(crate) fn put(self, block: &mut BytesMut, now: u64) {
        match self {
            Stamp::Binary => block.put_u64_le(now),
            Stamp::Text => {
                block.put_u8(MARK);
                block.put_slice(format!("{now:016x}").as_bytes());
            }
        }
    }
}

/// The time at the start of a payload.
pub(crate) fn binary(payload: &[u8]) -> u64 {
    payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Calls `each` with every time in a text.
pub(crate) fn texts(text: &[u8], mut each: impl FnMut(u64)) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == MARK) {
        rest = &rest[at + 1..];
        let digits = rest.first_chunk::<DIGITS>().and_then(|digits| str::from_utf8(digits).ok());
        each(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_in_a_text_is_found() {
        let mut text = BytesMut::from(&b"[{\"message\":{\"payload\":\""[..]);
        Stamp::Text.put(&mut text, 7);
        text.put_slice(b"...\"}},{\"message\":{\"payload\":\"");
        Stamp::Text.put(&mut text, u64::MAX);
        text.put_slice(b"\"}}]");
        let mut found = Vec::new();
        texts(&text, |time| found.push(time));
        assert_eq!(found, [7, u64::MAX]);
    }

    #[test]
    fn a_binary_time_comes_back() {
        let mut payload = BytesMut::new();
        Stamp::Binary.put(&mut payload, 0x0102_0304);
        assert_eq!((payload.len(), binary(&payload)), (Stamp::Binary.bytes(), 0x0102_0304));
        assert_eq!(binary(b"short"), 0);
    }
}
