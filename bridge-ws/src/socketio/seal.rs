//! The id that an unmodified client of Socket.IO keeps for its next connection: who it was and where
//! it began, sealed, so that only the broker that made it can read it, in this run or a later one.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_protocol::Code;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// Bytes of an id that are looked at.
const BYTES_MAX: usize = 4096;

/// What an id says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begun {
    /// User id.
    pub(super) user: String,
    /// The session's name towards the client.
    pub(super) sid: String,
    /// Rooms at the beginning and their positions.
    pub(super) rooms: String,
}

/// Seals and opens ids under a key.
pub(crate) struct Seal(pub(crate) [u8; 32]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    fn key(&self) -> Option<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, &self.0).ok()
    }

    /// The id that says this.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn close(&self, begun: &Begun) -> Result<String, Failure> {
        let failed = || Failure::new(Code::RESTARTED, "an id could not be sealed");
        let mut bytes = serde_json::to_vec(begun).map_err(|_| failed())?;
        let key = self.key().ok_or_else(failed)?;
        let nonce = key.seal_in_place_append_tag(Aad::empty(), &mut bytes);
        let mut sealed = nonce.map_err(|_| failed())?.as_ref().to_vec();
        sealed.append(&mut bytes);
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// What an id says; `None` if it is not one of ours.
    pub(super) fn open(&self, id: &str) -> Option<Begun> {
        if id.len() > BYTES_MAX {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(id).ok()?;
        let (nonce, text) = sealed.split_at_mut_checked(AES_256_GCM.nonce_len())?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key()?.open_in_place(nonce, Aad::empty(), text).ok()?;
        serde_json::from_slice(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal(byte: u8) -> Seal {
        Seal([byte; 32])
    }

    #[test]
    fn only_an_unchanged_id_under_the_same_key_can_be_read() {
        let begun =
            Begun { user: "ann".to_owned(), sid: "s".to_owned(), rooms: "a=1:2".to_owned() };
        let id = seal(1).close(&begun).expect("sealed");
        assert_ne!(id, seal(1).close(&begun).expect("sealed"), "no two are alike");
        assert_eq!(seal(1).open(&id), Some(begun), "also in a later run");
        assert_eq!(seal(2).open(&id), None, "another broker's");
        let mut bytes = URL_SAFE_NO_PAD.decode(&id).expect("base64");
        for at in 0..bytes.len() {
            bytes[at] ^= 1;
            assert_eq!(seal(1).open(&URL_SAFE_NO_PAD.encode(&bytes)), None, "byte {at}");
            bytes[at] ^= 1;
        }
        for bad in ["", "x", "!", "AAAA", &"A".repeat(BYTES_MAX + 1)] {
            assert_eq!(seal(1).open(bad), None, "{bad}");
        }
    }
}
