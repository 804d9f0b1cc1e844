//! An entry of the checkpoint: a key as it is, and a value behind a checksum over both.

use bytes::Bytes;

use crate::checksum::Seed;

/// What the keys of entries start with.
const VALUE: u8 = 1;

/// Bytes of a checksum.
const SUM_BYTES: usize = 4;

/// The key under which sled has an entry.
pub(super) fn key(of: &[u8]) -> Vec<u8> {
    [&[VALUE], of].concat()
}

/// The key of an entry that sled has; `None` if it is no entry.
pub(super) fn of_key(key: &[u8]) -> Option<&[u8]> {
    key.strip_prefix(&[VALUE])
}

/// A value behind its checksum.
pub(super) fn seal(key: &[u8], value: &[u8], store_id: u64) -> Vec<u8> {
    [&sum(key, value, store_id).to_le_bytes(), value].concat()
}

/// The value behind its checksum; `None` if it is not the one that was put there.
pub(super) fn unseal(key: &[u8], sealed: &[u8], store_id: u64) -> Option<Bytes> {
    let (had, value) = sealed.split_first_chunk::<SUM_BYTES>()?;
    let is_whole = u32::from_le_bytes(*had) == sum(key, value, store_id);
    is_whole.then(|| Bytes::copy_from_slice(value))
}

fn sum(key: &[u8], value: &[u8], store_id: u64) -> u32 {
    Seed::new(store_id, u64::MAX).with(key.len() as u64).after(key).over(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_only_valid_whole_under_its_key_and_in_its_store() {
        let sealed = seal(b"key", b"value", 7);
        assert_eq!(unseal(b"key", &sealed, 7).as_deref(), Some(&b"value"[..]));
        assert_eq!(unseal(b"kex", &sealed, 7), None);
        assert_eq!(unseal(b"key", &sealed, 8), None);
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(unseal(b"key", &damaged, 7), None);
            assert_eq!(unseal(b"key", &sealed[..at], 7), None);
        }
        assert_eq!(of_key(&key(b"a")), Some(&b"a"[..]));
        assert_eq!(of_key(b""), None);
    }
}
