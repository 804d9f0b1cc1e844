//! What is counted of stock.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted of stock.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) reserved: AtomicU64,
    pub(super) short: AtomicU64,
    pub(super) committed: AtomicU64,
    pub(super) expired: AtomicU64,
    pub(super) repaired: AtomicU64,
}

impl Counters {
    /// Each count with its name and what it is.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 5] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("inventory_reserved", "Requests that hold stock", read(&self.reserved)),
            ("inventory_short", "Requests without enough stock", read(&self.short)),
            ("inventory_committed", "Reservations that were paid", read(&self.committed)),
            ("inventory_expired", "Reservations whose time was over", read(&self.expired)),
            ("inventory_repaired", "Levels that were counted wrong", read(&self.repaired)),
        ]
    }

    pub(super) fn add(count: &AtomicU64, number: u64) {
        count.fetch_add(number, Ordering::Relaxed);
    }
}
