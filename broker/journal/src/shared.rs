//! What the handles of one log share.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sampan_protocol::Now;
use sampan_protocol::limits::NUMBER_MAX;

use crate::depot::Depot;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::options::Options;
use crate::segment::{ending, name};
use crate::state::State;
use crate::storage::Storage;

/// Segments that are held open at a time, beside the one that is written to.
const OPEN_FILES_MAX: usize = 64;

/// One log, whoever uses it.
pub(crate) struct Shared<S: Storage> {
    pub(crate) storage: S,
    pub(crate) options: Options,
    pub(crate) store_id: u64,
    pub(crate) clock: Clock,
    state: Mutex<State<S::File>>,
    depot: Mutex<Depot<S::File>>,
    ledger: Mutex<Ledger>,
}

impl<S: Storage> Shared<S> {
    pub(crate) fn new(
        storage: S,
        options: Options,
        store_id: u64,
        clock: Clock,
        state: State<S::File>,
        depot: Depot<S::File>,
    ) -> Self {
        let (state, depot, ledger) = (Mutex::new(state), Mutex::new(depot), Mutex::default());
        Shared { storage, options, store_id, clock, state, depot, ledger }
    }

    /// What is known; never held while the disk works.
    pub(crate) fn state(&self) -> MutexGuard<'_, State<S::File>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The prepared segments; held while they are made.
    pub(crate) fn depot(&self) -> MutexGuard<'_, Depot<S::File>> {
        self.depot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What retention knows. Taken ahead of the state, by the keeper alone.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a segment; `None` if the log has no such segment any more.
    pub(crate) fn file(&self, number: u64) -> Result<Option<Arc<S::File>>, Error> {
        match self.state().segments.get(&number) {
            None => return Ok(None),
            Some(segment) => {
                if let Some(file) = &segment.file {
                    return Ok(Some(file.clone()));
                }
            }
        }
        let file = match self.storage.open(&name(number, ending::SEGMENT)) {
            Ok(file) => Arc::new(file),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.has(number) => {
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let mut state = self.state();
        let mut open = state.segments.values_mut().filter(|s| s.filed && s.file.is_some());
        if let (Some(oldest), true) = (open.next(), open.count() >= OPEN_FILES_MAX) {
            oldest.file = None;
        }
        let segment = state.segments.get_mut(&number);
        Ok(segment.map(|segment| segment.file.get_or_insert(file).clone()))
    }

    /// When the dedupe window begins, by the clock of retention.
    pub(crate) fn window_from(&self, now: Now) -> u64 {
        let window = u64::try_from(self.options.window.as_millis()).unwrap_or(u64::MAX);
        self.clock.at(now).saturating_sub(window)
    }

    /// Whether the log has this segment.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.state().segments.contains_key(&number)
    }
}

/// The clock of retention: it goes on only while the log is open, so that no jump of the wall clock
/// makes anything old.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    base_ms: u64,
    started: Instant,
}

impl Clock {
    /// A clock that goes on from `base_ms`.
    pub(crate) fn new(base_ms: u64, now: Now) -> Self {
        Clock { base_ms, started: now.mono }
    }

    /// The time, milliseconds.
    pub(crate) fn at(&self, now: Now) -> u64 {
        let open = now.mono.saturating_duration_since(self.started).as_millis();
        let time_ms = self.base_ms.saturating_add(u64::try_from(open).unwrap_or(u64::MAX));
        time_ms.min(NUMBER_MAX)
    }
}
