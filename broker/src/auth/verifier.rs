//! From a token's text to an identity, in an order that spends nothing on what cannot be valid.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::claims::Claims;
use super::config::Config;
use super::error::Error;
use super::header::Header;
use super::identity::Identity;
use super::jwks::{self, Sources};
use super::keyring::{Keyring, Source};
use super::refused::Refused;
use super::revocation::Revocations;
use super::rules::Rules;
use super::secret::Secret;
use super::unique;

/// Longest token looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Checks tokens. Shared by all threads.
#[derive(Debug)]
pub struct Verifier {
    rules: Rules,
    pub(super) keyring: Keyring,
    pub(super) sources: Sources,
    revocations: Arc<Revocations>,
}

impl Verifier {
    /// Makes a verifier; `jwt_secret` is the variable `JWT_SECRET`, ahead of `secret_file`.
    ///
    /// Reads the key files. Keys of a URL come with [`jwks::run`].
    ///
    /// # Errors
    ///
    /// [`Error`]: the configuration is checked as a whole here and nowhere else.
    pub fn new(
        config: &Config,
        jwt_secret: Option<Secret>,
        revocations: Arc<Revocations>,
    ) -> Result<Self, Error> {
        if !config.has_keys() && jwt_secret.is_none() {
            return Err(Error::NoKeys);
        }
        let rules = config.rules()?;
        let sources = config.sources()?;
        let keyring = Keyring::new(config.fixed_keys(jwt_secret)?);
        if let Some(path) = &sources.file {
            let body = jwks::read_file(path).map_err(|error| Error::File(path.clone(), error))?;
            let document = jwks::Document::parse(&body, &rules.algorithms)
                .map_err(|error| Error::KeySet(path.clone(), error))?;
            keyring.publish(Source::File, document.keys);
        }
        Ok(Self { rules, keyring, sources, revocations })
    }

    /// Checks a token, without a `Bearer` in front of it, at the time given.
    ///
    /// The answer depends on the token, the keys and revocations in force and `now_unix_ms`
    /// (wall time) alone. Costs a signature check and no I/O; never waits. A token that names an unknown key also wakes [`jwks::run`].
    ///
    /// # Errors
    ///
    /// [`Refused`], whose text is the same for every reason.
    pub fn verify(&self, token: &str, now_unix_ms: u64) -> Result<Identity, Refused> {
        if token.is_empty() {
            return Err(Refused::Missing);
        }
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(Refused::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(Refused::Malformed)?;
        if payload.contains('.') {
            return Err(Refused::Malformed);
        }
        let header = Header::parse(&decode(header)?)?;
        if !self.rules.algorithms.contains(&header.algorithm) {
            return Err(Refused::Algorithm);
        }
        self.keyring.check(&header, message, signature)?;
        let claims = Claims::new(decode(payload)?);
        let identity = self.rules.admit(&claims, now_unix_ms)?;
        if self.revocations.is_revoked(&identity) {
            return Err(Refused::Revoked);
        }
        Ok(identity)
    }

    /// The revocations that this verifier looks at.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Keys in force and refreshes so far, for metrics. Without keys no token is accepted yet.
    pub fn key_counts(&self) -> jwks::Counts {
        jwks::Counts {
            keys: self.keyring.count(),
            refreshes: self.keyring.refreshes.load(Ordering::Relaxed),
            failures: self.keyring.failures.load(Ordering::Relaxed),
        }
    }

    pub(super) fn parse_key_set(&self, body: &[u8]) -> Result<jwks::Document, jwks::DocumentError> {
        jwks::Document::parse(body, &self.rules.algorithms)
    }
}

/// Decodes the header or the payload.
fn decode(part: &str) -> Result<Map<String, Value>, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Refused::Malformed)?;
    unique::object(&bytes).ok_or(Refused::Malformed)
}
