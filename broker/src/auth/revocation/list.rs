//! The revocations in force: looked up at every verification, kept in one small file.
//!
//! Ends no connection; whoever holds the live identities does, with the [`Revocation`].

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::file::{self, Error};
use super::target::{Revocation, Target, is_before, is_of_age};
use crate::auth::identity::{Identity, is_id};

/// Longest life of a token that revocation counts on unless told otherwise: 7 days.
pub const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// Revocations in force at most, over tokens and users. The list is copied while one is
/// added, so its memory counts twice for that moment.
const REVOCATIONS_MAX: usize = 100_000;

/// The revocations in force. Shared by all verifying threads; looking up never waits.
#[derive(Debug)]
pub struct Revocations {
    path: PathBuf,
    max_token_lifetime_ms: u64,
    count_max: usize,
    table: ArcSwap<Table>,
    writing: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    tokens: HashMap<String, Moment>,
    users: HashMap<String, Moment>,
    issued_before: Option<(u64, Moment)>,
}

#[derive(Clone, Copy, Debug)]
struct Moment {
    revoked_unix_ms: u64,
    until_unix_ms: u64,
}

impl Revocations {
    /// Opens the revocations kept at `path`, none if there is no such file.
    ///
    /// A revocation is forgotten `max_token_lifetime` after it is made, when the tokens it ends
    /// have expired. A token with a longer life outlives its revocation, so this must be the
    /// longest life that any issuer gives; see [`MAX_TOKEN_LIFETIME`]. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the file is not what was written. It is never dropped
    /// silently: that would bring revoked tokens back.
    pub fn open(
        path: impl Into<PathBuf>,
        max_token_lifetime: Duration,
        now_unix_ms: u64,
    ) -> Result<Self, Error> {
        let path = path.into();
        let mut table = Table::default();
        for revocation in file::load(&path)? {
            table.insert(&revocation);
        }
        table.prune(now_unix_ms);
        let max_token_lifetime_ms =
            u64::try_from(max_token_lifetime.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            path,
            max_token_lifetime_ms,
            count_max: REVOCATIONS_MAX,
            table: ArcSwap::from_pointee(table),
            writing: Mutex::new(()),
        })
    }

    /// Revokes, durably: when this returns, a restart remembers it and every later
    /// [`Revocations::is_revoked`] sees it. Waits for the disk.
    ///
    /// # Errors
    ///
    /// On any error nothing is revoked yet, though a restart may find it was written: call again.
    /// [`Error::is_retryable`] says whether that may help.
    pub fn revoke(&self, target: Target, now_unix_ms: u64) -> Result<Revocation, Error> {
        let from_ms = match &target {
            Target::Token(id) | Target::User(id) if !is_id(id) => {
                return Err(Error::Target);
            }
            Target::Token(_) | Target::User(_) => now_unix_ms,
            Target::IssuedBefore(time_ms) => now_unix_ms.max(*time_ms),
        };
        let until_unix_ms = from_ms.saturating_add(self.max_token_lifetime_ms);
        let revocation = Revocation { target, revoked_unix_ms: now_unix_ms, until_unix_ms };

        let _one_writer = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = Table::clone(&self.table.load());
        table.prune(now_unix_ms);
        table.insert(&revocation);
        // Revoking by age always fits: it is the way out when there are too many of the others.
        if table.tokens.len() + table.users.len() > self.count_max {
            return Err(Error::Full);
        }
        file::save(&self.path, table.iter())?;
        self.table.store(Arc::new(table));
        Ok(revocation)
    }

    /// Whether the token that `identity` came from is revoked.
    pub fn is_revoked(&self, identity: &Identity) -> bool {
        self.table.load().is_revoked(identity)
    }

    /// Number of revocations kept, for a gauge.
    pub fn count(&self) -> usize {
        self.table.load().len()
    }

    #[cfg(test)]
    pub(in crate::auth) fn with_room_for(mut self, count_max: usize) -> Self {
        self.count_max = count_max;
        self
    }
}

impl Table {
    fn len(&self) -> usize {
        self.tokens.len() + self.users.len() + usize::from(self.issued_before.is_some())
    }

    fn is_revoked(&self, identity: &Identity) -> bool {
        let token = identity.token_id.as_ref().is_some_and(|id| self.tokens.contains_key(id));
        let user = self.users.get(&identity.user);
        token
            || user.is_some_and(|moment| is_of_age(identity, moment.revoked_unix_ms))
            || self.issued_before.is_some_and(|(time_ms, _)| is_before(identity, time_ms))
    }

    /// Adds a revocation; of two for the same target, the later covers the earlier.
    fn insert(&mut self, revocation: &Revocation) {
        let moment = Moment {
            revoked_unix_ms: revocation.revoked_unix_ms,
            until_unix_ms: revocation.until_unix_ms,
        };
        match &revocation.target {
            Target::Token(id) => moment.add_to(&mut self.tokens, id),
            Target::User(user) => moment.add_to(&mut self.users, user),
            Target::IssuedBefore(time_ms) => {
                if self.issued_before.is_none_or(|(known_ms, _)| known_ms <= *time_ms) {
                    self.issued_before = Some((*time_ms, moment));
                }
            }
        }
    }

    fn prune(&mut self, now_unix_ms: u64) {
        let is_live = |moment: &Moment| moment.until_unix_ms > now_unix_ms;
        self.tokens.retain(|_, moment| is_live(moment));
        self.users.retain(|_, moment| is_live(moment));
        self.issued_before = self.issued_before.filter(|(_, moment)| is_live(moment));
    }

    fn iter(&self) -> impl Iterator<Item = Revocation> {
        let tokens = self.tokens.iter().map(|(id, m)| m.on(Target::Token(id.clone())));
        let users = self.users.iter().map(|(user, m)| m.on(Target::User(user.clone())));
        let before = self.issued_before.iter().map(|(ms, m)| m.on(Target::IssuedBefore(*ms)));
        tokens.chain(users).chain(before)
    }
}

impl Moment {
    fn add_to(self, map: &mut HashMap<String, Self>, id: &str) {
        let known = map.entry(id.to_owned()).or_insert(self);
        known.revoked_unix_ms = known.revoked_unix_ms.max(self.revoked_unix_ms);
        known.until_unix_ms = known.until_unix_ms.max(self.until_unix_ms);
    }

    fn on(self, target: Target) -> Revocation {
        let Self { revoked_unix_ms, until_unix_ms } = self;
        Revocation { target, revoked_unix_ms, until_unix_ms }
    }
}
