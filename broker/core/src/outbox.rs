//! What waits for one session: control frames, lanes of deliveries, datagrams.
//!
//! The outbox only queues and counts; what happens when a budget is exceeded is decided by the
//! topic's class (`shard::fanout`).

use std::collections::{BTreeSet, VecDeque};

use bytes::{Buf, Bytes, BytesMut};
use sampan_protocol::attribute;
use sampan_protocol::control::{self, Gap, GapReason};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::{HEADER_BYTES, LANES};

use crate::journal::Chunk;

/// Where frames leave a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// The control stream.
    Control,
    /// A delivery lane, below `LANES`.
    Lane(u8),
}

impl Channel {
    /// Every channel, control first.
    pub fn all() -> impl Iterator<Item = Channel> {
        std::iter::once(Channel::Control).chain((0..LANES).map(Channel::Lane))
    }
}

/// Stands for the feed of jobs, which no feed's budget counts.
pub(crate) const JOBS: u32 = u32::MAX;

/// Deliveries of one feed that wait on a lane.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) chunk: Chunk,
    /// The session's feed that the bytes count against.
    pub(crate) feed: u32,
    /// First and last offset inside.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Bytes when queued, so that the count is undone exactly.
    pub(crate) bytes: usize,
    /// Whether the transport has taken a part, so that the rest must follow.
    pub(crate) started: bool,
}

/// The queues of one session.
#[derive(Debug, Default)]
pub struct Outbox {
    control: VecDeque<Bytes>,
    control_bytes: usize,
    lanes: [VecDeque<Entry>; LANES as usize],
    lane_bytes: usize,
    datagrams: VecDeque<Bytes>,
}

impl Outbox {
    /// Bytes of control frames that wait.
    #[must_use]
    pub fn control_bytes(&self) -> usize {
        self.control_bytes
    }

    /// Bytes of deliveries that wait.
    #[must_use]
    pub fn lane_bytes(&self) -> usize {
        self.lane_bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.control.is_empty()
            && self.datagrams.is_empty()
            && self.lanes.iter().all(VecDeque::is_empty)
    }

    pub(crate) fn push_control(&mut self, frame: Bytes) {
        self.control_bytes += frame.len();
        self.control.push_back(frame);
    }

    pub(crate) fn push(&mut self, lane: u8, entry: Entry) {
        self.lane_bytes += entry.bytes;
        self.lanes[usize::from(lane % LANES)].push_back(entry);
    }

    /// Queues a datagram; whether an older one had to go for it.
    pub(crate) fn push_datagram(&mut self, frame: Bytes, max: usize) -> bool {
        let full = self.datagrams.len() >= max;
        if full {
            self.datagrams.pop_front();
        }
        self.datagrams.push_back(frame);
        full
    }

    /// The next datagram to send.
    pub fn pop_datagram(&mut self) -> Option<Bytes> {
        let datagram = self.datagrams.pop_front();
        shrink(&mut self.datagrams);
        datagram
    }

    /// Whether the channel has anything to send.
    #[must_use]
    pub fn has(&self, channel: Channel) -> bool {
        match channel {
            Channel::Control => !self.control.is_empty(),
            Channel::Lane(lane) => !self.lanes[usize::from(lane % LANES)].is_empty(),
        }
    }

    /// Hands the channel's bytes to `write` in order, which takes as much as it can from the front
    /// of what it is given; ends when it leaves a rest. `released` learns which feed got rid of
    /// how many bytes.
    pub(crate) fn transfer(
        &mut self,
        channel: Channel,
        write: &mut dyn FnMut(&mut Bytes),
        released: &mut dyn FnMut(u32, usize),
    ) {
        match channel {
            Channel::Control => {
                while let Some(front) = self.control.front_mut() {
                    let before = front.len();
                    write(front);
                    self.control_bytes -= before - front.len();
                    if front.has_remaining() {
                        return;
                    }
                    self.control.pop_front();
                }
                shrink(&mut self.control);
            }
            Channel::Lane(lane) => {
                let queue = &mut self.lanes[usize::from(lane % LANES)];
                while let Some(entry) = queue.front_mut() {
                    if !entry.write(write) {
                        return;
                    }
                    self.lane_bytes -= entry.bytes;
                    released(entry.feed, entry.bytes);
                    queue.pop_front();
                }
                shrink(queue);
            }
        }
    }

    /// Forgets what waits for `feed`, apart from an entry that has been started and, with
    /// `keep_names`, TOPIC frames. Answers the bytes released and the first offset dropped.
    pub(crate) fn remove(&mut self, lane: u8, feed: u32, keep_names: bool) -> (usize, Option<u64>) {
        let queue = &mut self.lanes[usize::from(lane % LANES)];
        let (mut bytes, mut first) = (0, None);
        queue.retain(|entry| {
            let name = keep_names && entry.is_name();
            let keep = entry.feed != feed || entry.started || name;
            if !keep {
                bytes += entry.bytes;
                first = first.or(Some(entry.from));
            }
            keep
        });
        self.lane_bytes -= bytes;
        shrink(queue);
        (bytes, first)
    }

    /// Cuts what waits for an ephemeral `feed` down to about `keep` bytes: an older message of a
    /// key goes before any newest one, then the oldest go. Every hole is announced by a GAP.
    pub(crate) fn compact(
        &mut self,
        lane: u8,
        feed: u32,
        keep: usize,
        topic: Compact,
    ) -> Compacted {
        let queue = &mut self.lanes[usize::from(lane % LANES)];
        let mut taken = Vec::new();
        let mut rest = VecDeque::with_capacity(queue.len());
        for entry in queue.drain(..) {
            if entry.feed == feed && !entry.started && !entry.is_name() {
                taken.push(entry);
            } else {
                rest.push_back(entry);
            }
        }
        *queue = rest;
        let before = taken.iter().map(|entry| entry.bytes).sum();
        let result = Compacted { before, ..Compacted::default() };
        self.lane_bytes -= result.before;
        let (Some(first), Some(last)) = (taken.first(), taken.last()) else { return result };
        let (first, last) = (first.from, last.to);
        let kept = newest_per_key(&taken, keep);
        let mut writer =
            Survivors { topic, feed, start: first, next: first, out: BytesMut::new(), result };
        for frame in kept.into_iter().rev() {
            writer.add(frame, self, lane);
        }
        writer.finish(last, self, lane)
    }
}

/// The topic whose messages are compacted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compact {
    pub(crate) topic_id: u64,
    pub(crate) epoch: u64,
}

/// What a compaction did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Compacted {
    /// Bytes that waited before and after.
    pub(crate) before: usize,
    pub(crate) after: usize,
    /// Messages dropped.
    pub(crate) dropped: u64,
    /// GAP frames written.
    pub(crate) gaps: u64,
}

/// One whole frame inside a chunk.
struct Whole {
    offset: u64,
    head: Bytes,
    body: Option<Bytes>,
}

/// The deliveries to keep, newest first.
fn newest_per_key(entries: &[Entry], keep: usize) -> Vec<Whole> {
    let (mut kept, mut bytes, mut keys) = (Vec::new(), 0, BTreeSet::new());
    for entry in entries.iter().rev() {
        let frames: Vec<Whole> = frames(&entry.chunk).collect();
        for frame in frames.into_iter().rev() {
            let size = frame.head.len() + frame.body.as_ref().map_or(0, Bytes::len);
            let older = key(&frame.head).is_some_and(|key| !keys.insert(key));
            if older || bytes + size > keep {
                continue;
            }
            bytes += size;
            kept.push(frame);
        }
    }
    kept
}

/// The DELIVER frames in a chunk.
fn frames(chunk: &Chunk) -> impl Iterator<Item = Whole> {
    let mut rest = chunk.head.clone();
    let body = chunk.body.clone();
    std::iter::from_fn(move || {
        loop {
            let head = rest.first_chunk::<HEADER_BYTES>()?;
            let attributes = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let inline = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let deliver = head[0] == Kind::Deliver as u8;
            let offset = u64::from_le_bytes(head[16..24].try_into().ok()?);
            // Only the last header of a chunk can have its body beside it.
            let beside = body.is_some() && HEADER_BYTES + attributes == rest.len();
            let split = if beside { 0 } else { inline };
            let whole = (HEADER_BYTES + attributes + split).min(rest.len());
            let head = rest.split_to(whole);
            if deliver {
                let body = if beside { body.clone() } else { None };
                return Some(Whole { offset, head, body });
            }
        }
    })
}

/// The key attribute of an encoded DELIVER frame.
fn key(head: &Bytes) -> Option<Vec<u8>> {
    let attributes = usize::from(u16::from_le_bytes([*head.get(2)?, *head.get(3)?]));
    let bytes = head.get(HEADER_BYTES..HEADER_BYTES + attributes)?;
    attribute::raw(bytes)
        .map_while(Result::ok)
        .find(|(tag, _)| *tag == attribute::Tag::Key as u8)
        .map(|(_, value)| value.to_vec())
}

/// Writes what survives a compaction back into the lane.
struct Survivors {
    topic: Compact,
    feed: u32,
    /// First offset that the bytes in `out` account for.
    start: u64,
    next: u64,
    out: BytesMut,
    result: Compacted,
}

impl Survivors {
    fn add(&mut self, frame: Whole, outbox: &mut Outbox, lane: u8) {
        self.gap_to(frame.offset);
        // Copied, so that a survivor does not pin the run that it was part of.
        self.out.extend_from_slice(&frame.head);
        if frame.body.is_some() {
            self.push(frame.body, frame.offset, outbox, lane);
        }
        self.next = frame.offset + 1;
    }

    fn gap_to(&mut self, offset: u64) {
        if self.next < offset {
            self.result.dropped += offset - self.next;
            self.result.gaps += 1;
            let (from, to) = (self.next, offset - 1);
            self.out.extend_from_slice(&gap(self.topic, from, to, GapReason::SlowReader));
        }
    }

    fn push(&mut self, body: Option<Bytes>, to: u64, outbox: &mut Outbox, lane: u8) {
        let head = self.out.split().freeze();
        let bytes = head.len() + body.as_ref().map_or(0, Bytes::len);
        self.result.after += bytes;
        let chunk = Chunk { head, body };
        let from = std::mem::replace(&mut self.start, to + 1);
        outbox.push(lane, Entry { chunk, feed: self.feed, from, to, bytes, started: false });
    }

    fn finish(mut self, last: u64, outbox: &mut Outbox, lane: u8) -> Compacted {
        self.gap_to(last + 1);
        if !self.out.is_empty() {
            self.push(None, last, outbox, lane);
        }
        self.result
    }
}

/// A GAP frame.
pub(crate) fn gap(topic: Compact, from: u64, to: u64, reason: GapReason) -> Bytes {
    let header = Header { topic_id: topic.topic_id, ..Header::new(Kind::Gap) }.number(from);
    let body = Gap { epoch: topic.epoch, from, to, reason: reason.number() };
    // The numbers are the broker's own and within range; an empty chunk would be a defect of ours.
    control::encode_with(header, &body).unwrap_or_default()
}

impl Entry {
    /// Whether this is a TOPIC frame, which covers no offset.
    fn is_name(&self) -> bool {
        self.to < self.from
    }

    /// Whether the whole entry was taken.
    fn write(&mut self, write: &mut dyn FnMut(&mut Bytes)) -> bool {
        let parts = [Some(&mut self.chunk.head), self.chunk.body.as_mut()];
        for part in parts.into_iter().flatten() {
            if part.is_empty() {
                continue;
            }
            let before = part.len();
            write(part);
            self.started |= part.len() < before;
            if !part.is_empty() {
                return false;
            }
        }
        true
    }
}

/// Gives memory back after a burst, so that ten thousand idle sessions stay small.
fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > 8 {
        *queue = VecDeque::new();
    }
}
