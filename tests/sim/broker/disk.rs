//! A shard's journal, which outlives the broker process that writes it.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use sampan_core::journal::{Completion, Faults, Journal, Lost, Memory, Refused, Request};
use sampan_protocol::{AckLevel, Now, Topic};

/// A handle on one memory journal: the process holds one, and the world that crashes it another.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Mutex<Memory>>);

impl Disk {
    pub(crate) fn new(memory: Memory) -> Self {
        Disk(Arc::new(Mutex::new(memory)))
    }

    /// The power is cut and comes back: what was lost.
    pub(crate) fn crash(&self) -> Vec<Lost> {
        let mut memory = self.memory();
        memory.crash();
        memory.recover()
    }

    /// A write error: nothing more is taken until [`Disk::crash`].
    pub(crate) fn fence(&self, now: Now) {
        self.memory().fence(now);
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.memory().set_faults(faults);
    }

    pub(crate) fn topics(&self) -> Vec<Topic> {
        self.memory().topics()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.memory().bytes()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().expect("not poisoned")
    }
}

impl Journal for Disk {
    fn best(&self) -> AckLevel {
        self.memory().best()
    }

    fn submit(&mut self, now: Now, request: Request) -> Result<(), Refused> {
        self.memory().submit(now, request)
    }

    fn poll(&mut self, now: Now) -> Option<Completion> {
        self.memory().poll(now)
    }

    fn deadline(&self) -> Option<Instant> {
        self.memory().deadline()
    }
}
