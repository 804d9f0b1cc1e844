//! One revocation: which tokens it ends, and until when it must be remembered.

use serde::{Deserialize, Serialize};

use crate::auth::identity::Identity;

/// What to revoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The token with this id (`jti`).
    Token(String),
    /// Every token of this user issued up to the moment of revocation.
    User(String),
    /// Every token issued before this Unix time in milliseconds.
    IssuedBefore(u64),
}

/// A revocation in force. Match it against live identities to end their connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// Which tokens.
    pub target: Target,
    /// When it was made, in Unix milliseconds.
    pub revoked_unix_ms: u64,
    /// When every affected token has expired, in Unix milliseconds, and it is forgotten.
    pub until_unix_ms: u64,
}

impl Revocation {
    /// Whether it ends the token that `identity` came from.
    ///
    /// `iat` counts whole seconds, so a token issued in the second of its user's revocation is
    /// taken to be older. A token without `iat` may be of any age, so it is never spared.
    pub fn matches(&self, identity: &Identity) -> bool {
        match &self.target {
            Target::Token(id) => identity.token_id.as_ref() == Some(id),
            Target::User(user) => {
                identity.user == *user && is_of_age(identity, self.revoked_unix_ms)
            }
            Target::IssuedBefore(time_ms) => is_before(identity, *time_ms),
        }
    }
}

/// Whether the token is from `revoked_unix_ms` or earlier, as far as it says.
pub(super) fn is_of_age(identity: &Identity, revoked_unix_ms: u64) -> bool {
    identity.issued_unix_ms.is_none_or(|issued| issued <= revoked_unix_ms)
}

/// Whether the token is from before `time_ms`, as far as it says.
pub(super) fn is_before(identity: &Identity, time_ms: u64) -> bool {
    identity.issued_unix_ms.is_none_or(|issued| issued < time_ms)
}
