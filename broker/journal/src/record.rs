//! A record: a head of 32 bytes and a body, padded to 8. A block starts with a record of its own.
//!
//! Drawn in `spec/journal.md`.

use crate::checksum::Seed;

/// Bytes of a head.
pub(crate) const HEAD_BYTES: usize = 32;

/// What every record starts at a multiple of.
const ALIGN: usize = 8;

/// Starts a block; its length covers the records that follow, and its checksum the head alone.
pub(crate) const BLOCK: u8 = 0xB1;
/// Messages of one topic.
pub(crate) const RUN: u8 = 1;
/// The newest value of a key, or that there is none.
pub(crate) const VALUE: u8 = 2;

/// Flag of a value: the key has none from here on.
pub(crate) const ABSENT: u8 = 1;
/// Flag of a run: copied out of an older segment.
pub(crate) const COPIED: u8 = 2;
/// Flag of a block: the first one that was written after the log was opened.
pub(crate) const OPENED: u8 = 4;

/// The head of a record, without its checksum. What the fields mean depends on the kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// Block: commits before it that were not known as synced. Copied run: its source segment.
    pub(crate) mark: u16,
    /// Bytes of the body.
    pub(crate) length: u32,
    /// Run: the topic's number. Block: records in it. Value: 0.
    pub(crate) topic: u32,
    /// Run: first offset. Block: commit number. Value: its mark, see [`crate::state::Value`].
    pub(crate) from: u64,
    /// Run: messages. Block: low half of the time. Value: 0.
    pub(crate) count: u32,
    /// Run: bytes of dedupe entries ahead of the frames. Block: high half of the time. Value: bytes
    /// of the key.
    pub(crate) meta: u32,
}

/// A record that was found valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Where it starts in its segment.
    pub(crate) at: u64,
    pub(crate) head: Head,
    pub(crate) body: &'a [u8],
}

/// The number rounded up to where a record may start.
pub(crate) const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}

impl Head {
    /// The head's bytes, with a checksum over itself and the body.
    pub(crate) fn encode<'a>(
        &self,
        seed: Seed,
        at: u64,
        body: impl IntoIterator<Item = &'a [u8]>,
    ) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[4] = self.kind;
        bytes[5] = self.flags;
        bytes[6..8].copy_from_slice(&self.mark.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.topic.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.from.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.meta.to_le_bytes());
        let seed = seed.with(at).after(&bytes[4..]);
        let sum = body.into_iter().fold(seed, Seed::after).sum();
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The checksum and the head in these bytes.
    fn decode(bytes: &[u8; HEAD_BYTES]) -> (u32, Head) {
        let number = |at: usize, length: usize| {
            bytes[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let four = |at| u32::try_from(number(at, 4)).unwrap_or(u32::MAX);
        let head = Head {
            kind: bytes[4],
            flags: bytes[5],
            mark: u16::from_le_bytes([bytes[6], bytes[7]]),
            length: four(8),
            topic: four(12),
            from: number(16, 8),
            count: four(24),
            meta: four(28),
        };
        (four(0), head)
    }

    /// Time of a block, milliseconds.
    pub(crate) fn time_ms(&self) -> u64 {
        u64::from(self.meta) << 32 | u64::from(self.count)
    }

    /// This head with the time of a block.
    pub(crate) fn at_time(self, ms: u64) -> Self {
        let low = u32::try_from(ms & u64::from(u32::MAX)).unwrap_or(0);
        Head { count: low, meta: u32::try_from(ms >> 32).unwrap_or(u32::MAX), ..self }
    }
}

impl<'a> Record<'a> {
    /// The record at `at` of a segment, of which `bytes` holds what starts at `start`; `None` if
    /// what is there is not whole and valid.
    pub(crate) fn read(bytes: &'a [u8], start: u64, at: u64, seed: Seed) -> Option<Self> {
        let from = usize::try_from(at.checked_sub(start)?).ok()?;
        let rest = bytes.get(from..)?;
        let raw = rest.first_chunk::<HEAD_BYTES>()?;
        let (sum, head) = Head::decode(raw);
        let length = usize::try_from(head.length).ok()?;
        let seed = seed.with(at).after(&raw[4..]);
        let body = match head.kind {
            BLOCK => &[],
            RUN | VALUE => rest.get(HEAD_BYTES..HEAD_BYTES.checked_add(length)?)?,
            _ => return None,
        };
        (seed.over(body) == sum).then_some(Record { at, head, body })
    }

    /// Where the next record may start: behind the head of a block, behind the body of another.
    pub(crate) fn end(&self) -> u64 {
        self.at + aligned(HEAD_BYTES + self.body.len()) as u64
    }

    /// Splits the body where `meta` says: dedupe entries and frames, or key and value.
    pub(crate) fn split(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.body.split_at_checked(usize::try_from(self.head.meta).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_valid_as_it_was_written_where_it_was_written_and_nowhere_else() {
        let head = Head { kind: RUN, topic: 7, from: 9, count: 2, length: 5, ..Head::default() };
        let seed = Seed::new(1, 2);
        let mut bytes = head.encode(seed, 64, [&b"he"[..], b"llo"]).to_vec();
        bytes.extend(b"hello\0\0\0");
        let read = |bytes: &[u8], start, at, seed| {
            Record::read(bytes, start, at, seed).map(|record| (record.head, record.end()))
        };
        assert_eq!(read(&bytes, 64, 64, seed), Some((head, 104)));
        assert_eq!(read(&bytes, 72, 72, seed), None);
        assert_eq!(read(&bytes, 64, 64, Seed::new(1, 3)), None);
        assert_eq!(read(&bytes, 64, 8, seed), None);
        for bit in 0..(HEAD_BYTES + 5) * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bytes, 64, 64, seed), None, "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        for length in 0..HEAD_BYTES + 5 {
            assert_eq!(read(&bytes[..length], 64, 64, seed), None);
        }
        let block = Head { kind: BLOCK, ..Head::default() }.at_time(0x1_2345_6789_ABCD);
        assert_eq!(block.time_ms(), 0x1_2345_6789_ABCD);
    }
}
