//! The writer of a log: blocks to the page cache, then to the disk.

use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::Run;
use sampan_protocol::Now;

use crate::api::{Write, Written};
use crate::block::{Block, Seat};
use crate::depot::Prepared;
use crate::encode::{Undo, fitting, weight};
use crate::error::Error;
use crate::key::{self, Sort};
use crate::record::{HEAD_BYTES, OPENED};
use crate::segment::HEADER_BYTES;
use crate::shared::Shared;
use crate::state::{Change, Segment};
use crate::storage::{File, Storage};

/// Unsynced changes that wait for their sync at most; a write beyond that syncs first.
const UNSYNCED_MAX: usize = 1 << 20;

/// Writes to a log. There is one, and its owner has it for itself.
pub struct Writer<S: Storage> {
    pub(crate) shared: Arc<Shared<S>>,
    pub(crate) active: Active<S::File>,
    /// The next block's number.
    pub(crate) commit: u64,
    /// The highest synced one.
    synced: u64,
    fenced: bool,
    /// What the unsynced blocks do.
    unsynced: Unsynced,
    /// Whether a block was written since the log was opened.
    opened: bool,
}

/// The segment that is written to.
#[derive(Debug)]
pub(crate) struct Active<F> {
    pub(crate) prepared: Prepared<F>,
    pub(crate) end: u64,
    /// Whether it was in reserve: no messages go there.
    reserve: bool,
}

#[derive(Debug, Default)]
struct Unsynced {
    changes: Vec<Change>,
    runs: Vec<(u32, Arc<Run>)>,
    payload_bytes: u64,
    records: u64,
    blocks: u64,
    time_ms: u64,
}

impl<S: Storage> Writer<S> {
    pub(crate) fn new(
        shared: Arc<Shared<S>>,
        prepared: Prepared<S::File>,
        reserve: bool,
        seen: u64,
    ) -> Self {
        let active = Active { prepared, end: HEADER_BYTES, reserve };
        let unsynced = Unsynced::default();
        let (commit, fenced, opened) = (seen + 1, false, false);
        let writer = Writer { shared, active, commit, synced: seen, fenced, unsynced, opened };
        writer.register();
        writer
    }

    /// Writes all that there is space for, in order; each is whole or not there. Afterwards it is in
    /// the page cache, and would outlive the process. It is not readable before [`Writer::sync`].
    ///
    /// One answer per write. `Full`, `WrongEpoch`, `OffsetReused`, `TooLarge` and `TooManyTopics` are
    /// about one write alone; any other error fences the log.
    pub fn write(&mut self, now: Now, writes: &[Write]) -> Vec<Result<Written, Error>> {
        let time_ms = self.shared.clock.at(now);
        let mut answers = Vec::with_capacity(writes.len());
        let mut left = writes;
        while let Some(first) = left.first() {
            let room = self.room();
            let weight = weight(first);
            let is_append = matches!(first, Write::Append { .. });
            let result = if self.fenced {
                Err(Error::Fenced)
            } else if is_append && !self.takes_messages(time_ms) {
                Err(Error::Full)
            } else if weight > self.room_of_new() {
                Err(Error::TooLarge)
            } else if weight > room || self.unsynced.changes.len() > UNSYNCED_MAX {
                match self.make_room(weight > room, !is_append, time_ms) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                }
            } else {
                let (count, fitting) = fitting(left, room, self.active.reserve);
                let mut answered = self.write_block(time_ms, fitting);
                answers.append(&mut answered);
                left = &left[count..];
                continue;
            };
            answers.push(result);
            left = &left[1..];
        }
        answers
    }

    /// Makes all that was written durable, and readable.
    ///
    /// # Errors
    /// `Fenced`, or what the storage reported, which fences the log.
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.fenced {
            return Err(Error::Fenced);
        }
        if self.unsynced.blocks == 0 {
            return Ok(());
        }
        let synced = self.active.prepared.file.sync();
        self.fencing(synced.map_err(|error| Error::Storage((&error).into())))?;
        let Unsynced { changes, runs, payload_bytes, records, blocks, time_ms } =
            std::mem::take(&mut self.unsynced);
        let (number, end) = (self.active.prepared.header.number, self.active.end);
        let mut state = self.shared.state();
        if let Some(segment) = state.segments.get_mut(&number) {
            let first = if segment.records == 0 { self.synced + 1 } else { segment.commits.0 };
            segment.commits = (first, self.commit - 1);
            let bytes = end - segment.end;
            segment.end = end;
            segment.records += records;
            segment.time_ms = time_ms;
            state.stats.written_bytes += bytes;
        }
        changes.into_iter().for_each(|change| state.apply(change));
        runs.into_iter().for_each(|(topic, run)| state.remember(topic, run));
        state.stats.payload_bytes += payload_bytes;
        state.stats.records += records;
        state.stats.commits += blocks;
        state.stats.syncs += 1;
        self.synced = self.commit - 1;
        Ok(())
    }

    /// Whether the storage failed, so that the log takes nothing more.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.fenced
    }

    /// Syncs and closes: the log opens again as it was left, without a jump in any offset.
    ///
    /// # Errors
    /// `Fenced`, or what the storage reported.
    pub fn close(mut self, now: Now) -> Result<(), Error> {
        let last = self.commit;
        let reserved: Vec<Bytes> = {
            let state = self.shared.state();
            let topics = state.topics.iter().filter(|(_, topic)| topic.promised > 0);
            topics.map(|(number, _)| Sort::Reserved.of(number, b"")).collect()
        };
        let voided = reserved.into_iter().map(|key| (key, None));
        let closed = (Sort::Closed.alone(), Some(key::number(last)));
        let values: Vec<_> = voided.chain([closed]).collect();
        self.put_own(now, &values)?;
        self.sync()?;
        let number = self.active.prepared.header.number;
        self.shared.seal(number)
    }

    /// Writes values of the log itself.
    pub(crate) fn put_own(
        &mut self,
        now: Now,
        values: &[(Bytes, Option<Bytes>)],
    ) -> Result<(), Error> {
        let time_ms = self.shared.clock.at(now);
        let size = |(key, body): &(Bytes, Option<Bytes>)| {
            Block::value_weight(key.len(), body.as_ref().map_or(0, Bytes::len))
        };
        let mut left = values;
        while !left.is_empty() {
            let mut room = self.room();
            let count = left.iter().take_while(|value| {
                let fits = size(value) <= room;
                room = room.saturating_sub(size(value));
                fits
            });
            let count = count.count();
            if count == 0 {
                if size(&left[0]) > self.room_of_new() {
                    return Err(Error::TooLarge);
                }
                self.make_room(true, true, time_ms)?;
                continue;
            }
            let mut block = self.block(time_ms);
            for (key, body) in &left[..count] {
                let mark = self.first_segment(&self.shared.state(), key);
                block.own_value(key.clone(), body.clone(), mark);
            }
            self.commit(block, Vec::new())?;
            left = &left[count..];
        }
        Ok(())
    }

    /// Encodes writes that fit into the segment, and writes them as one block.
    fn write_block(&mut self, time_ms: u64, writes: &[Write]) -> Vec<Result<Written, Error>> {
        let (mut block, mut undo, mut runs) = (self.block(time_ms), Undo::default(), Vec::new());
        let shared = self.shared.clone();
        let mut state = shared.state();
        let mut answers: Vec<_> = writes
            .iter()
            .map(|write| self.encode(&mut state, &mut block, &mut undo, &mut runs, write))
            .collect();
        drop(state);
        if block.is_empty() {
            return answers;
        }
        if let Err(error) = self.commit(block, runs) {
            undo.take_back(&mut shared.state());
            answers.iter_mut().filter(|answer| answer.is_ok()).for_each(|a| *a = Err(error));
        }
        answers
    }

    /// A block at the end of the segment.
    pub(crate) fn block(&self, time_ms: u64) -> Block {
        let header = &self.active.prepared.header;
        Block::new(Seat {
            segment: header.number,
            seed: header.seed(),
            at: self.active.end,
            commit: self.commit,
            unsynced: self.commit - 1 - self.synced,
            time_ms,
            flags: if self.opened { 0 } else { OPENED },
        })
    }

    /// Writes a block to the page cache.
    pub(crate) fn commit(
        &mut self,
        mut block: Block,
        runs: Vec<(u32, Arc<Run>)>,
    ) -> Result<(), Error> {
        if self.fenced {
            return Err(Error::Fenced);
        }
        block.finish();
        let written = self.active.prepared.file.write_at(&block.slices(), self.active.end);
        match written.map_err(Error::from) {
            // What was written of it is no whole block, and the next one goes to the same place.
            Err(Error::Full) => return Err(Error::Full),
            other => self.fencing(other)?,
        }
        self.active.end += block.bytes() as u64;
        self.commit += 1;
        self.opened = true;
        self.unsynced.payload_bytes += block.payload_bytes;
        self.unsynced.records += u64::from(block.records());
        self.unsynced.blocks += 1;
        self.unsynced.time_ms = self.unsynced.time_ms.max(block.time_ms());
        self.unsynced.changes.append(&mut block.changes);
        self.unsynced.runs.extend(runs);
        Ok(())
    }

    /// Bytes of records that fit into the segment, in one block.
    pub(crate) fn room(&self) -> usize {
        let left = self.active.prepared.header.bytes.saturating_sub(self.active.end);
        usize::try_from(left).unwrap_or(usize::MAX).saturating_sub(HEAD_BYTES)
    }

    /// Bytes of records that fit into an empty segment, in one block.
    fn room_of_new(&self) -> usize {
        let bytes = self.shared.options.segment_bytes - HEADER_BYTES;
        usize::try_from(bytes).unwrap_or(usize::MAX) - HEAD_BYTES
    }

    /// Syncs what waits, and goes on in another segment if that is asked for.
    pub(crate) fn make_room(
        &mut self,
        roll: bool,
        may_use_reserve: bool,
        now_ms: u64,
    ) -> Result<(), Error> {
        self.sync()?;
        if !roll {
            return Ok(());
        }
        let shared = self.shared.clone();
        let taken = shared.depot().take(&shared.storage, may_use_reserve, now_ms);
        let (prepared, reserve) = match taken {
            Err(Error::Full) => return Err(Error::Full),
            other => self.fencing(other)?,
        };
        self.active = Active { prepared, end: HEADER_BYTES, reserve };
        self.register();
        Ok(())
    }

    /// Whether messages may be written: not to a segment out of the reserve, before there is space
    /// for another one again.
    fn takes_messages(&mut self, now_ms: u64) -> bool {
        if self.active.reserve {
            let shared = self.shared.clone();
            let prepared = shared.depot().prepare_again(&shared.storage, now_ms);
            self.active.reserve = prepared.is_err();
        }
        !self.active.reserve
    }

    /// Tells the state about the segment that is written to.
    fn register(&self) {
        let Prepared { header, file } = &self.active.prepared;
        let file = Some(file.clone());
        let segment = Segment { file, ..Segment::new(HEADER_BYTES) };
        self.shared.state().segments.insert(header.number, segment);
    }

    /// Fences the log if there was an error.
    pub(crate) fn fencing<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        self.fenced |= result.is_err();
        result
    }
}
