//! The one secret from which a broker's transport keys follow.
//!
//! It outlives the process: with the same secret a restarted broker knows the connection ids and
//! session tickets of the previous one, and its stateless resets tell the old clients at once that
//! their connections are gone.

use std::sync::Arc;

use aws_lc_rs::{aead, hkdf, hmac};
use quinn_proto::crypto::{HandshakeTokenKey, HmacKey};

/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// A broker's transport secret, shared by its shards.
///
/// It must come from a cryptographic source of randomness, and be kept as well as a private key.
#[derive(Clone)]
pub struct Secret {
    prk: Arc<hkdf::Prk>,
}

impl Secret {
    /// The secret with these bytes.
    #[must_use]
    pub fn new(bytes: &[u8; SECRET_BYTES]) -> Self {
        let prk = hkdf::Salt::new(hkdf::HKDF_SHA256, b"sampan transport").extract(bytes);
        Secret { prk: Arc::new(prk) }
    }

    /// What signs stateless reset tokens.
    pub(crate) fn reset_key(&self) -> Arc<dyn HmacKey> {
        Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &self.derive(&[b"reset"])))
    }

    /// What seals retry tokens.
    pub(crate) fn token_key(&self) -> Arc<dyn HandshakeTokenKey> {
        Arc::new(hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &self.derive(&[b"token"])))
    }

    /// What signs connection ids.
    pub(crate) fn id_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.derive(&[b"connection id"]))
    }

    /// What seals the session tickets that carry this salt.
    pub(crate) fn ticket_key(&self, salt: &[u8]) -> Option<aead::LessSafeKey> {
        let bytes = self.derive(&[b"ticket", salt]);
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, &bytes).ok()?;
        Some(aead::LessSafeKey::new(key))
    }

    fn derive(&self, label: &[&[u8]]) -> [u8; SECRET_BYTES] {
        let mut out = [0; SECRET_BYTES];
        self.prk
            .expand(label, hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut out))
            .expect("HKDF gives as many bytes as its hash has");
        out
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_secrets_give_different_keys() {
        let a = Secret::new(&[1; SECRET_BYTES]);
        let b = Secret::new(&[2; SECRET_BYTES]);
        assert_eq!(a.derive(&[b"x"]), a.derive(&[b"x"]));
        assert_ne!(a.derive(&[b"x"]), a.derive(&[b"y"]));
        assert_ne!(a.derive(&[b"x"]), b.derive(&[b"x"]));
    }
}
