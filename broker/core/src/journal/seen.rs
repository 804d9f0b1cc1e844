//! What one topic's stored runs were called by their publishers, for the dedupe window.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Run, Seen, SeenKey};

/// Publishes and keys remembered per topic; beyond it the oldest are forgotten.
const SEEN_MAX: usize = 16_384;
const KEYS_MAX: usize = 4096;

/// The publishes and keys of one topic, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    seen: VecDeque<Seen>,
    keys: VecDeque<SeenKey>,
}

impl Window {
    /// Remembers a stored run, and forgets what is older than `window` by its time.
    pub(super) fn record(&mut self, run: &Run, window: Duration) {
        let at_ms = run.last_ms;
        self.seen.extend(run.sent.iter().map(|sent| Seen { sent: *sent, at_ms }));
        let keys = run.keys.iter();
        self.keys.extend(keys.map(|(offset, key)| SeenKey {
            key: key.clone(),
            offset: *offset,
            at_ms,
        }));
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let is_old = |stored_ms: u64| stored_ms.saturating_add(window) < at_ms;
        let seen = &self.seen;
        let old = seen.iter().take_while(|seen| is_old(seen.at_ms)).count();
        self.seen.drain(..old.max(seen.len().saturating_sub(SEEN_MAX)));
        let old = self.keys.iter().take_while(|key| is_old(key.at_ms)).count();
        self.keys.drain(..old.max(self.keys.len().saturating_sub(KEYS_MAX)));
    }

    /// What is remembered.
    pub(super) fn all(&self) -> (Vec<Seen>, Vec<SeenKey>) {
        (self.seen.iter().copied().collect(), self.keys.iter().cloned().collect())
    }
}
