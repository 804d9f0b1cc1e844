//! What services count.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{chat, inventory, notifications, orders, outbox};

/// What the services of a process count.
#[derive(Debug, Default)]
pub struct Counters {
    /// What the outbox counts.
    pub outbox: std::sync::Arc<outbox::Counters>,
    /// What is counted of stock.
    pub inventory: std::sync::Arc<inventory::Counters>,
    /// What is counted of tracking services.
    pub carriers: std::sync::Arc<orders::carriers::Counters>,
    /// What is counted of chats.
    pub chat: std::sync::Arc<chat::course::Counters>,
    /// What is counted of notifications.
    pub notifications: std::sync::Arc<notifications::Counters>,
    pub(super) requests: AtomicU64,
    pub(super) problems: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) overloads: AtomicU64,
    pub(super) questions: AtomicU64,
    pub(super) denials: AtomicU64,
    pub(super) sweeps: AtomicU64,
    pub(super) sweep_failures: AtomicU64,
    pub(crate) starts: AtomicU64,
}

impl Counters {
    /// Each count with its name and what it is.
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let own = [
            ("services_starts", "Times the services began", read(&self.starts)),
            ("services_requests", "Requests answered", read(&self.requests)),
            ("services_problems", "Of these not done", read(&self.problems)),
            ("services_retries", "Attempts again at once", read(&self.retries)),
            ("services_overloads", "Requests without room", read(&self.overloads)),
            ("services_questions", "Authorizations asked", read(&self.questions)),
            ("services_denials", "Of these answered no", read(&self.denials)),
            ("services_sweeps", "Sweeps carried out", read(&self.sweeps)),
            ("services_sweep_failures", "Sweeps that failed", read(&self.sweep_failures)),
        ];
        let own = own.into_iter().chain(self.outbox.all()).chain(self.inventory.all());
        own.chain(self.carriers.all())
            .chain(self.notifications.all())
            .chain(self.chat.all())
            .collect()
    }

    pub(crate) fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
