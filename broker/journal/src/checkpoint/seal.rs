//! The seal: how many entries there are, a digest of all of them, and the mark that they lead to.

use bytes::Bytes;

use crate::checksum::Seed;

/// Layout of what is in the checkpoint.
const VERSION: u8 = 1;

/// Checksum, version, count and digest.
const FIXED_BYTES: usize = 4 + 1 + 8 + 8;

/// A count and a digest of entries, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    count: u64,
    sum: u64,
}

impl Digest {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(key, value));
    }

    pub(super) fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(key, value));
    }

    /// The seal over these entries at a mark.
    pub(super) fn seal(&self, mark: &[u8], store_id: u64) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.push(VERSION);
        bytes.extend(self.count.to_le_bytes());
        bytes.extend(self.sum.to_le_bytes());
        bytes.extend(mark);
        let sum = seed(store_id).over(&bytes[4..]);
        bytes[..4].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What a seal says; `None` if it is damaged, of another layout, or of another store.
    pub(super) fn unseal(bytes: &[u8], store_id: u64) -> Option<(Digest, Bytes)> {
        let (fixed, mark) = bytes.split_at_checked(FIXED_BYTES)?;
        let had = u32::from_le_bytes(*fixed.first_chunk()?);
        let is_ours = fixed[4] == VERSION && had == seed(store_id).over(&bytes[4..]);
        let count = u64::from_le_bytes(*fixed[5..].first_chunk()?);
        let sum = u64::from_le_bytes(*fixed[13..].first_chunk()?);
        is_ours.then(|| (Digest { count, sum }, Bytes::copy_from_slice(mark)))
    }
}

fn seed(store_id: u64) -> Seed {
    Seed::new(store_id, u64::MAX - 1)
}

/// FNV-1a over the key's length, the key and the value.
fn hash(key: &[u8], value: &[u8]) -> u64 {
    let length = (key.len() as u64).to_le_bytes();
    let bytes = length.iter().chain(key).chain(value);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_forgets_what_is_removed_and_tells_what_is_missing() {
        let mut digest = Digest::default();
        digest.add(b"a", b"1");
        let one = digest;
        digest.add(b"b", b"2");
        assert_ne!(digest, one);
        digest.remove(b"b", b"2");
        assert_eq!(digest, one);
        let mut moved = Digest::default();
        moved.add(b"a1", b"");
        assert_ne!(moved, one);
    }

    #[test]
    fn a_seal_is_only_valid_whole_and_in_its_store() {
        let mut digest = Digest::default();
        digest.add(b"a", b"1");
        let seal = digest.seal(b"mark", 7);
        assert_eq!(Digest::unseal(&seal, 7), Some((digest, Bytes::from_static(b"mark"))));
        assert_eq!(Digest::unseal(&seal, 8), None);
        for at in 0..seal.len() {
            let mut damaged = seal.clone();
            damaged[at] ^= 1;
            assert_eq!(Digest::unseal(&damaged, 7), None);
            assert_eq!(Digest::unseal(&seal[..at], 7), None);
        }
    }
}
