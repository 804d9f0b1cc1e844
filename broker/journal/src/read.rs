//! Reads records back from the disk, each with its checksum.

use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::{Chunk, Run};
use sampan_protocol::limits::HEADER_BYTES as FRAME_BYTES;

use crate::api::Damage;
use crate::checksum::Seed;
use crate::dedupe::Entries;
use crate::error::Error;
use crate::extent::{Extent, Region};
use crate::index;
use crate::key::Sort;
use crate::record::{COPIED, RUN, Record, VALUE};
use crate::segment::SEGMENT_BYTES_MAX;
use crate::shared::Shared;
use crate::state::Value;
use crate::storage::{File, Storage};

/// Where a frame's topic id stands.
const TOPIC_ID: std::ops::Range<usize> = 8..16;

/// What one record of a region holds.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) run: Run,
    pub(crate) entries: Entries,
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missed {
    /// The log has put it elsewhere or deleted it meanwhile; look again.
    Moved,
    /// It is damaged; that was noted.
    Damaged,
    /// Something else.
    Failed(Error),
}

impl From<Error> for Missed {
    fn from(error: Error) -> Self {
        Missed::Failed(error)
    }
}

impl<S: Storage> Shared<S> {
    /// The regions of an extent.
    pub(crate) fn regions(&self, extent: &Extent) -> Result<Vec<Region>, Missed> {
        match index::regions(&self.storage, self.store_id, extent) {
            Ok(Some(regions)) => Ok(regions),
            Ok(None) => self.seal_again(extent.segment),
            Err(error) if error.kind() == ErrorKind::NotFound => self.seal_again(extent.segment),
            Err(error) => Err(Missed::Failed(error.into())),
        }
    }

    /// The records of a topic in a region, their frames under this topic id.
    pub(crate) fn pieces(
        &self,
        topic: u32,
        segment: u64,
        region: &Region,
        topic_id: Option<u64>,
    ) -> Result<Vec<Piece>, Missed> {
        let mut bytes = self.bytes(segment, region.at, region.length)?;
        let seed = Seed::new(self.store_id, segment);
        let broken =
            Damage { segment, at: region.at, bytes: region.length, what: "a broken record" };
        let Some(found) = find(&bytes, topic, region, seed) else {
            return Err(self.missed(broken));
        };
        if let Some(topic_id) = topic_id {
            found.iter().for_each(|(frames, _)| name(&mut bytes[frames.clone()], topic_id));
        }
        let bytes = Bytes::from(bytes);
        let pieces = found.into_iter().map(|(frames, entries)| {
            let run = entries.run(bytes.slice(frames))?;
            Some(Piece { run, entries })
        });
        let pieces: Option<Vec<Piece>> = pieces.collect();
        pieces.filter(|pieces| rise(pieces, region)).ok_or_else(|| self.missed(broken))
    }

    /// The body of a value.
    pub(crate) fn value(&self, key: &[u8], value: &Value) -> Result<Bytes, Missed> {
        if let Some(body) = &value.body {
            return Ok(body.clone());
        }
        let place = value.place;
        let bytes = Bytes::from(self.bytes(place.segment, place.at, place.bytes)?);
        let seed = Seed::new(self.store_id, place.segment);
        let record = Record::read(&bytes, place.at, place.at, seed);
        let record = record.filter(|record| record.head.kind == VALUE);
        match record.and_then(|record| record.split()) {
            Some((found, body)) if found == key => Ok(bytes.slice_ref(body)),
            _ => Err(self.missed(Damage {
                segment: place.segment,
                at: place.at,
                bytes: place.bytes,
                what: "a broken value",
            })),
        }
    }

    /// The newest message of a key, under this topic id.
    pub(crate) fn newest(
        &self,
        key: &[u8],
        value: &Value,
        topic_id: u64,
    ) -> Result<Arc<Run>, Missed> {
        debug_assert_eq!(key.first(), Some(&(Sort::Newest as u8)), "a message");
        let body = self.value(key, value)?;
        let mut frame = Vec::from(body);
        name(&mut frame, topic_id);
        let run = Run::of(vec![Chunk { head: frame.into(), body: None }]);
        let run = run.filter(|run| run.from == value.mark && run.count() == 1);
        run.map(Arc::new).ok_or_else(|| {
            let place = value.place;
            let what = "a value that is no message";
            self.missed(Damage { segment: place.segment, at: place.at, bytes: place.bytes, what })
        })
    }

    /// Bytes of a segment.
    fn bytes(&self, segment: u64, at: u64, length: u64) -> Result<Vec<u8>, Missed> {
        let Some(file) = self.file(segment)? else { return Err(Missed::Moved) };
        let mut bytes = vec![0; usize::try_from(length.min(SEGMENT_BYTES_MAX)).unwrap_or(0)];
        let read = file.read_at(&mut bytes, at).map_err(Error::from)?;
        if read < bytes.len() {
            let what = "a file that is too short";
            return Err(self.missed(Damage { segment, at, bytes: length, what }));
        }
        Ok(bytes)
    }

    /// Notes damage, unless the segment was deleted while it was read.
    pub(crate) fn missed(&self, damage: Damage) -> Missed {
        let mut state = self.state();
        if !state.segments.contains_key(&damage.segment) {
            return Missed::Moved;
        }
        state.damage(damage);
        Missed::Damaged
    }
}

type Found = Vec<(std::ops::Range<usize>, Entries)>;

/// Where the frames of a topic's records are in the bytes of a region; `None` unless all of them are
/// there and everything around them is valid.
fn find(bytes: &[u8], topic: u32, region: &Region, seed: Seed) -> Option<Found> {
    let (mut found, mut count, mut at) = (Vec::new(), 0, region.at);
    let end = region.at + region.length;
    while at < end {
        let record = Record::read(bytes, region.at, at, seed)?;
        at = record.end();
        if record.head.kind != RUN || record.head.topic != topic {
            continue;
        }
        let (ahead, frames) = record.split()?;
        let from = record.head.from;
        if !(region.from..=region.to).contains(&from) {
            continue;
        }
        let entries = Entries::read(ahead, from, record.head.flags & COPIED != 0)?;
        let start = frames.as_ptr().addr() - bytes.as_ptr().addr();
        count += u64::from(record.head.count);
        found.push((start..start + frames.len(), entries));
    }
    (count == region.count).then_some(found)
}

/// Whether the offsets of records only rise, and stay within their region.
fn rise(pieces: &[Piece], region: &Region) -> bool {
    let mut next = region.from;
    pieces.iter().all(|Piece { run, .. }| {
        let fits = (next..=region.to).contains(&run.from) && run.to <= region.to;
        next = run.to.saturating_add(1);
        fits
    })
}

/// Gives all frames this topic id.
fn name(mut frames: &mut [u8], topic_id: u64) {
    while frames.len() >= FRAME_BYTES {
        frames[TOPIC_ID].copy_from_slice(&topic_id.to_le_bytes());
        let attributes = usize::from(u16::from_le_bytes([frames[2], frames[3]]));
        let body = u32::from_le_bytes([frames[4], frames[5], frames[6], frames[7]]);
        let length = usize::try_from(body).unwrap_or(usize::MAX).saturating_add(attributes);
        let Some(rest) = frames.get_mut(length.saturating_add(FRAME_BYTES)..) else { return };
        frames = rest;
    }
}
