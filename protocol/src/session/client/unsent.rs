//! The bytes of the publish stream that the shell has not taken yet, and the topic ids in them.

use std::collections::{BTreeMap, VecDeque};

use bytes::{BufMut, Bytes, BytesMut};

use super::publishes::Publish;
use crate::attribute::{self, Tag};
use crate::class::AckLevel;
use crate::frame::{Header, Kind, flag};
use crate::topic::Topic;

/// Payloads from this size on are sent as a chunk of their own instead of being copied.
const SHARE_BYTES_MIN: usize = 8 * 1024;
/// Bytes per chunk of small publishes, about.
const CHUNK_BYTES: usize = 64 * 1024;
/// Topic ids remembered for publishing.
const IDS_MAX: usize = 4096;

/// Encoded publishes on their way to the shell.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    /// Bytes that wait, in chunks and tail together.
    pub(super) bytes: usize,
}

impl Unsent {
    pub(super) fn write(&mut self, publish: &Publish, sequence: u64, ack: bool, ids: &Ids) {
        let id = ids.of(&publish.topic);
        let level = publish.level.map_or(0, AckLevel::number);
        let header = Header {
            flags: if ack { level } else { level | flag::NO_ACK },
            topic_id: id.unwrap_or(0),
            ..Header::new(Kind::Publish).number(sequence)
        };
        let named;
        let attributes = if id.is_some() {
            &publish.attributes[..]
        } else {
            let name = publish.topic.as_str().as_bytes();
            let mut out = BytesMut::with_capacity(3 + name.len() + publish.attributes.len());
            attribute::put(&mut out, Tag::Topic, name);
            out.put_slice(&publish.attributes);
            named = out;
            &named[..]
        };
        let before = self.tail.len();
        let (shared, copied) = if publish.payload.len() >= SHARE_BYTES_MIN {
            (publish.payload.len(), header.head(attributes, publish.payload.len()))
        } else {
            let written = header.write(&mut self.tail, attributes, &publish.payload);
            (0, written.map(|()| Bytes::new()))
        };
        // Sizes were checked when the publish was taken.
        let Ok(head) = copied else { return };
        if shared > 0 {
            self.tail.put_slice(&head);
            self.bytes += shared + self.tail.len() - before;
            self.cut();
            self.chunks.push_back(publish.payload.clone());
        } else {
            self.bytes += self.tail.len() - before;
            if self.tail.len() >= CHUNK_BYTES {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }

    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.chunks.is_empty() {
            self.cut();
        }
        let chunk = self.chunks.pop_front()?;
        self.bytes -= chunk.len();
        Some(chunk)
    }
}

/// Topic ids of this broker process by name.
#[derive(Debug, Default)]
pub(super) struct Ids {
    by_name: BTreeMap<Topic, u64>,
    /// The last one learned: publishers often stay with one topic.
    recent: Option<(Topic, u64)>,
}

impl Ids {
    fn of(&self, topic: &Topic) -> Option<u64> {
        match &self.recent {
            Some((name, id)) if name == topic => Some(*id),
            _ => self.by_name.get(topic).copied(),
        }
    }

    pub(super) fn learn(&mut self, topic: &Topic, id: u64) {
        if self.recent.as_ref().is_some_and(|(name, known)| *known == id && name == topic) {
            return;
        }
        if self.by_name.len() >= IDS_MAX {
            self.by_name.clear();
        }
        self.by_name.insert(topic.clone(), id);
        self.recent = Some((topic.clone(), id));
    }
}
