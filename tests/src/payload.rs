//! What publishers send: who sent it and as which, then filler that follows from both, so that one
//! changed byte shows.

use crate::chance::Chance;
use crate::history::Message;

const MAGIC: u64 = 0x5341_4d50_414e_0001;

/// Bytes ahead of the filler; no payload is shorter.
pub const HEAD_BYTES: usize = 24;

/// The payload of this message, of so many bytes.
#[must_use]
pub fn encode(message: Message, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes + HEAD_BYTES);
    for number in [MAGIC, message.producer, message.sequence] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let mut filler = filler(message);
    while out.len() < bytes {
        out.extend_from_slice(&filler.bits().to_be_bytes());
    }
    out.truncate(bytes.max(HEAD_BYTES));
    out
}

/// Whose payload it is; `None` if it is nobody's, or damaged. A cut one is taken for what it was
/// cut from only if its publisher could have sent it so: the history knows how long it was.
#[must_use]
pub fn decode(payload: &[u8]) -> Option<Message> {
    let (head, rest) = payload.split_first_chunk::<HEAD_BYTES>()?;
    let mut numbers = head
        .chunks_exact(8)
        .map(|part| part.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    let (magic, producer, sequence) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let message = Message { producer, sequence };
    let mut filler = filler(message);
    let intact = rest.chunks(8).all(|part| filler.bits().to_be_bytes().starts_with(part));
    (magic == MAGIC && intact).then_some(message)
}

fn filler(message: Message) -> Chance {
    Chance::of(message.sequence, "payload", message.producer)
}

#[test]
fn what_is_encoded_is_known_again_and_a_changed_byte_shows() {
    let message = Message { producer: 3, sequence: 77 };
    for bytes in [24, 25, 100, 1000] {
        let payload = encode(message, bytes);
        assert_eq!((payload.len(), decode(&payload)), (bytes, Some(message)));
        for at in 0..bytes {
            let mut changed = payload.clone();
            changed[at] ^= 1;
            assert_ne!(decode(&changed), Some(message), "byte {at} of {bytes}");
        }
    }
}
