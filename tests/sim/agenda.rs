//! When each client must be called next, so that a step costs what happens in it and not what
//! waits.

use std::collections::BTreeSet;
use std::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Agenda {
    at: Vec<Option<Instant>>,
    queue: BTreeSet<(Instant, u32)>,
}

impl Agenda {
    pub(crate) fn set(&mut self, seat: u32, at: Option<Instant>) {
        let index = seat as usize;
        if self.at.len() <= index {
            self.at.resize(index + 1, None);
        }
        if self.at[index] == at {
            return;
        }
        if let Some(before) = std::mem::replace(&mut self.at[index], at) {
            self.queue.remove(&(before, seat));
        }
        self.queue.extend(at.map(|at| (at, seat)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// A client whose time has come; it is asked for its next one after it has been called.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u32> {
        let (_, seat) = self.queue.first().filter(|(at, _)| *at <= now).copied()?;
        self.set(seat, None);
        Some(seat)
    }
}
