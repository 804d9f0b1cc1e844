//! The keys in force: those of the configuration and those of the published sets.
//!
//! Readers take a snapshot and never wait; a refresh swaps in a whole new set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::header::Header;
use super::keys::Key;
use super::refused::Refused;

/// Where a published set comes from. Each source replaces its own keys only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    File,
    Url,
}

impl Source {
    /// The source's name in logs.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Url => "url",
        }
    }
}

/// The keys that tokens are checked with.
#[derive(Debug)]
pub(super) struct Keyring {
    fixed: Vec<Key>,
    published: ArcSwap<Published>,
    /// Rings when a token names an unknown key; holds at most one wish.
    pub(super) stale: Notify,
    pub(super) refreshes: AtomicU64,
    pub(super) failures: AtomicU64,
}

#[derive(Debug, Default)]
struct Published {
    file: Arc<[Key]>,
    url: Arc<[Key]>,
}

impl Keyring {
    pub(super) fn new(fixed: Vec<Key>) -> Self {
        Self {
            fixed,
            published: ArcSwap::default(),
            stale: Notify::new(),
            refreshes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// Replaces the keys of `source`. Its keys that are not in `keys` stop being accepted.
    pub(super) fn publish(&self, source: Source, keys: Vec<Key>) {
        let keys: Arc<[Key]> = keys.into();
        self.published.rcu(|old| match source {
            Source::File => Published { file: keys.clone(), url: old.url.clone() },
            Source::Url => Published { file: old.file.clone(), url: keys.clone() },
        });
        self.refreshes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refresh that left the keys as they are.
    pub(super) fn count_failure(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of keys in force.
    pub(super) fn count(&self) -> usize {
        let published = self.published.load();
        self.fixed.len() + published.file.len() + published.url.len()
    }

    /// Checks a signature with the key that the header names.
    ///
    /// Without a key id, every key of the algorithm is tried: there are few, and the cap on a
    /// published set bounds the cost.
    pub(super) fn check(
        &self,
        header: &Header,
        message: &str,
        signature: &str,
    ) -> Result<(), Refused> {
        let published = self.published.load();
        let is_named = |key: &&Key| header.key_id.is_none() || key.id == header.key_id;
        let keys = self.fixed.iter().chain(&*published.file).chain(&*published.url);
        let mut named = keys.filter(is_named).peekable();
        if named.peek().is_none() {
            self.stale.notify_one();
            return Err(Refused::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.algorithm == header.algorithm).peekable();
        if fitting.peek().is_none() {
            return Err(Refused::Algorithm);
        }
        if fitting.any(|key| key.is_signed(message, signature)) {
            Ok(())
        } else {
            Err(Refused::Signature)
        }
    }
}
