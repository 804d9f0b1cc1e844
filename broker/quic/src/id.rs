//! Connection ids that name their shard and prove that they are ours.
//!
//! ```text
//! | shard byte | nonce (3) | signature (4) |
//! ```
//!
//! The first byte modulo the number of shards is the shard, which is the rule that the sockets
//! steer by. The nonce is a keyed hash of a counter, so ids of one connection cannot be told to
//! belong together. The signature lets a restarted broker answer strangers' packets with silence
//! and its former clients' with a reset.

use std::time::Duration;

use aws_lc_rs::hmac;
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};

/// Bytes of a connection id.
const ID_BYTES: usize = 8;
/// Bytes ahead of the signature.
const SIGNED_BYTES: usize = 4;

/// Makes and recognises the connection ids of one shard.
#[derive(Clone)]
pub(crate) struct Ids {
    key: hmac::Key,
    seed: [u8; 32],
    made: u64,
    shard: u8,
    shards: u8,
}

impl Ids {
    /// The ids of `shard`; `seed` makes them differ from those of other processes and shards.
    pub(crate) fn new(key: hmac::Key, seed: [u8; 32], shard: u8, shards: u8) -> Self {
        Ids { key, seed, made: 0, shard, shards: shards.max(1) }
    }

    fn signature(&self, signed: &[u8]) -> [u8; ID_BYTES - SIGNED_BYTES] {
        let tag = hmac::sign(&self.key, signed);
        let mut out = [0; ID_BYTES - SIGNED_BYTES];
        for (to, from) in out.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        out
    }

    /// A byte that names the shard, chosen among those that do by `random`.
    fn shard_byte(&self, random: u8) -> u8 {
        let turns = (u8::MAX - self.shard) / self.shards;
        let turn = u16::from(random) * (u16::from(turns) + 1) / 256;
        self.shard + u8::try_from(turn).unwrap_or(0) * self.shards
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made += 1;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&self.seed);
        context.update(&self.made.to_le_bytes());
        let random = context.sign();
        let mut id = [0; ID_BYTES];
        for (to, from) in id.iter_mut().zip(random.as_ref()).take(SIGNED_BYTES) {
            *to = *from;
        }
        id[0] = self.shard_byte(id[0]);
        let signature = self.signature(&id[..SIGNED_BYTES]);
        id[SIGNED_BYTES..].copy_from_slice(&signature);
        ConnectionId::new(&id)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match id.split_at_checked(SIGNED_BYTES) {
            Some((signed, signature)) if self.signature(signed) == signature => Ok(()),
            _ => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::secret::Secret;

    fn ids(seed: u8, shard: u8, shards: u8) -> Ids {
        Ids::new(Secret::new(&[7; 32]).id_key(), [seed; 32], shard, shards)
    }

    #[test]
    fn every_id_names_its_shard_and_is_recognised() {
        for shards in [1, 2, 3, 7, 64, 255] {
            for shard in [0, shards / 2, shards - 1] {
                let mut ids = ids(1, shard, shards);
                for _ in 0..64 {
                    let id = ids.generate_cid();
                    assert_eq!(id[0] % shards, shard);
                    assert!(ids.validate(&id).is_ok());
                }
            }
        }
    }

    #[test]
    fn ids_are_new_and_spread_over_the_first_byte() {
        let mut ids = ids(1, 1, 2);
        let made: Vec<_> = (0..2000).map(|_| ids.generate_cid()).collect();
        assert_eq!(made.iter().map(|id| id.to_vec()).collect::<BTreeSet<_>>().len(), made.len());
        assert_eq!(made.iter().map(|id| id[0]).collect::<BTreeSet<_>>().len(), 128);
    }

    #[test]
    fn another_seed_gives_other_ids_that_are_recognised_all_the_same() {
        let (mut before, mut after) = (ids(1, 0, 2), ids(2, 0, 4));
        let id = before.generate_cid();
        assert_ne!(id, after.generate_cid());
        assert!(after.validate(&id).is_ok());
    }

    #[test]
    fn a_forged_id_is_not_recognised() {
        let mut ids = ids(1, 0, 1);
        let mut id = ids.generate_cid();
        id[1] ^= 1;
        assert!(ids.validate(&id).is_err());
    }
}
