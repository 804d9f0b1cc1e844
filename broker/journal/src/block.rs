//! A block in the making: records for one write, their bytes shared where they are large.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::{Chunk, Run};

use crate::checksum::Seed;
use crate::dedupe::Entries;
use crate::extent::{REGION_BYTES, Region};
use crate::key::{self, Sort};
use crate::record::{ABSENT, BLOCK, COPIED, HEAD_BYTES, Head, RUN, VALUE, aligned};
use crate::state::{Change, Place, Value};

/// Shorter pieces are copied, since each shared one costs an entry of the system call.
const SHARED_BYTES_MIN: usize = 512;

/// Frames of a run that go into one record, unless a single one is larger.
const RECORD_BYTES: usize = REGION_BYTES as usize;

/// Where a block stands and what its head says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    pub(crate) segment: u64,
    pub(crate) seed: Seed,
    /// Where it starts in the segment.
    pub(crate) at: u64,
    pub(crate) commit: u64,
    /// Commits before it that are not synced.
    pub(crate) unsynced: u64,
    /// Time by the clock of retention.
    pub(crate) time_ms: u64,
    pub(crate) flags: u8,
}

/// Records that are to be written at once.
#[derive(Debug)]
pub(crate) struct Block {
    seat: Seat,
    /// Heads, padding and short pieces; starts with room for the block's own head.
    own: Vec<u8>,
    parts: Vec<Part>,
    bytes: usize,
    records: u32,
    /// What the records do, once they are synced.
    pub(crate) changes: Vec<Change>,
    /// Frames and values in it.
    pub(crate) payload_bytes: u64,
}

#[derive(Debug)]
enum Part {
    Own(Range<usize>),
    Shared(Bytes),
}

impl Block {
    pub(crate) fn new(seat: Seat) -> Self {
        Block {
            seat,
            own: vec![0; HEAD_BYTES],
            parts: vec![Part::Own(0..HEAD_BYTES)],
            bytes: HEAD_BYTES,
            records: 0,
            changes: Vec::new(),
            payload_bytes: 0,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.records == 0
    }

    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn time_ms(&self) -> u64 {
        self.seat.time_ms
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    /// Bytes that a run takes at most.
    pub(crate) fn run_weight(run: &Run) -> usize {
        let records = run.bytes / (RECORD_BYTES / 2) + 1;
        let entries = Entries::weight(run) + 64 * records;
        run.chunks.iter().map(Chunk::bytes).sum::<usize>() + entries + records * (HEAD_BYTES + 16)
    }

    /// Bytes that a value takes.
    pub(crate) fn value_weight(key: usize, value: usize) -> usize {
        aligned(HEAD_BYTES + key + value)
    }

    /// Adds a run's messages, in records of moderate size.
    pub(crate) fn run(&mut self, topic: u32, run: &Arc<Run>) {
        let mut from = run.from;
        while let Some(part) = run.part(from, u32::MAX, RECORD_BYTES) {
            let entries = Entries::of(run, part.from, part.to, self.seat.time_ms);
            self.part(topic, None, &part, &entries);
            let Some(next) = part.to.checked_add(1) else { break };
            from = next;
        }
    }

    /// Adds what a run says of its messages, which are values; nothing if it says nothing.
    pub(crate) fn bare(&mut self, topic: u32, run: &Run) {
        let entries = Entries::of(run, run.from, run.to, self.seat.time_ms);
        if let Some(bare) = entries.run(Bytes::new()) {
            self.part(topic, None, &bare, &entries);
        }
    }

    /// Adds messages that go into one record.
    pub(crate) fn part(&mut self, topic: u32, source: Option<u16>, run: &Run, entries: &Entries) {
        let mut ahead = Vec::new();
        entries.write(run.from, &mut ahead);
        let is_bare = run.chunks.is_empty();
        let count = if is_bare { 0 } else { run.count() };
        let head = Head {
            kind: RUN,
            flags: if source.is_some() { COPIED } else { 0 },
            mark: source.unwrap_or(0),
            topic,
            from: run.from,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            meta: u32::try_from(ahead.len()).unwrap_or(u32::MAX),
            length: 0,
        };
        let chunks = run.chunks.iter();
        let pieces = chunks.flat_map(|chunk| std::iter::once(&chunk.head).chain(&chunk.body));
        let (at, length) = self.record(head, &ahead, pieces);
        let region = Region {
            from: run.from,
            to: run.to,
            at,
            length,
            count,
            bytes: if is_bare { ahead.len() } else { run.bytes } as u64,
            last_ms: run.last_ms.max(run.first_ms),
            time_ms: entries.time_ms.unwrap_or(self.seat.time_ms),
        };
        self.payload_bytes += run.bytes as u64;
        self.changes.push(Change::Run { topic, segment: self.seat.segment, source, region });
    }

    /// Adds a value, or that a key has none.
    pub(crate) fn value(&mut self, key: Bytes, body: Option<&[Bytes]>, mark: u64) {
        let head = Head {
            kind: VALUE,
            flags: if body.is_none() { ABSENT } else { 0 },
            from: mark,
            meta: u32::try_from(key.len()).unwrap_or(u32::MAX),
            ..Head::default()
        };
        let pieces = body.unwrap_or_default();
        self.payload_bytes += pieces.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let (at, bytes) = self.record(head, &key, pieces);
        let kept = key::parse(&key).is_some_and(|(sort, ..)| !sort.is_located());
        let body = body.filter(|_| kept).map(|pieces| Bytes::from(pieces.concat()));
        let place = Place { segment: self.seat.segment, at, bytes };
        let value = Value { place, absent: head.flags == ABSENT, mark, body };
        self.changes.push(Change::Value { key, value });
    }

    /// Adds a value of the log itself.
    pub(crate) fn own_value(&mut self, key: Bytes, body: Option<Bytes>, mark: u64) {
        debug_assert!(key.first() != Some(&(Sort::Owner as u8)), "not the owner's");
        self.value(key, body.as_ref().map(std::slice::from_ref), mark);
    }

    /// Where the record starts in its segment, and its bytes.
    fn record<'a>(
        &mut self,
        head: Head,
        ahead: &[u8],
        pieces: impl IntoIterator<Item = &'a Bytes> + Clone,
    ) -> (u64, u64) {
        let at = self.seat.at + self.bytes as u64;
        let behind: usize = pieces.clone().into_iter().map(Bytes::len).sum();
        let length = u32::try_from(ahead.len() + behind).unwrap_or(u32::MAX);
        let head = Head { length, ..head };
        let body = std::iter::once(ahead).chain(pieces.clone().into_iter().map(|p| &p[..]));
        let head = head.encode(self.seat.seed, at, body);
        self.copy(&head);
        self.copy(ahead);
        for piece in pieces {
            if piece.len() < SHARED_BYTES_MIN {
                self.copy(piece);
            } else {
                self.bytes += piece.len();
                self.parts.push(Part::Shared(piece.clone()));
            }
        }
        let bytes = HEAD_BYTES + ahead.len() + behind;
        self.copy(&[0; 8][..aligned(bytes) - bytes]);
        self.records += 1;
        (at, bytes as u64)
    }

    fn copy(&mut self, bytes: &[u8]) {
        let start = self.own.len();
        self.own.extend_from_slice(bytes);
        self.bytes += bytes.len();
        match self.parts.last_mut() {
            Some(Part::Own(range)) => range.end = self.own.len(),
            _ => self.parts.push(Part::Own(start..self.own.len())),
        }
    }

    /// Writes the block's own head; the block is whole then.
    pub(crate) fn finish(&mut self) {
        let head = Head {
            kind: BLOCK,
            flags: self.seat.flags,
            mark: u16::try_from(self.seat.unsynced).unwrap_or(u16::MAX),
            length: u32::try_from(self.bytes - HEAD_BYTES).unwrap_or(u32::MAX),
            topic: self.records,
            from: self.seat.commit,
            ..Head::default()
        };
        let head = head.at_time(self.seat.time_ms).encode(self.seat.seed, self.seat.at, []);
        self.own[..HEAD_BYTES].copy_from_slice(&head);
    }

    /// The bytes, piece by piece.
    pub(crate) fn slices(&self) -> Vec<IoSlice<'_>> {
        let slice = |part| match part {
            &Part::Own(Range { start, end }) => IoSlice::new(&self.own[start..end]),
            Part::Shared(bytes) => IoSlice::new(bytes),
        };
        self.parts.iter().map(slice).collect()
    }
}
