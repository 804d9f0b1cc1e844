//! The newest message per key of one `latest` topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::journal::{Chunk, Run};

/// The kept values, by key and by offset.
#[derive(Debug, Default)]
pub(crate) struct Latest {
    values: BTreeMap<Arc<str>, Value>,
    keys: BTreeMap<u64, Arc<str>>,
    bytes: usize,
}

#[derive(Debug)]
struct Value {
    offset: u64,
    time_ms: u64,
    version: Option<u64>,
    chunk: Chunk,
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

    /// Keys kept.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Offset of the kept value if `version` is not above its version. A value without a version
    /// is always replaced, and a publish without one always replaces.
    pub(crate) fn newer_than(&self, key: &str, version: Option<u64>) -> Option<u64> {
        let value = self.values.get(key)?;
        let stale = version.zip(value.version).is_some_and(|(new, kept)| new <= kept);
        stale.then_some(value.offset)
    }

    /// Keeps this message as the newest of `key`.
    pub(crate) fn put(
        &mut self,
        key: &str,
        offset: u64,
        time_ms: u64,
        version: Option<u64>,
        chunk: Chunk,
    ) {
        self.bytes += size(&chunk);
        let value = Value { offset, time_ms, version, chunk };
        let name = if let Some(old) = self.values.get_mut(key) {
            let old = std::mem::replace(old, value);
            self.bytes -= size(&old.chunk);
            self.keys.remove(&old.offset)
        } else {
            let name: Arc<str> = Arc::from(key);
            self.values.insert(name.clone(), value);
            Some(name)
        };
        if let Some(name) = name {
            self.keys.insert(offset, name);
        }
    }

    /// The values with offsets from `from` on, as far as `max_bytes` go; at least one if there is
    /// any. `end` is one above the newest offset.
    pub(crate) fn page(&self, from: u64, end: u64, max_bytes: usize, max_count: usize) -> Page {
        let (mut runs, mut bytes) = (Vec::new(), 0);
        for (offset, key) in self.keys.range(from..end) {
            let Some(value) = self.values.get(key) else { continue };
            bytes += size(&value.chunk);
            if !runs.is_empty() && (bytes > max_bytes || runs.len() >= max_count) {
                return Page { runs, next: *offset };
            }
            runs.push(Arc::new(Run {
                from: *offset,
                to: *offset,
                first_ms: value.time_ms,
                last_ms: value.time_ms,
                bytes: size(&value.chunk),
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

fn size(chunk: &Chunk) -> usize {
    chunk.head.len() + chunk.body.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(text: &'static str) -> Chunk {
        Chunk { head: Bytes::from_static(text.as_bytes()), body: None }
    }

    #[test]
    fn only_the_newest_value_of_a_key_is_paged_in_offset_order() {
        let mut latest = Latest::default();
        latest.put("a", 1, 10, Some(1), chunk("a1"));
        latest.put("b", 2, 20, Some(1), chunk("b1"));
        latest.put("a", 3, 30, Some(2), chunk("a2"));
        let page = latest.page(1, 4, 1000, 10);
        let offsets: Vec<u64> = page.runs.iter().map(|run| run.from).collect();
        assert_eq!((offsets, page.next), (vec![2, 3], 4));
        assert_eq!(latest.bytes(), 4);
        let first = latest.page(1, 4, 1, 10);
        assert_eq!((first.runs.len(), first.next), (1, 3));
        assert_eq!((latest.last(1), latest.since(25, 4), latest.since(99, 4)), (3, 3, 4));
    }

    #[test]
    fn a_version_not_above_the_kept_one_is_stale() {
        let mut latest = Latest::default();
        latest.put("a", 5, 0, Some(7), chunk("x"));
        assert_eq!(latest.newer_than("a", Some(7)), Some(5));
        assert_eq!(latest.newer_than("a", Some(8)), None);
        assert_eq!(latest.newer_than("a", None), None);
        assert_eq!(latest.newer_than("b", Some(1)), None);
    }
}
