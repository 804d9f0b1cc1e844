//! Where the threads of a front leave what they have to say, and what they have counted.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sampan_core::journal::Completion;
use sampan_core::latency::Latency;
use sampan_protocol::Topic;

use super::{Event, Hooks};

/// Something for the shard.
#[derive(Debug)]
pub(super) enum Told {
    /// The answer to a request.
    Done(Completion),
    /// Retention moved the floor of a topic.
    Floor(Topic, u64),
}

/// What is shared by a front and its threads.
pub(super) struct Desk {
    told: Mutex<Vec<Told>>,
    hooks: Hooks,
    fenced: AtomicBool,
    /// Whether appends are not taken for lack of space.
    full: AtomicBool,
    /// Whether the checkpoint is kept up.
    indexed: AtomicBool,
    refused: AtomicU64,
    commits: Mutex<Commits>,
}

/// What the commits of a front have come to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Commits {
    pub(super) messages: u64,
    pub(super) latency: Latency,
}

impl Desk {
    pub(super) fn new(hooks: Hooks) -> Arc<Self> {
        Arc::new(Desk {
            told: Mutex::default(),
            hooks,
            fenced: AtomicBool::new(false),
            full: AtomicBool::new(false),
            indexed: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            commits: Mutex::default(),
        })
    }

    /// Leaves things for the shard, and wakes it unless it was woken for others already. The shard
    /// and the other threads wait while they are listed: nothing is to be done for them then.
    pub(super) fn tell(&self, all: impl IntoIterator<Item = Told>) {
        let mut told = lock(&self.told);
        let had = told.len();
        told.extend(all);
        let wakes = had == 0 && !told.is_empty();
        drop(told);
        if wakes {
            (self.hooks.wake)();
        }
    }

    /// Takes what was left.
    pub(super) fn take(&self, into: &mut Vec<Told>) {
        std::mem::swap(&mut *lock(&self.told), into);
    }

    /// Nothing is stored from here on.
    pub(super) fn fence(&self, why: impl Into<String>) {
        if !self.fenced.swap(true, Ordering::AcqRel) {
            self.report(Event::Fenced { why: why.into() });
        }
        // The shard learns of it from its next request, or from the failures of those it has made.
        (self.hooks.wake)();
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.fenced.load(Ordering::Acquire)
    }

    /// Notes whether there is space for appends.
    pub(super) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::AcqRel) != full {
            self.report(if full { Event::Full } else { Event::Room });
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    pub(super) fn set_indexed(&self, indexed: bool) {
        self.indexed.store(indexed, Ordering::Relaxed);
    }

    pub(super) fn is_indexed(&self) -> bool {
        self.indexed.load(Ordering::Relaxed)
    }

    pub(super) fn report(&self, event: Event) {
        (self.hooks.report)(event);
    }

    pub(super) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Counts a commit of so many messages that began at `since`.
    pub(super) fn count_commit(&self, messages: u64, since: Instant) {
        let mut commits = lock(&self.commits);
        commits.messages += messages;
        commits.latency.observe(since.elapsed(), 1);
    }

    pub(super) fn commits(&self) -> Commits {
        *lock(&self.commits)
    }
}

/// Fences if the thread that holds it panics.
pub(super) struct FenceOnPanic(pub(super) Arc<Desk>);

impl Drop for FenceOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fence("a thread of the journal has panicked");
        }
    }
}

/// A panic elsewhere leaves these whole: each change is made at once.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long whoever is refused is to wait.
pub(super) const RETRY_AFTER: Duration = Duration::from_millis(100);
