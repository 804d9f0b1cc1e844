//! Ends a segment: cuts it behind its last block and writes its index.

use crate::api::Damage;
use crate::checksum::Seed;
use crate::error::Error;
use crate::index::Index;
use crate::read::Missed;
use crate::recover;
use crate::scan::scan;
use crate::shared::Shared;
use crate::state::{Segment, State};
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

    /// Finds again in a sealed segment's blocks what its index says, since that is broken, so that
    /// the segment is sealed again in time. It is to be looked at again; it is damaged if its blocks
    /// are.
    pub(crate) fn seal_again<T>(&self, number: u64) -> Result<T, Missed> {
        let Some(file) = self.file(number)? else { return Err(Missed::Moved) };
        let (end, commits, mut again) = {
            let state = self.state();
            let Some(segment) = state.segments.get(&number) else { return Err(Missed::Moved) };
            let mut again = State::new(self.options.classes.clone(), 0);
            again.segments.insert(number, Segment::new(segment.end));
            (segment.end, segment.commits, again)
        };
        let bytes = recover::read(&*file, end).map_err(Error::from)?;
        let seed = Seed::new(self.store_id, number);
        let scan = scan(&bytes, number, seed, commits.0.saturating_sub(1));
        if !scan.damaged.is_empty() || scan.end != end || scan.commits != Some(commits) {
            let what = "a broken index of broken blocks";
            return Err(self.missed(Damage { segment: number, at: 0, bytes: 0, what }));
        }
        scan.changes.into_iter().for_each(|change| again.apply(change));
        self.unfile(number, again);
        Err(Missed::Moved)
    }

    /// Holds what the index of a segment is to say in memory, as it was found again.
    fn unfile(&self, number: u64, mut again: State<S::File>) {
        let mut state = self.state();
        let found = again.segments.remove(&number);
        let Some((segment, found)) = state.segments.get_mut(&number).zip(found) else { return };
        (segment.filed, segment.unfiled, segment.topics) = (false, found.unfiled, found.topics);
        for topic in segment.topics.clone() {
            let found = again.topics.entry(topic).extents.values();
            let held = state.topics.entry(topic).extents.values_mut();
            for extent in held.filter(|extent| extent.segment == number) {
                if let Some(found) = found.clone().find(|found| found.total == extent.total) {
                    extent.regions = found.regions.clone();
                }
            }
        }
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
