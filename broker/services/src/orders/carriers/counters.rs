//! What is counted of orders and of tracking services.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted of orders and of tracking services.
#[derive(Debug, Default)]
pub struct Counters {
    statuses: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) poll_failures: AtomicU64,
    pub(super) unserved: AtomicU64,
    pub(super) webhooks: AtomicU64,
    pub(super) webhooks_refused: AtomicU64,
}

impl Counters {
    /// Each count with its name and what it is.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 6] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("orders_statuses", "New statuses of orders", read(&self.statuses)),
            ("orders_polls", "Questions to tracking services", read(&self.polls)),
            ("orders_poll_failures", "Of these without an answer", read(&self.poll_failures)),
            (
                "orders_unserved",
                "Turns of numbers that no service is asked about",
                read(&self.unserved),
            ),
            ("orders_webhooks", "Webhooks that were taken", read(&self.webhooks)),
            ("orders_webhooks_refused", "Webhooks that were refused", read(&self.webhooks_refused)),
        ]
    }

    pub(super) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was heard of an order, which has a new status or not.
    pub(in crate::orders) fn heard(&self, is_changed: bool) {
        if is_changed {
            Counters::add(&self.statuses);
        }
    }
}
