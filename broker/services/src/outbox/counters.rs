//! What a relay counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a relay counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events that the broker has taken.
    pub published: AtomicU64,
    /// Of these such as it had before.
    pub duplicates: AtomicU64,
    /// Attempts that failed, of events that are tried again.
    pub retries: AtomicU64,
    /// Events that the broker will never take.
    pub refused: AtomicU64,
    /// What was stored as an event and is none.
    pub damaged: AtomicU64,
    /// Rounds that the database failed.
    pub failures: AtomicU64,
}

impl Counters {
    /// Each count with its name and what it is.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("services_outbox_published", "Events published", read(&self.published)),
            ("services_outbox_duplicates", "Of these published before", read(&self.duplicates)),
            ("services_outbox_retries", "Publishes to be tried again", read(&self.retries)),
            ("services_outbox_refused", "Events the broker never takes", read(&self.refused)),
            ("services_outbox_damaged", "Rows that are no event", read(&self.damaged)),
            ("services_outbox_failures", "Rounds the database failed", read(&self.failures)),
        ]
    }

    pub(super) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
