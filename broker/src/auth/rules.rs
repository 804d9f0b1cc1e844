//! The checked form of the configuration, and the claim checks that it asks for.

use serde_json::Value;

use super::claims::Claims;
use super::identity::{Identity, Role};
use super::keys::Algorithm;
use super::refused::Refused;

/// What a token's claims must satisfy. Built once by `Config`; needs no further checks.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) issuer: Option<String>,
    pub(super) audience: Vec<String>,
    pub(super) leeway_ms: u64,
    pub(super) role_claims: Vec<String>,
}

impl Rules {
    /// Turns the claims of a token with a good signature into an identity.
    ///
    /// Revocation is not looked at.
    pub(super) fn admit(&self, claims: &Claims, now_unix_ms: u64) -> Result<Identity, Refused> {
        let expires_unix_ms = claims.time("exp")?.ok_or(Refused::Claims)? * 1000;
        let not_before_ms = claims.time("nbf")?.map(|seconds| seconds * 1000);
        let issued_unix_ms = claims.time("iat")?.map(|seconds| seconds * 1000);
        let user = claims.id("sub")?.ok_or(Refused::Claims)?;
        let token_id = claims.id("jti")?;

        if now_unix_ms >= expires_unix_ms + self.leeway_ms {
            return Err(Refused::Expired);
        }
        let horizon_ms = now_unix_ms.saturating_add(self.leeway_ms);
        if [not_before_ms, issued_unix_ms].into_iter().flatten().any(|time| time > horizon_ms) {
            return Err(Refused::NotYetValid);
        }
        if self.issuer.as_ref().is_some_and(|issuer| !claims.is_from(issuer)) {
            return Err(Refused::Issuer);
        }
        if !self.audience.is_empty() && !claims.is_for(&self.audience) {
            return Err(Refused::Audience);
        }
        let role = self.role(claims)?;
        Ok(Identity { user, role, expires_unix_ms, issued_unix_ms, token_id })
    }

    /// The first path that is present decides, also when its role is unknown.
    ///
    /// Falling through to the next would give a token with a misspelt role another role.
    fn role(&self, claims: &Claims) -> Result<Role, Refused> {
        self.role_claims
            .iter()
            .find_map(|path| claims.at(path))
            .and_then(Value::as_str)
            .and_then(Role::parse)
            .ok_or(Refused::Role)
    }
}
