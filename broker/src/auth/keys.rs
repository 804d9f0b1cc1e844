//! A key that checks signatures, tied to one algorithm for its whole life.

use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
};
use jsonwebtoken::{DecodingKey, crypto};
use serde::Deserialize;

use super::secret::Secret;

/// A signature algorithm that tokens may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Algorithm {
    /// HMAC with SHA-256, by a shared secret.
    HS256,
    /// RSA PKCS#1 v1.5 with SHA-256, by a key of 2048 to 8192 bits.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Every supported algorithm.
    pub const ALL: [Self; 4] = [Self::HS256, Self::RS256, Self::ES256, Self::EdDSA];

    /// Reads an algorithm as a token's header spells it; `none` is not one.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// The algorithm's name in headers and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HS256 => "HS256",
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::EdDSA => "EdDSA",
        }
    }

    fn as_jwt(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::HS256 => jsonwebtoken::Algorithm::HS256,
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A verification key with its one algorithm and, if it has one, its id.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// The shared secret. HS256 keys have no other source, so a public key is never an HMAC key.
    pub(super) fn secret(id: Option<String>, secret: &Secret) -> Self {
        let key = DecodingKey::from_secret(secret.as_bytes());
        Self { id, algorithm: Algorithm::HS256, key }
    }

    /// A public key: a DER SubjectPublicKeyInfo, or for ES256 and EdDSA also the raw point.
    ///
    /// `None` when the bytes are not a sound key for `algorithm`, and always for HS256.
    pub(super) fn public(id: Option<String>, algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let key = match algorithm {
            Algorithm::HS256 => return None,
            Algorithm::RS256 => {
                // Parsing leaves the size unchecked, and too small a key would then only show as
                // a bad signature.
                let bits = PublicEncryptingKey::from_der(bytes).ok()?.key_size_bits();
                ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, bytes).ok()?;
                (2048..=8192).contains(&bits).then(|| DecodingKey::from_rsa_der(bytes))?
            }
            Algorithm::ES256 => {
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes).ok()?;
                DecodingKey::from_ec_der(bytes)
            }
            Algorithm::EdDSA => {
                ParsedPublicKey::new(&ED25519, bytes).ok()?;
                DecodingKey::from_ed_der(bytes)
            }
        };
        Some(Self { id, algorithm, key })
    }

    /// Whether `signature` (base64url) is this key's over `message`.
    pub(super) fn is_signed(&self, message: &str, signature: &str) -> bool {
        let algorithm = self.algorithm.as_jwt();
        crypto::verify(signature, message.as_bytes(), &self.key, algorithm).unwrap_or(false)
    }
}
