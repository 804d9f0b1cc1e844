//! The JSON of whole chunks of deliveries, made once for all connections that get them.
//!
//! A fan-out gives the same bytes to every reader of a topic: where they lie tells which they are.
//! Each is kept together with its JSON, so that its place in memory stays its own.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// Bytes that are kept, of chunks and their JSON.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Chunks that are kept.
const RUNS_MAX: usize = 1024;

/// Where a chunk lies, how long it is, and for whom the JSON is.
type Key = (usize, usize, bool);

/// The JSON of the newest chunks. The oldest go first.
#[derive(Debug, Default)]
pub(super) struct Runs(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    runs: HashMap<Key, Run>,
    order: VecDeque<Key>,
    bytes: usize,
}

#[derive(Debug)]
struct Run {
    texts: Arc<[Bytes]>,
    chunk: Bytes,
}

impl Runs {
    /// The JSON of these very bytes, for readers that inflate or do not.
    pub(super) fn get(&self, chunk: &Bytes, inflates: bool) -> Option<Arc<[Bytes]>> {
        self.kept().runs.get(&key(chunk, inflates)).map(|run| run.texts.clone())
    }

    /// Keeps the JSON of a chunk.
    pub(super) fn put(&self, chunk: Bytes, inflates: bool, texts: Arc<[Bytes]>) {
        let mut kept = self.kept();
        let key = key(&chunk, inflates);
        let run = Run { texts, chunk };
        kept.bytes += run.bytes();
        if let Some(before) = kept.runs.insert(key, run) {
            kept.bytes -= before.bytes();
            return;
        }
        kept.order.push_back(key);
        while kept.bytes > BYTES_MAX || kept.order.len() > RUNS_MAX {
            let Some(oldest) = kept.order.pop_front() else { return };
            if let Some(run) = kept.runs.remove(&oldest) {
                kept.bytes -= run.bytes();
            }
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Run {
    fn bytes(&self) -> usize {
        self.texts.iter().map(Bytes::len).sum::<usize>() + self.chunk.len()
    }
}

fn key(chunk: &Bytes, inflates: bool) -> Key {
    (chunk.as_ptr().addr(), chunk.len(), inflates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Arc<[Bytes]> {
        Arc::from([Bytes::from_static(b"{}")])
    }

    #[test]
    fn only_the_very_same_bytes_are_known_again() {
        let runs = Runs::default();
        let chunk = Bytes::from(vec![7; 40]);
        let texts = texts();
        runs.put(chunk.clone(), false, texts.clone());
        assert_eq!(runs.get(&chunk.clone(), false), Some(texts));
        assert_eq!(runs.get(&chunk, true), None, "another form of the same");
        assert_eq!(runs.get(&chunk.slice(..39), false), None);
        assert_eq!(runs.get(&Bytes::from(vec![7; 40]), false), None);
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_number() {
        let runs = Runs::default();
        for _ in 0..20 {
            runs.put(Bytes::from(vec![0; 1 << 20]), false, texts());
        }
        assert!(runs.kept().bytes <= BYTES_MAX);
        assert_eq!(runs.kept().runs.len(), 7);
        for _ in 0..2 * RUNS_MAX {
            runs.put(Bytes::from(vec![0; 1]), false, texts());
        }
        let kept = runs.kept();
        assert_eq!((kept.runs.len(), kept.order.len()), (RUNS_MAX, RUNS_MAX));
        assert_eq!(kept.bytes, kept.runs.values().map(Run::bytes).sum::<usize>());
    }
}
