//! The newest message per key of one `latest` topic.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::journal::{Chunk, Run};

/// The kept values, by key and by offset, and what is on its way to replace them.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    values: BTreeMap<Arc<str>, Value>,
    keys: BTreeMap<u64, Arc<str>>,
    bytes: usize,
    /// Offsets and versions of values that are not yet shown, by key and rising.
    coming: BTreeMap<Arc<str>, VecDeque<(u64, Option<u64>)>>,
    /// Keys there that have no shown value.
    new_keys: usize,
}

#[derive(Debug)]
struct Value {
    offset: u64,
    time_ms: u64,
    version: Option<u64>,
    chunk: Chunk,
}

/// A value that is on its way.
#[derive(Clone, Debug)]
pub(crate) struct Coming {
    pub(crate) key: Arc<str>,
    pub(crate) offset: u64,
    pub(crate) time_ms: u64,
    pub(crate) version: Option<u64>,
    pub(crate) chunk: Chunk,
}

/// Values in offset order, and where the next page starts.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) runs: Vec<Arc<Run>>,
    /// One above the last offset that the page accounts for.
    pub(crate) next: u64,
}

impl Latest {
    /// Bytes kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Keys of values that are kept or on their way.
    pub(crate) fn len(&self) -> usize {
        self.values.len() + self.new_keys
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key) || self.coming.contains_key(key)
    }

    /// One above the offset of the newest value; 1 if there is none.
    pub(crate) fn end(&self) -> u64 {
        self.keys.last_key_value().map_or(1, |(offset, _)| offset + 1)
    }

    /// Offset of the newest value if `version` is not above its version, whether it is shown or on
    /// its way. A value without a version is always replaced, and a publish without one always
    /// replaces.
    pub(crate) fn newer_than(&self, key: &str, version: Option<u64>) -> Option<u64> {
        let coming = self.coming.get(key).and_then(VecDeque::back).copied();
        let shown = || self.values.get(key).map(|value| (value.offset, value.version));
        let (offset, kept) = coming.or_else(shown)?;
        let stale = version.zip(kept).is_some_and(|(new, kept)| new <= kept);
        stale.then_some(offset)
    }

    /// Notes that a value of this key is on its way; the key.
    pub(crate) fn expect(&mut self, key: &str, offset: u64, version: Option<u64>) -> Arc<str> {
        if let Some(waiting) = self.coming.get_mut(key) {
            waiting.push_back((offset, version));
        }
        if let Some((name, _)) = self.coming.get_key_value(key) {
            return name.clone();
        }
        let shown = self.values.get_key_value(key).map(|(name, _)| name.clone());
        self.new_keys += usize::from(shown.is_none());
        let name = shown.unwrap_or_else(|| Arc::from(key));
        self.coming.insert(name.clone(), VecDeque::from([(offset, version)]));
        name
    }

    /// Gives up a value that was on its way.
    pub(crate) fn withdraw(&mut self, key: &Arc<str>, offset: u64) {
        let Some(waiting) = self.coming.get_mut(key) else { return };
        waiting.retain(|(coming, _)| *coming != offset);
        if waiting.is_empty() {
            self.coming.remove(key);
            self.new_keys -= usize::from(!self.values.contains_key(key));
        }
    }

    /// Shows a value as the newest of its key.
    pub(crate) fn put(&mut self, value: Coming) {
        let Coming { key, offset, time_ms, version, chunk } = value;
        self.withdraw(&key, offset);
        self.bytes += chunk.bytes();
        let value = Value { offset, time_ms, version, chunk };
        match self.values.get_mut(&key) {
            Some(old) => {
                let old = std::mem::replace(old, value);
                self.bytes -= old.chunk.bytes();
                self.keys.remove(&old.offset);
            }
            None => {
                self.new_keys -= usize::from(self.coming.contains_key(&key));
                self.values.insert(key.clone(), value);
            }
        }
        self.keys.insert(offset, key);
    }

    /// Lets any publish replace a value that was shown and could not be stored.
    pub(crate) fn forget_version(&mut self, offset: u64) {
        let value = self.keys.get(&offset).and_then(|key| self.values.get_mut(key));
        if let Some(value) = value {
            value.version = None;
        }
    }

    /// The values with offsets from `from` on, as far as `max_bytes` go; at least one if there is
    /// any. `end` is one above the newest offset.
    pub(crate) fn page(&self, from: u64, end: u64, max_bytes: usize, max_count: usize) -> Page {
        let (mut runs, mut bytes) = (Vec::new(), 0);
        for (offset, key) in self.keys.range(from..end) {
            let Some(value) = self.values.get(key) else { continue };
            bytes += value.chunk.bytes();
            if !runs.is_empty() && (bytes > max_bytes || runs.len() >= max_count) {
                return Page { runs, next: *offset };
            }
            runs.push(Arc::new(Run {
                from: *offset,
                to: *offset,
                first_ms: value.time_ms,
                last_ms: value.time_ms,
                bytes: value.chunk.bytes(),
                chunks: vec![value.chunk.clone()],
                ..Run::default()
            }));
        }
        Page { runs, next: end.max(from) }
    }

    /// The offset at which the last `count` values start.
    pub(crate) fn last(&self, count: usize) -> u64 {
        let nth = self.keys.keys().nth_back(count.saturating_sub(1));
        nth.or(self.keys.keys().next()).copied().unwrap_or(1)
    }

    /// The offset of the first value at or after `unix_ms`, or `end`.
    pub(crate) fn since(&self, unix_ms: u64, end: u64) -> u64 {
        let late = |key: &Arc<str>| self.values.get(key).is_some_and(|v| v.time_ms >= unix_ms);
        self.keys.iter().find(|(_, key)| late(key)).map_or(end, |(offset, _)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn put(latest: &mut Latest, key: &str, offset: u64, version: Option<u64>, text: &'static str) {
        let key = latest.expect(key, offset, version);
        let chunk = Chunk { head: Bytes::from_static(text.as_bytes()), body: None };
        latest.put(Coming { key, offset, time_ms: offset * 10, version, chunk });
    }

    #[test]
    fn only_the_newest_value_of_a_key_is_paged_in_offset_order() {
        let mut latest = Latest::default();
        assert_eq!(latest.end(), 1);
        put(&mut latest, "a", 1, Some(1), "a1");
        put(&mut latest, "b", 2, Some(1), "b1");
        put(&mut latest, "a", 3, Some(2), "a2");
        let page = latest.page(1, 4, 1000, 10);
        let offsets: Vec<u64> = page.runs.iter().map(|run| run.from).collect();
        assert_eq!((offsets, page.next), (vec![2, 3], 4));
        assert_eq!((latest.bytes(), latest.len(), latest.end()), (4, 2, 4));
        let first = latest.page(1, 4, 1, 10);
        assert_eq!((first.runs.len(), first.next), (1, 3));
        assert_eq!((latest.last(1), latest.since(25, 4), latest.since(99, 4)), (3, 3, 4));
    }

    #[test]
    fn a_version_not_above_the_kept_one_is_stale() {
        let mut latest = Latest::default();
        put(&mut latest, "a", 5, Some(7), "x");
        assert_eq!(latest.newer_than("a", Some(7)), Some(5));
        assert_eq!(latest.newer_than("a", Some(8)), None);
        assert_eq!(latest.newer_than("a", None), None);
        assert_eq!(latest.newer_than("b", Some(1)), None);
        latest.forget_version(5);
        assert_eq!(latest.newer_than("a", Some(7)), None);
    }

    #[test]
    fn a_value_on_its_way_counts_but_is_not_shown_and_can_be_withdrawn() {
        let mut latest = Latest::default();
        put(&mut latest, "a", 1, Some(1), "a1");
        let a = latest.expect("a", 2, Some(5));
        latest.expect("a", 3, Some(6));
        let b = latest.expect("b", 4, None);
        assert_eq!((latest.len(), latest.contains("b"), latest.end()), (2, true, 2));
        assert_eq!(latest.newer_than("a", Some(6)), Some(3));
        latest.withdraw(&a, 3);
        assert_eq!(latest.newer_than("a", Some(5)), Some(2));
        latest.withdraw(&a, 2);
        latest.withdraw(&b, 4);
        assert_eq!(latest.newer_than("a", Some(1)), Some(1));
        assert_eq!((latest.len(), latest.contains("b")), (1, false));
    }
}
