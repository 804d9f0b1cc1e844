//! What publishers send: who sent it and as which, then filler that follows from both, so that one
//! changed byte shows. It is text of one line, so that a command line can carry it, too.

use crate::chance::Chance;
use crate::history::Message;

/// Bytes ahead of the filler; no payload is shorter.
pub const HEAD_BYTES: usize = 33;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What the filler is made of.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The payload of this message, of so many bytes.
#[must_use]
pub fn encode(message: Message, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.max(HEAD_BYTES));
    out.extend(head(message));
    out.resize(bytes.max(HEAD_BYTES), 0);
    for (part, filler) in out[HEAD_BYTES..].chunks_mut(8).zip(filler(message)) {
        part.copy_from_slice(&filler[..part.len()]);
    }
    out
}

/// Whose payload it is; `None` if it is nobody's, or damaged. A cut one is taken for what it was
/// cut from only if its publisher could have sent it so: the history knows how long it was.
#[must_use]
pub fn decode(payload: &[u8]) -> Option<Message> {
    let text = str::from_utf8(payload.get(..HEAD_BYTES)?).ok()?;
    let number = |from: usize| u64::from_str_radix(text.get(from..from + 16)?, 16).ok();
    let message = Message { producer: number(0)?, sequence: number(16)? };
    let mut parts = payload[HEAD_BYTES..].chunks(8).zip(filler(message));
    let whole = payload[..HEAD_BYTES] == head(message)
        && parts.all(|(part, filler)| *part == filler[..part.len()]);
    whole.then_some(message)
}

/// Both numbers in 16 hexadecimal digits each, and a colon.
fn head(message: Message) -> [u8; HEAD_BYTES] {
    let mut out = [b':'; HEAD_BYTES];
    for (part, number) in out.chunks_mut(16).zip([message.producer, message.sequence]) {
        for (at, digit) in part.iter_mut().rev().enumerate() {
            *digit = DIGITS[usize::try_from(number >> (4 * at) & 15).unwrap_or(0)];
        }
    }
    out
}

/// Eight letters at a time.
fn filler(message: Message) -> impl Iterator<Item = [u8; 8]> {
    let mut chance = Chance::of(message.sequence, "payload", message.producer);
    let letter = |part: u8| LETTERS[usize::from(part % 32)];
    std::iter::repeat_with(move || chance.bits().to_le_bytes().map(letter))
}

#[test]
fn what_is_encoded_is_known_again_and_a_changed_byte_shows() {
    let message = Message { producer: 0x0123_4567_89ab_cdef, sequence: 77 };
    assert_eq!(encode(message, 0), b"0123456789abcdef000000000000004d:");
    for bytes in [33, 34, 100, 1000] {
        let payload = encode(message, bytes);
        assert_eq!((payload.len(), decode(&payload)), (bytes, Some(message)));
        for at in 0..bytes {
            let mut changed = payload.clone();
            for bit in 0..8 {
                changed[at] ^= 1 << bit;
                assert_ne!(decode(&changed), Some(message), "byte {at} of {bytes}");
                changed[at] ^= 1 << bit;
            }
        }
    }
}
