//! Deletes segments in which little or nothing is needed any more.
//!
//! What is still needed is copied forward first: messages with their offsets, values that are the
//! newest of their keys. One block says that the segment is gone; after it is synced the file goes.

use std::collections::BTreeSet;

use sampan_core::journal::{Hole, Run};
use sampan_protocol::{Now, Topic};

use crate::block::Block;
use crate::dedupe::Entries;
use crate::encode::DECLARED_BYTES;
use crate::error::Error;
use crate::index::Index;
use crate::keeper::{Keeper, Work};
use crate::key::{self, Sort};
use crate::read::{Missed, Piece};
use crate::state::{Change, Value};
use crate::storage::Storage;
use crate::writer::Writer;

/// A segment is rewritten when less than this part of a full one is needed.
const NEEDED_PART: u64 = 4;

/// Bytes of copies that are written at once.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// A segment to be deleted, and what of it has to be copied.
#[derive(Debug)]
pub(crate) struct Cleaning {
    segment: u64,
    /// Topics that have messages in it.
    topics: BTreeSet<u32>,
    copies: Vec<Copy>,
    keys: Vec<bytes::Bytes>,
}

#[derive(Debug)]
struct Copy {
    topic: u32,
    run: Run,
    entries: Entries,
}

/// Copies on their way.
pub(crate) struct Copying {
    time_ms: u64,
    block: Option<Block>,
    /// What becomes of the messages, once the segment that they are copied from goes.
    pub(crate) changes: Vec<Change>,
}

impl Copying {
    pub(crate) fn new(time_ms: u64) -> Self {
        Copying { time_ms, block: None, changes: Vec::new() }
    }
}

impl<S: Storage> Keeper<S> {
    /// The segment of which least is needed, if that is little, with what is needed of it. On a full
    /// disk those that cost no space make it for the others.
    pub(crate) fn find_cleaning(&self, now: Now) -> Result<Option<Cleaning>, Error> {
        let since_ms = self.shared.window_from(now);
        let few = self.shared.options.segment_bytes / NEEDED_PART;
        let mut candidates: Vec<(u64, u64)> = {
            let (ledger, state) = (self.shared.ledger(), self.shared.state());
            let sealed = state.segments.iter().filter(|(_, s)| s.filed && !s.damaged);
            let needed = sealed.map(|(number, s)| (s.live_bytes + ledger.kept(*number), *number));
            needed.filter(|(bytes, _)| *bytes < few).collect()
        };
        candidates.sort_unstable();
        for (_, segment) in candidates {
            match self.gather(segment, since_ms) {
                Ok(cleaning) => return Ok(Some(cleaning)),
                // It is not touched from now on.
                Err(Missed::Damaged | Missed::Moved) => {}
                Err(Missed::Failed(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    fn gather(&self, segment: u64, since_ms: u64) -> Result<Cleaning, Missed> {
        let index = Index::read(&self.shared.storage, self.shared.store_id, segment);
        let Some(index) = index.map_err(Error::from)? else { return Err(Missed::Damaged) };
        let mut copies = Vec::new();
        for (topic, _) in &index.extents {
            let (from, extents) = {
                let state = self.shared.state();
                let Some(standing) = state.topics.get(*topic) else { continue };
                let here = standing.extents.values().filter(|extent| extent.segment == segment);
                (standing.kept_from(), here.cloned().collect::<Vec<_>>())
            };
            for extent in extents.iter().filter(|extent| extent.is_kept(from, since_ms)) {
                let is_kept = |to: u64, time_ms: u64| match extent.is_bare() {
                    true => time_ms >= since_ms,
                    false => to >= from,
                };
                let regions = self.shared.regions(extent)?;
                for region in regions.iter().filter(|region| is_kept(region.to, region.time_ms)) {
                    let pieces = self.shared.pieces(*topic, segment, region, None)?;
                    for Piece { run, mut entries } in pieces {
                        let time_ms = *entries.time_ms.get_or_insert(region.time_ms);
                        if is_kept(run.to, time_ms) {
                            copies.push(Copy { topic: *topic, run, entries });
                        }
                    }
                }
            }
        }
        // A topic may have several extents here, each of which is listed.
        copies.sort_by_key(|copy| (copy.topic, copy.run.from));
        copies.dedup_by_key(|copy| (copy.topic, copy.run.from));
        let topics = index.extents.iter().map(|(topic, _)| *topic).collect();
        Ok(Cleaning { segment, topics, copies, keys: index.values.into_keys().collect() })
    }
}

impl<S: Storage> Writer<S> {
    /// Writes what a [`Keeper`] has found to be written, and syncs it.
    ///
    /// # Errors
    /// `Full` if there is no space for what has to be copied; it is tried again with the next work.
    /// Any other error fences the log.
    pub fn clean(&mut self, now: Now, work: Work) -> Result<(), Error> {
        let floors = work.floors.iter();
        let floors = floors
            .map(|(number, _, floor)| (Sort::Floor.of(*number, b""), Some(key::number(*floor))));
        self.put_own(now, &floors.collect::<Vec<_>>())?;
        if work.floors.is_empty() && work.cleaning.is_none() {
            return Ok(());
        }
        // A floor that was told stays, and whatever is newer is known from here on.
        self.sync()?;
        let Some(Cleaning { segment, topics, copies, keys }) = work.cleaning else { return Ok(()) };
        if !self.shared.state().segments.get(&segment).is_some_and(|s| s.filed && !s.damaged) {
            return Ok(());
        }
        let source = u16::try_from(segment & u64::from(u16::MAX)).unwrap_or(0);
        let mut copying = Copying::new(self.shared.clock.at(now));
        for Copy { topic, run, entries } in &copies {
            let named = self.named(*topic);
            let name_bytes = named.as_ref().map_or(0, |(name, _)| name.as_str().len());
            let declared = name_bytes + DECLARED_BYTES;
            let weight = Block::run_weight(run) + entries.bytes() + declared;
            let block = self.copy_to(&mut copying, weight)?;
            if let Some((name, epoch)) = named {
                self.declare(&mut self.shared.state(), block, *topic, &name, epoch);
            }
            block.part(*topic, Some(source), run, entries);
        }
        for key in keys {
            let Some(value) = self.live(segment, &key) else { continue };
            let body = if value.absent {
                None
            } else {
                match self.shared.value(&key, &value) {
                    Ok(body) => Some(body),
                    // It stays where it is, and so does the segment.
                    Err(Missed::Damaged | Missed::Moved) => return Ok(()),
                    Err(Missed::Failed(error)) => return Err(error),
                }
            };
            let weight = Block::value_weight(key.len(), body.as_ref().map_or(0, bytes::Bytes::len));
            let block = self.copy_to(&mut copying, weight)?;
            block.value(key, body.as_ref().map(std::slice::from_ref), value.mark);
        }
        self.end_block(&mut copying)?;
        let mut gone = self.shared.state().gone.clone();
        key::join(&mut gone, Hole { from: segment, to: segment });
        self.put_own(now, &[(Sort::Gone.alone(), Some(key::ranges(&gone)))])?;
        self.sync()?;
        self.replace(segment, &topics, copying.changes);
        self.shared.depot().dead.push_back(segment);
        Ok(())
    }

    /// What a topic is called, and its epoch.
    fn named(&self, topic: u32) -> Option<(Topic, u64)> {
        let state = self.shared.state();
        state.topics.get(topic).and_then(|found| Some((found.name.clone()?, found.epoch)))
    }

    /// The value of a key, if it is in this segment and still needed.
    fn live(&self, segment: u64, key: &bytes::Bytes) -> Option<Value> {
        let state = self.shared.state();
        let value = state.values.get(key).filter(|value| value.place.segment == segment)?;
        let first = state.segments.range(value.mark..).next();
        let needed = first.is_some_and(|(number, _)| *number < segment);
        (!value.absent || needed).then(|| value.clone())
    }

    /// A block with room for another record.
    pub(crate) fn copy_to<'a>(
        &mut self,
        copying: &'a mut Copying,
        weight: usize,
    ) -> Result<&'a mut Block, Error> {
        let bytes = copying.block.as_ref().map_or(0, Block::bytes).saturating_add(weight);
        if bytes > self.room().min(BLOCK_BYTES_MAX) {
            self.end_block(copying)?;
            if weight > self.room() {
                self.make_room(true, false, copying.time_ms)?;
            }
        }
        Ok(copying.block.get_or_insert_with(|| self.block(copying.time_ms)))
    }

    pub(crate) fn end_block(&mut self, copying: &mut Copying) -> Result<(), Error> {
        let Some(mut block) = copying.block.take() else { return Ok(()) };
        let runs = |change: &mut Change| matches!(change, Change::Run { .. });
        copying.changes.extend(block.changes.extract_if(.., runs));
        self.commit(block, Vec::new())
    }

    /// Puts the copies in the place of a segment that has messages of these topics.
    pub(crate) fn replace(&self, segment: u64, topics: &BTreeSet<u32>, changes: Vec<Change>) {
        let mut state = self.shared.state();
        for topic in topics {
            let extents = &mut state.topics.entry(*topic).extents;
            extents.retain(|_, extent| extent.segment != segment);
        }
        changes.into_iter().for_each(|change| state.apply(change));
        state.segments.remove(&segment);
        state.forget_removed();
    }
}
