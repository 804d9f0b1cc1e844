//! Frames of a WebSocket (RFC 6455, section 5.2) as a client of one's own server needs them: what
//! the server sends is not masked, and nothing is hidden from it by a mask of zeros.

/// Opcodes.
pub(crate) const TEXT: u8 = 1;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One frame from a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
}

/// The first frame, and the bytes after it; `None` while it is not whole.
pub(crate) fn first(bytes: &[u8]) -> Option<(Frame<'_>, &[u8])> {
    let ([head, short], rest) = bytes.split_first_chunk()?;
    let (length, rest) = match short & 0x7f {
        126 => rest.split_first_chunk().map(|(n, rest)| (u64::from(u16::from_be_bytes(*n)), rest)),
        127 => rest.split_first_chunk().map(|(n, rest)| (u64::from_be_bytes(*n), rest)),
        short => Some((u64::from(short), rest)),
    }?;
    let (payload, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((Frame { opcode: head & 0x0f, payload }, rest))
}

/// Adds a frame from a client.
pub(crate) fn put(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    match payload.len() {
        short @ ..126 => out.push(0x80 | short as u8),
        middle @ ..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_each_length_are_taken_apart() {
        for length in [0, 125, 126, 0xffff, 0x1_0000] {
            let payload = vec![b'x'; length];
            let mut bytes = Vec::new();
            put(&mut bytes, TEXT, &payload);
            // What a server sends has neither the bit nor the mask.
            bytes[1] &= 0x7f;
            let mask = bytes.len() - length - 4;
            bytes.drain(mask..mask + 4);
            assert!(first(&bytes[..bytes.len() - 1]).is_none(), "{length}");
            bytes.push(0x89);
            let (frame, rest) = first(&bytes).expect("whole");
            assert_eq!((frame.opcode, frame.payload.len(), rest), (TEXT, length, &[0x89][..]));
        }
    }
}
