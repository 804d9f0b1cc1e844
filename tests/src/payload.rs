//! What publishers send: who sent it and as which, then filler that follows from both, so that one
//! changed byte shows. It is text of one line, so that a command line can carry it, too.

use crate::chance::Chance;
use crate::history::Message;

/// Bytes ahead of the filler; no payload is shorter.
pub const HEAD_BYTES: usize = 33;

/// What the filler is made of.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The payload of this message, of so many bytes.
#[must_use]
pub fn encode(message: Message, bytes: usize) -> Vec<u8> {
    let mut out = format!("{:016x}{:016x}:", message.producer, message.sequence).into_bytes();
    out.extend(filler(message).take(bytes.saturating_sub(HEAD_BYTES)));
    out
}

/// Whose payload it is; `None` if it is nobody's, or damaged. A cut one is taken for what it was
/// cut from only if its publisher could have sent it so: the history knows how long it was.
#[must_use]
pub fn decode(payload: &[u8]) -> Option<Message> {
    let head = str::from_utf8(payload.get(..HEAD_BYTES)?).ok()?;
    let number = |from: usize| u64::from_str_radix(head.get(from..from + 16)?, 16).ok();
    let message = Message { producer: number(0)?, sequence: number(16)? };
    (encode(message, payload.len()) == payload).then_some(message)
}

fn filler(message: Message) -> impl Iterator<Item = u8> {
    let mut chance = Chance::of(message.sequence, "payload", message.producer);
    let letter = |part: u8| LETTERS[usize::from(part % 32)];
    std::iter::repeat_with(move || chance.bits().to_le_bytes()).flatten().map(letter)
}

#[test]
fn what_is_encoded_is_known_again_and_a_changed_byte_shows() {
    let message = Message { producer: 3, sequence: 77 };
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
