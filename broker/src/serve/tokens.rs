//! The judge of tokens that shards ask: the verifier, and the broker's own session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_core::grant;
use sampan_protocol::Code;

use crate::auth::{self, Refused, Revocation, Verifier};

/// User of the broker's own session.
const OWN_USER: &str = "sampan";

/// How long the broker's own session goes without a fresh token.
const OWN_TTL_MS: u64 = 24 * 3600 * 1000;

/// Judges tokens. Never waits, so shard threads may call it.
#[derive(Debug)]
pub(super) struct Tokens {
    verifier: ArcSwap<Verifier>,
    /// The token of the broker's own session; it never leaves the process.
    own: String,
    /// The id of that token, by which its session is told from all others.
    own_id: Arc<str>,
    /// Whether an unknown key may be known soon.
    follows_keys: bool,
    accepted: AtomicU64,
    refused: BTreeMap<&'static str, AtomicU64>,
}

impl Tokens {
    /// A judge; `None` if the system gives no random bytes.
    pub(super) fn new(verifier: Arc<Verifier>, follows_keys: bool) -> Option<Self> {
        let mut random = [0; 48];
        rand::fill(&mut random).ok()?;
        let (own, id) = random.split_at(32);
        let label = |refused: Refused| (refused.label(), AtomicU64::new(0));
        Some(Tokens {
            verifier: ArcSwap::new(verifier),
            own: URL_SAFE_NO_PAD.encode(own),
            own_id: Arc::from(URL_SAFE_NO_PAD.encode(id)),
            follows_keys,
            accepted: AtomicU64::new(0),
            refused: Refused::ALL.map(label).into(),
        })
    }

    /// Judges by another verifier from here on. Sessions that are live stay.
    pub(super) fn replace(&self, verifier: Arc<Verifier>) {
        self.verifier.store(verifier);
    }

    /// The verifier in force.
    pub(super) fn verifier(&self) -> Arc<Verifier> {
        self.verifier.load_full()
    }

    /// The token for the broker's own session.
    pub(super) fn own(&self) -> String {
        self.own.clone()
    }

    /// Who the token names, or the code to refuse it with.
    pub(super) fn judge(&self, token: &str, now_ms: u64) -> Result<grant::Identity, Code> {
        if verify_slices_are_equal(token.as_bytes(), self.own.as_bytes()).is_ok() {
            return Ok(grant::Identity {
                user: Arc::from(OWN_USER),
                role: grant::Role::Service,
                expires_ms: now_ms + OWN_TTL_MS,
                issued_ms: Some(now_ms),
                token_id: Some(self.own_id.clone()),
            });
        }
        match self.verifier.load().verify(token, now_ms) {
            Ok(identity) => {
                self.accepted.fetch_add(1, Ordering::Relaxed);
                Ok(to_core(identity))
            }
            Err(refused) => {
                if let Some(count) = self.refused.get(refused.label()) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(self.code(refused))
            }
        }
    }

    /// Picks the sessions that a revocation ends. The broker's own is never one of them.
    pub(super) fn ended_by(
        &self,
        revocation: Revocation,
    ) -> impl Fn(&grant::Identity) -> bool + Send + Sync + 'static {
        let is_own = self.is_own();
        move |identity| !is_own(identity) && revocation.matches(&to_auth(identity))
    }

    /// Whether a session is the broker's own, or its services'.
    pub(super) fn is_own(&self) -> impl Fn(&grant::Identity) -> bool + Send + Sync + 'static {
        let own_id = self.own_id.clone();
        move |identity| identity.token_id.as_deref() == Some(&*own_id)
    }

    /// Tokens accepted, and refused by reason.
    pub(super) fn counts(&self) -> (u64, Vec<(&'static str, u64)>) {
        let refused = self.refused.iter().map(|(why, n)| (*why, n.load(Ordering::Relaxed)));
        (self.accepted.load(Ordering::Relaxed), refused.collect())
    }

    fn code(&self, refused: Refused) -> Code {
        match refused {
            Refused::Expired => Code::TOKEN_EXPIRED,
            Refused::Revoked => Code::REVOKED,
            // The published keys may be behind their issuer for some seconds.
            Refused::UnknownKey if self.follows_keys => Code::RESTARTED,
            _ => Code::BAD_TOKEN,
        }
    }
}

fn to_core(identity: auth::Identity) -> grant::Identity {
    let auth::Identity { user, role, expires_unix_ms, issued_unix_ms, token_id } = identity;
    let role = match role {
        auth::Role::Customer => grant::Role::Customer,
        auth::Role::Agent => grant::Role::Agent,
        auth::Role::Admin => grant::Role::Admin,
        auth::Role::Service => grant::Role::Service,
    };
    grant::Identity {
        user: user.into(),
        role,
        expires_ms: expires_unix_ms,
        issued_ms: issued_unix_ms,
        token_id: token_id.map(Arc::from),
    }
}

fn to_auth(identity: &grant::Identity) -> auth::Identity {
    auth::Identity {
        user: identity.user.to_string(),
        role: match identity.role {
            grant::Role::Customer => auth::Role::Customer,
            grant::Role::Agent => auth::Role::Agent,
            grant::Role::Admin => auth::Role::Admin,
            grant::Role::Service => auth::Role::Service,
        },
        expires_unix_ms: identity.expires_ms,
        issued_unix_ms: identity.issued_ms,
        token_id: identity.token_id.as_deref().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::{Config, NewToken, Revocations, Role, Secret, Target, mint};

    const NOW_MS: u64 = 1_700_000_000_000;

    fn tokens(directory: &tempfile::TempDir) -> (Tokens, Secret) {
        let secret = Secret::from_text("a secret of more than thirty-two bytes").expect("long");
        let path = directory.path().join("revocations");
        let revocations = Revocations::open(path, Duration::from_secs(60), NOW_MS).expect("new");
        let verifier =
            Verifier::new(&Config::default(), Some(secret.clone()), Arc::new(revocations));
        let tokens = Tokens::new(Arc::new(verifier.expect("valid")), false).expect("random");
        (tokens, secret)
    }

    #[test]
    fn tokens_become_identities_or_codes_and_are_counted() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (tokens, secret) = tokens(&directory);
        let config = Config::default();
        let new = NewToken::new(&config, "u1", Role::Agent, Duration::from_secs(60));
        let token = mint(&secret, &new, NOW_MS).expect("minted");
        let identity = tokens.judge(&token, NOW_MS).expect("accepted");
        assert_eq!((&*identity.user, identity.role), ("u1", grant::Role::Agent));
        let late = tokens.judge(&token, NOW_MS + 120_000);
        assert_eq!(late, Err(Code::TOKEN_EXPIRED));
        assert_eq!(tokens.judge("x.y.z", NOW_MS), Err(Code::BAD_TOKEN));
        let (accepted, refused) = tokens.counts();
        let expired = refused.iter().find(|(why, _)| *why == "expired");
        assert_eq!((accepted, expired), (1, Some(&("expired", 1))));
    }

    #[test]
    fn no_revocation_ends_the_broker_itself() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (tokens, _) = tokens(&directory);
        let own = tokens.judge(&tokens.own(), NOW_MS).expect("accepted");
        let twin = grant::Identity { token_id: Some(Arc::from("other")), ..own.clone() };
        for target in [Target::User(OWN_USER.to_owned()), Target::IssuedBefore(NOW_MS + 1)] {
            let revocation =
                Revocation { target, revoked_unix_ms: NOW_MS, until_unix_ms: NOW_MS + 1 };
            let ended = tokens.ended_by(revocation);
            assert!(!ended(&own));
            assert!(ended(&twin));
        }
    }
}
