//! Making HS256 tokens for the command line, development and tests. Checks nothing about the
//! caller: whoever holds the secret may be anyone.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};

use super::config::Config;
use super::identity::{Role, is_id};
use super::secret::Secret;

/// What a token to be made says.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    /// The `sub` claim: 1 to 128 bytes without control characters.
    pub user: &'a str,
    /// The role, at the claim path `role_claim`.
    pub role: Role,
    /// From now to `exp`, rounded up to seconds; zero is refused.
    pub ttl: Duration,
    /// The claim path of the role; a dot nests.
    pub role_claim: &'a str,
    /// The `iss` claim, if any.
    pub issuer: Option<&'a str>,
    /// The `aud` claim, if any.
    pub audience: Option<&'a str>,
}

impl<'a> NewToken<'a> {
    /// A token that a verifier with `config` accepts: its issuer, first audience and role path.
    pub fn new(config: &'a Config, user: &'a str, role: Role, ttl: Duration) -> Self {
        let paths = &config.role_claims;
        let role_claim = match paths.iter().find(|path| *path == "role") {
            Some(path) => path,
            None => paths.first().map_or("role", String::as_str),
        };
        let audience = config.audience.first().map(String::as_str);
        Self { user, role, ttl, role_claim, issuer: config.issuer.as_deref(), audience }
    }

    fn claims(&self, now_unix_ms: u64, token_id: String) -> Result<Value, Error> {
        let issued = now_unix_ms / 1000;
        let ttl_s = self.ttl.as_millis().div_ceil(1000);
        let expires = u64::try_from(ttl_s).ok().and_then(|ttl| issued.checked_add(ttl));
        let expires = expires.filter(|at| (issued + 1..=1 << 53).contains(at));
        let expires = expires.ok_or(Error::Ttl)?;
        let mut claims = Map::new();
        claims.insert("sub".into(), self.user.into());
        claims.insert("iat".into(), issued.into());
        claims.insert("exp".into(), expires.into());
        claims.insert("jti".into(), token_id.into());
        if let Some(issuer) = self.issuer {
            claims.insert("iss".into(), issuer.into());
        }
        if let Some(audience) = self.audience {
            claims.insert("aud".into(), audience.into());
        }
        let mut names = self.role_claim.split('.').rev();
        let last = names.next().unwrap_or("role");
        let role = Value::from(self.role.as_str());
        let (first, value) =
            names.fold((last, role), |(name, value), outer| (outer, json!({ name: value })));
        claims.insert(first.into(), value);
        Ok(claims.into())
    }
}

/// Makes a token with a random id and without a key id.
///
/// `now_unix_ms` is when it is issued; revocation by user goes by it.
///
/// # Errors
///
/// [`Error`]: the caller's mistake, except for [`Error::Random`].
pub fn mint(secret: &Secret, token: &NewToken<'_>, now_unix_ms: u64) -> Result<String, Error> {
    if !is_id(token.user) {
        return Err(Error::User);
    }
    let mut id = [0; 16];
    rand::fill(&mut id).map_err(|_| Error::Random)?;
    let claims = token.claims(now_unix_ms, URL_SAFE_NO_PAD.encode(id))?;
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(|_| Error::Random)
}

/// Why a token is not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The user id is empty, over 128 bytes or has control characters.
    User,
    /// The life is zero or ends beyond 2^53 seconds.
    Ttl,
    /// The system's cryptography does not work: no random bytes, or no signature.
    Random,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::User => "a user id has 1 to 128 bytes and no control characters",
            Self::Ttl => "a token lives at least one second and ends before 2^53",
            Self::Random => "the system's cryptography does not work",
        })
    }
}

impl std::error::Error for Error {}
