//! The newest message per key of one topic of kept values, as stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Run;
use super::log::cost;

/// Runs of one message each.
#[derive(Debug, Default)]
pub(super) struct Values {
    runs: BTreeMap<u64, (Arc<str>, Arc<Run>)>,
    offsets: BTreeMap<Arc<str>, u64>,
}

impl Values {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Keeps each message of a run as the newest of its key; the memory that this takes, and the
    /// memory that it frees.
    pub(super) fn put(&mut self, run: &Arc<Run>, keys: &[Arc<str>]) -> (usize, usize) {
        let (mut taken, mut freed) = (0, 0);
        for (offset, key) in (run.from..=run.to).zip(keys) {
            let Some(one) = run.part(offset, 1, usize::MAX) else { continue };
            taken += cost(&one);
            if let Some(old) = self.offsets.insert(key.clone(), offset) {
                freed += self.runs.remove(&old).map_or(0, |(_, old)| cost(&old));
            }
            self.runs.insert(offset, (key.clone(), one));
        }
        (taken, freed)
    }

    /// Loses the values with these offsets: the offsets, and the memory that this frees.
    pub(super) fn damage(&mut self, from: u64, to: u64) -> (Vec<u64>, usize) {
        let (mut lost, mut freed) = (Vec::new(), 0);
        for (offset, (key, run)) in self.runs.extract_if(from..=to, |_, _| true) {
            self.offsets.remove(&key);
            freed += cost(&run);
            lost.push(offset);
        }
        (lost, freed)
    }

    /// Forgets every value; the memory that this frees.
    pub(super) fn clear(&mut self) -> usize {
        let runs = std::mem::take(self).runs;
        runs.values().map(|(_, run)| cost(run)).sum()
    }

    /// Values from `from` on, at least one if there is any.
    pub(super) fn page(&self, from: u64, max_bytes: usize, max_count: u32) -> Vec<Arc<Run>> {
        let (mut runs, mut bytes) = (Vec::new(), 0_usize);
        let wanted = usize::try_from(max_count).unwrap_or(usize::MAX);
        for (_, run) in self.runs.range(from..).map(|(_, kept)| kept).take(wanted) {
            bytes = bytes.saturating_add(run.bytes);
            if !runs.is_empty() && bytes > max_bytes {
                break;
            }
            runs.push(run.clone());
        }
        runs
    }

    /// The offset at which the last `count` values start.
    pub(super) fn last(&self, count: u32) -> Option<u64> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let nth = count.checked_sub(1).and_then(|count| self.runs.keys().nth_back(count));
        nth.or(self.runs.keys().next().filter(|_| count > 0)).copied()
    }

    /// The offset of the first value at or after this time.
    pub(super) fn since(&self, ms: u64) -> Option<u64> {
        let late = |run: &Run| run.last_ms >= ms;
        self.runs.iter().find(|(_, (_, run))| late(run)).map(|(offset, _)| *offset)
    }
}
