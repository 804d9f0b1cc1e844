//! A shard's journal, which outlives the broker process that writes it. The simulation uses it, too.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use sampan_protocol::{AckLevel, Now};

use super::journal::{Completion, Journal, Lost, Memory, Refused, Request};

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

    pub(crate) fn memory(&self) -> MutexGuard<'_, Memory> {
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
