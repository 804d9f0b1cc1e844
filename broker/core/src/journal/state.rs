//! Values under keys, in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

/// Bytes that a value costs beside itself and its key.
const VALUE_BYTES: usize = 96;

/// A value, or that there is to be none, and its key.
pub(super) type Put = (Bytes, Option<Bytes>);

/// Memory that these values are counted with.
pub(super) fn cost(values: &[Put]) -> usize {
    values.iter().map(|(key, value)| size(key, value.as_deref().unwrap_or_default())).sum()
}

fn size(key: &[u8], value: &[u8]) -> usize {
    key.len() + value.len() + VALUE_BYTES
}

/// The stored values.
#[derive(Debug, Default)]
pub(super) struct State {
    values: BTreeMap<Bytes, Bytes>,
    bytes: usize,
}

impl State {
    /// Memory that the values are counted with.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn put(&mut self, values: Vec<Put>) {
        for (key, value) in values {
            self.bytes += value.as_ref().map_or(0, |value| size(&key, value));
            let old = match value {
                Some(value) => self.values.insert(key.clone(), value),
                None => self.values.remove(&key),
            };
            self.bytes -= old.map_or(0, |old| size(&key, &old));
        }
    }

    /// The values whose key starts with `prefix` and is above `after`, and whether there are more.
    pub(super) fn load(
        &self,
        prefix: &Bytes,
        after: Option<Bytes>,
        max_bytes: usize,
    ) -> (Vec<(Bytes, Bytes)>, bool) {
        let start = match after {
            Some(after) if after >= *prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix.clone()),
        };
        let (mut values, mut bytes) = (Vec::new(), 0);
        let from = self.values.range((start, Bound::Unbounded));
        for (key, value) in from.take_while(|(key, _)| key.starts_with(prefix)) {
            bytes += key.len() + value.len();
            if !values.is_empty() && bytes > max_bytes {
                return (values, true);
            }
            values.push((key.clone(), value.clone()));
        }
        (values, false)
    }
}
