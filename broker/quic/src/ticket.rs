//! Session tickets that every shard, and the next process, can open.
//!
//! A ticket is `salt (16) | counter (8) | sealed state`. The salt is this process's own, so that
//! the key it leads to seals with each counter once, without any randomness of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::aead;
use rustls::server::ProducesTickets;

use crate::secret::Secret;

const SALT_BYTES: usize = 16;
const COUNTER_BYTES: usize = 8;
/// How long clients may keep a ticket. It saves a signature on reconnect, and a client that has
/// been away for longer can afford one.
const LIFETIME_S: u32 = 6 * 3600;

/// Seals and opens session tickets.
pub(crate) struct Tickets {
    secret: Secret,
    salt: [u8; SALT_BYTES],
    own: aead::LessSafeKey,
    sealed: AtomicU64,
}

impl Tickets {
    /// Tickets of a process whose `seed` no other process with this secret has had.
    pub(crate) fn new(secret: &Secret, seed: &[u8; 32]) -> Option<Self> {
        let mut salt = [0; SALT_BYTES];
        salt.copy_from_slice(&seed[..SALT_BYTES]);
        let own = secret.ticket_key(&salt)?;
        Some(Tickets { secret: secret.clone(), salt, own, sealed: AtomicU64::new(0) })
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let counter = self.sealed.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        let mut state = plain.to_vec();
        let aad = aead::Aad::from(self.salt);
        self.own.seal_in_place_append_tag(nonce(counter), aad, &mut state).ok()?;
        let mut ticket = Vec::with_capacity(SALT_BYTES + COUNTER_BYTES + state.len());
        ticket.extend_from_slice(&self.salt);
        ticket.extend_from_slice(&counter);
        ticket.append(&mut state);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = ticket.split_first_chunk::<SALT_BYTES>()?;
        let (counter, sealed) = rest.split_first_chunk::<COUNTER_BYTES>()?;
        let mut state = sealed.to_vec();
        let aad = aead::Aad::from(*salt);
        let plain = if *salt == self.salt {
            self.own.open_in_place(nonce(*counter), aad, &mut state).ok()?.len()
        } else {
            let key = self.secret.ticket_key(salt)?;
            key.open_in_place(nonce(*counter), aad, &mut state).ok()?.len()
        };
        state.truncate(plain);
        Some(state)
    }
}

fn nonce(counter: [u8; COUNTER_BYTES]) -> aead::Nonce {
    let mut bytes = [0; aead::NONCE_LEN];
    bytes[..COUNTER_BYTES].copy_from_slice(&counter);
    aead::Nonce::assume_unique_for_key(bytes)
}

impl std::fmt::Debug for Tickets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tickets")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tickets(secret: u8, seed: u8) -> Tickets {
        Tickets::new(&Secret::new(&[secret; 32]), &[seed; 32]).expect("a key")
    }

    #[test]
    fn the_next_process_opens_what_this_one_sealed() {
        let ticket = tickets(1, 1).encrypt(b"state").expect("sealed");
        assert_eq!(tickets(1, 1).decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(tickets(1, 2).decrypt(&ticket).as_deref(), Some(&b"state"[..]));
        assert_eq!(tickets(2, 1).decrypt(&ticket), None);
    }

    #[test]
    fn a_changed_or_cut_ticket_is_refused() {
        let tickets = tickets(1, 1);
        let ticket = tickets.encrypt(b"state").expect("sealed");
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "{at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None, "{at}");
        }
    }

    #[test]
    fn no_two_tickets_are_alike() {
        let tickets = tickets(1, 1);
        assert_ne!(tickets.encrypt(b"state"), tickets.encrypt(b"state"));
    }
}
