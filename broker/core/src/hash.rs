//! A hasher for ids that the broker itself hands out.

use std::hash::{BuildHasher, Hasher};

/// Builds [`IdHasher`]s. Only for keys that peers cannot choose: it does not resist collisions on
/// purpose.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHash;

/// Spreads one u64 by a multiplication and a fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

impl BuildHasher for IdHash {
    type Hasher = IdHasher;

    fn build_hasher(&self) -> IdHasher {
        IdHasher(0)
    }
}

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let mixed = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

/// A map keyed by broker-made ids, without randomness and so with the same order in every run.
pub type IdMap<V> = std::collections::HashMap<u64, V, IdHash>;
