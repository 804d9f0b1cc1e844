//! What is counted of notifications.

use std::sync::atomic::{AtomicU64, Ordering};

use super::rules::provider::Class;

/// What is counted of notifications.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) triggers: AtomicU64,
    pub(super) triggers_refused: AtomicU64,
    pub(super) attempts: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) gone: AtomicU64,
    pub(super) ours: AtomicU64,
    pub(super) recipient: AtomicU64,
    pub(super) wait: AtomicU64,
    pub(super) quota: AtomicU64,
    pub(super) retry: AtomicU64,
    pub(super) held_back: AtomicU64,
    pub(super) store_failures: AtomicU64,
    pub(super) damaged: AtomicU64,
    pub(crate) receipts: AtomicU64,
    pub(crate) receipts_refused: AtomicU64,
    pub(crate) receipts_unknown: AtomicU64,
}

impl Counters {
    /// Each count with its name and what it is.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 16] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("notify_triggers", "Notifications that events asked for", read(&self.triggers)),
            ("notify_triggers_refused", "Of these refused for good", read(&self.triggers_refused)),
            ("notify_attempts", "Attempts at deliveries", read(&self.attempts)),
            ("notify_accepted", "Attempts that a provider accepted", read(&self.accepted)),
            ("notify_gone", "Attempts at endpoints that are gone", read(&self.gone)),
            ("notify_ours", "Attempts refused for our fault", read(&self.ours)),
            ("notify_recipient", "Attempts at what cannot be reached", read(&self.recipient)),
            ("notify_wait", "Attempts that came too fast", read(&self.wait)),
            ("notify_quota", "Attempts above the quota of a provider", read(&self.quota)),
            ("notify_retry", "Attempts at providers in trouble", read(&self.retry)),
            ("notify_held_back", "Turns without a provider at work", read(&self.held_back)),
            (
                "notify_store_failures",
                "Rounds that the database failed",
                read(&self.store_failures),
            ),
            ("notify_receipts", "Messages of which a gateway told later", read(&self.receipts)),
            (
                "notify_receipts_refused",
                "Of what gateways told, refused",
                read(&self.receipts_refused),
            ),
            (
                "notify_receipts_unknown",
                "Of what gateways told, no news of any message",
                read(&self.receipts_unknown),
            ),
            ("notify_damaged", "Attempts of which nothing can be stored", read(&self.damaged)),
        ]
    }

    pub(crate) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn tried(&self, class: Class) {
        Counters::add(&self.attempts);
        Counters::add(match class {
            Class::Accepted => &self.accepted,
            Class::Gone => &self.gone,
            Class::Ours => &self.ours,
            Class::Recipient => &self.recipient,
            Class::Wait => &self.wait,
            Class::Quota => &self.quota,
            Class::Retry => &self.retry,
        });
    }
}
