//! Ends a segment: cuts it behind its last block and writes its index.

use crate::error::Error;
use crate::index::Index;
use crate::shared::Shared;
use crate::storage::{File, Storage};

impl<S: Storage> Shared<S> {
    /// Seals a segment that nothing is written to any more. Does nothing if that was done, or if the
    /// segment is damaged: then it stays as it is.
    pub(crate) fn seal(&self, number: u64) -> Result<(), Error> {
        let Some(file) = self.file(number)? else { return Ok(()) };
        let Some(mut index) = self.gather(number) else { return Ok(()) };
        file.set_len(index.end)?;
        file.sync()?;
        index.write(&self.storage, self.store_id)?;
        let mut state = self.state();
        for (topic, filed) in index.extents {
            let extents = &mut state.topics.entry(topic).extents;
            let held = extents.values_mut().filter(|held| held.segment == number);
            if let Some(held) = held.into_iter().find(|held| held.total == filed.total) {
                held.regions = filed.regions;
            }
        }
        if let Some(segment) = state.segments.get_mut(&number) {
            segment.filed = true;
            segment.unfiled.clear();
            segment.topics.clear();
        }
        Ok(())
    }

    /// What the index of a segment says; `None` if it is not to have one, or has it already.
    fn gather(&self, number: u64) -> Option<Index> {
        let state = self.state();
        let segment = state.segments.get(&number).filter(|s| !s.filed && !s.damaged)?;
        let mut index = Index {
            segment: number,
            end: segment.end,
            commits: segment.commits,
            time_ms: segment.time_ms,
            records: segment.records,
            extents: Vec::new(),
            values: segment.unfiled.clone(),
        };
        for topic in &segment.topics {
            let Some(standing) = state.topics.get(*topic) else { continue };
            let here = standing.extents.values().filter(|extent| extent.segment == number);
            index.extents.extend(here.map(|extent| (*topic, extent.clone())));
        }
        Some(index)
    }

    /// Segments that are ended and have no index yet, oldest first.
    pub(crate) fn unsealed(&self) -> Vec<u64> {
        let state = self.state();
        let open = state.segments.iter().filter(|(_, segment)| !segment.filed && !segment.damaged);
        let mut numbers: Vec<u64> = open.map(|(number, _)| *number).collect();
        // The last one is written to.
        if numbers.last() == state.segments.keys().last() {
            numbers.pop();
        }
        numbers
    }
}
