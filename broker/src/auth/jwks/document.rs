//! A JSON Web Key Set (RFC 7517), of which only keys that fit are taken.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use crate::auth::keys::{Algorithm, Key};

/// Keys taken from one set at most; a token without a key id is tried against each.
const KEYS_MAX: usize = 32;

/// The usable keys of a set.
#[derive(Debug)]
pub(in crate::auth) struct Document {
    pub(in crate::auth) keys: Vec<Key>,
    /// Keys that are for something else, not allowed, or not sound.
    pub(in crate::auth) skipped: usize,
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Document {
    /// Reads a set. One unusable key does not spoil the others; an empty set is a set.
    pub(in crate::auth) fn parse(
        body: &[u8],
        allowed: &[Algorithm],
    ) -> Result<Self, DocumentError> {
        let set: Set = serde_json::from_slice(body).map_err(|_| DocumentError::NotAKeySet)?;
        if set.keys.len() > KEYS_MAX {
            return Err(DocumentError::TooMany);
        }
        let total = set.keys.len();
        let jwks = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<Key> = jwks
            .filter_map(|jwk| jwk.key())
            .filter(|key| allowed.contains(&key.algorithm))
            .collect();
        Ok(Self { skipped: total - keys.len(), keys })
    }
}

impl Jwk {
    /// The key, unless it is not one that checks tokens.
    ///
    /// `oct` is not among the types: a published secret is no secret.
    fn key(self) -> Option<Key> {
        if self.usage.as_ref().is_some_and(|usage| usage != "sig")
            || self.key_ops.as_ref().is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
        {
            return None;
        }
        let (algorithm, bytes) = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", None) => (Algorithm::RS256, self.rsa()?),
            ("EC", Some("P-256")) => (Algorithm::ES256, self.point()?),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDSA, decode(self.x.as_deref())?),
            _ => return None,
        };
        let is_for_it = match self.alg.as_deref() {
            None => true,
            Some("Ed25519") => algorithm == Algorithm::EdDSA,
            Some(name) => name == algorithm.as_str(),
        };
        is_for_it.then(|| Key::public(self.kid, algorithm, &bytes))?
    }

    fn rsa(&self) -> Option<Vec<u8>> {
        let n = decode(self.n.as_deref())?;
        let e = decode(self.e.as_deref())?;
        let der = RsaPublicKeyComponents { n, e }.as_der().ok()?;
        Some(der.as_ref().to_vec())
    }

    fn point(&self) -> Option<Vec<u8>> {
        let x = decode(self.x.as_deref())?;
        let y = decode(self.y.as_deref())?;
        Some([&[4], &x[..], &y[..]].concat())
    }
}

fn decode(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

/// Why a document is not taken as a key set. Its publisher's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not a JSON object with a list `keys`.
    NotAKeySet,
    /// Over 32 keys.
    TooMany,
}

impl std::fmt::Display for DocumentError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "not a JSON Web Key Set",
            Self::TooMany => "more than 32 keys",
        })
    }
}

impl std::error::Error for DocumentError {}
