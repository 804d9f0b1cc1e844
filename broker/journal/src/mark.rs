//! The values of a log as somebody else may keep them, so that opening need not gather them.
//!
//! What is kept is only ever a copy: a log opens without it, and refuses one that it does not fit.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::reader::Reader;
use crate::state::{Place, State, Value};
use crate::storage::Storage;

/// Where the value of a key is, and the value itself if the log keeps it in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Located {
    /// Number of the segment.
    pub segment: u64,
    /// Where its record starts there.
    pub at: u64,
    /// Bytes of the record.
    pub bytes: u64,
    /// What the log remembers with it.
    pub mark: u64,
    /// Whether the key was removed.
    pub absent: bool,
    /// The value, if it is one of the log's own and not removed.
    pub body: Option<Bytes>,
}

/// Keys of the log with where their values are, whole or since the last time.
///
/// A key that has no value any more, and of which nothing needs to be remembered, has none here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Highest commit that is in it.
    pub through: u64,
    /// The keys as the log calls them.
    pub values: Vec<(Bytes, Option<Located>)>,
}

impl Located {
    fn of(value: &Value) -> Self {
        let Value { place, absent, mark, body } = value.clone();
        let Place { segment, at, bytes } = place;
        Located { segment, at, bytes, mark, absent, body }
    }

    pub(crate) fn value(&self) -> Value {
        let Located { segment, at, bytes, mark, absent, body } = self.clone();
        Value { place: Place { segment, at, bytes }, absent, mark, body }
    }
}

/// Keys whose values have changed or moved.
#[derive(Debug, Default)]
pub(crate) struct Changed(Option<BTreeSet<Bytes>>);

impl Changed {
    /// Notes a key, if anybody asks for them.
    pub(crate) fn note(&mut self, key: &Bytes) {
        if let Some(keys) = &mut self.0 {
            keys.insert(key.clone());
        }
    }
}

impl<F> State<F> {
    /// All values at first, and afterwards those that have changed since the last call.
    fn take_changed(&mut self) -> Checkpoint {
        let through = self.segments.values().map(|segment| segment.commits.1).max().unwrap_or(0);
        let all = || self.values.keys().cloned().collect();
        let keys = self.changed.0.replace(BTreeSet::new()).unwrap_or_else(all);
        let value = |key: Bytes| {
            let located = self.values.get(&key).map(Located::of);
            (key, located)
        };
        Checkpoint { through, values: keys.into_iter().map(value).collect() }
    }
}

impl<S: Storage> Reader<S> {
    /// All values at the first call, and afterwards those that have changed or moved since the last
    /// one. From the first call on the log remembers the keys, each once.
    #[must_use]
    pub fn checkpoint(&self) -> Checkpoint {
        self.shared.state().take_changed()
    }
}
