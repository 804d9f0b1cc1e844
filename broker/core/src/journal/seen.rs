//! What one topic's stored runs were called by their publishers, for the dedupe window.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Run, Seen, SeenKey, Sent};

/// Publishes and keys remembered per topic; beyond it the oldest are forgotten.
const SEEN_MAX: usize = 16_384;
const KEYS_MAX: usize = 4096;

/// The publishes and keys of one topic, oldest first.
#[derive(Debug, Default)]
pub(super) struct Window {
    seen: VecDeque<(Instant, Sent)>,
    keys: VecDeque<(Instant, u64, Arc<str>)>,
}

impl Window {
    /// Remembers a run that is stored at this time, and forgets what is older than `window` then.
    pub(super) fn record(&mut self, run: &Run, at: Instant, window: Duration) {
        self.seen.extend(run.sent.iter().map(|sent| (at, *sent)));
        self.keys.extend(run.keys.iter().map(|(offset, key)| (at, *offset, key.clone())));
        let is_old = |stored: Instant| at.saturating_duration_since(stored) > window;
        let seen = &self.seen;
        let old = seen.iter().take_while(|(at, _)| is_old(*at)).count();
        self.seen.drain(..old.max(seen.len().saturating_sub(SEEN_MAX)));
        let old = self.keys.iter().take_while(|(at, ..)| is_old(*at)).count();
        self.keys.drain(..old.max(self.keys.len().saturating_sub(KEYS_MAX)));
    }

    /// What is remembered, and how old it is by now.
    pub(super) fn all(&self, now: Instant) -> (Vec<Seen>, Vec<SeenKey>) {
        let age = |at: &Instant| now.saturating_duration_since(*at);
        let seen = self.seen.iter().map(|(at, sent)| Seen { sent: *sent, age: age(at) });
        let key = |(at, offset, key): &(Instant, u64, Arc<str>)| SeenKey {
            key: key.clone(),
            offset: *offset,
            age: age(at),
        };
        (seen.collect(), self.keys.iter().map(key).collect())
    }
}
