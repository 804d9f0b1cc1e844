//! What publishers send: who sent it and as which, then filler that follows from both, so that one
//! changed byte shows.

use bytes::{BufMut, Bytes, BytesMut};

use crate::chance::Chance;
use crate::history::Id;

const MAGIC: u32 = 0x5341_4d50;
/// Bytes ahead of the filler.
pub(crate) const HEAD_BYTES: usize = 16;

pub(crate) fn encode(id: Id, bytes: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(bytes.max(HEAD_BYTES) + 8);
    out.put_u32(MAGIC);
    out.put_u32(id.seat);
    out.put_u64(id.ordinal);
    let mut filler = filler(id);
    while out.len() < bytes {
        out.put_u64(filler.bits());
    }
    out.truncate(bytes.max(HEAD_BYTES));
    out.freeze()
}

/// Whose payload it is; `None` if it is nobody's, or damaged. A cut one is taken for what it was
/// cut from only if its publisher could have sent it so.
pub(crate) fn decode(payload: &[u8]) -> Option<Id> {
    let (head, rest) = payload.split_first_chunk::<HEAD_BYTES>()?;
    let [magic, seat] =
        [0, 4].map(|at| u32::from_be_bytes(head[at..at + 4].try_into().expect("4 bytes")));
    let ordinal = u64::from_be_bytes(head[8..].try_into().expect("8 bytes"));
    let id = Id { seat, ordinal };
    let mut filler = filler(id);
    let intact = rest.chunks(8).all(|part| filler.bits().to_be_bytes().starts_with(part));
    (magic == MAGIC && intact).then_some(id)
}

fn filler(id: Id) -> Chance {
    Chance::of(id.ordinal, "payload", u64::from(id.seat))
}

#[test]
fn what_is_encoded_is_known_again_and_a_changed_byte_shows() {
    let id = Id { seat: 3, ordinal: 77 };
    for bytes in [16, 17, 100, 1000] {
        let payload = encode(id, bytes);
        assert_eq!((payload.len(), decode(&payload)), (bytes, Some(id)));
        for at in 0..bytes {
            let mut changed = payload.to_vec();
            changed[at] ^= 1;
            assert_ne!(decode(&changed), Some(id), "byte {at} of {bytes}");
        }
    }
}
