//! Jobs on their way to a consumer, encoded.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::frame::{Header, Kind};

use crate::directory::Entry;
use crate::group::Handed;
use crate::journal::Chunk;

/// Payloads up to this many bytes are copied behind their heads.
const SMALL_BYTES: usize = 1024;
/// Bytes after which a chunk of jobs is sealed.
const CHUNK_BYTES: usize = 32 * 1024;

/// Jobs of one topic for one consumer.
pub(super) struct Bundle {
    entry: Arc<Entry>,
    count: u64,
    chunks: Vec<Chunk>,
    small: BytesMut,
    attributes: BytesMut,
}

impl Bundle {
    /// No jobs yet.
    pub(super) fn new(entry: Arc<Entry>) -> Self {
        let (small, attributes) = (BytesMut::new(), BytesMut::new());
        Bundle { entry, count: 0, chunks: Vec::new(), small, attributes }
    }

    /// Adds a JOB frame: the message's own attributes, then the job's.
    pub(super) fn push(&mut self, job: Handed) {
        self.count += 1;
        self.attributes.clear();
        self.attributes.extend_from_slice(&job.attributes);
        attribute::put_number(&mut self.attributes, Tag::Consumer, job.to.number);
        attribute::put_number(&mut self.attributes, Tag::Attempt, job.attempt.into());
        attribute::put_number(&mut self.attributes, Tag::Epoch, job.epoch);
        let Handed { offset, time_ms, payload, .. } = job;
        let topic_id = self.entry.id;
        let header = Header { kind: Kind::Job, flags: 0, topic_id, number: offset, time_ms };
        // A message whose attributes leave no room for these is never handed out.
        if payload.len() <= SMALL_BYTES {
            let written = header.write(&mut self.small, &self.attributes, &payload);
            debug_assert!(written.is_ok(), "a job's attributes fit");
            if self.small.len() >= CHUNK_BYTES {
                self.seal();
            }
            return;
        }
        self.seal();
        let head = header.head(&self.attributes, payload.len()).unwrap_or_default();
        self.chunks.push(Chunk { head, body: Some(payload) });
    }

    fn seal(&mut self) {
        if !self.small.is_empty() {
            // Sized exactly: a client that is slow must not hold more than it is owed.
            let head = Bytes::copy_from_slice(&self.small.split());
            self.chunks.push(Chunk { head, body: None });
        }
    }

    /// The frames, and how many they are.
    pub(super) fn finish(mut self) -> (Arc<Entry>, Vec<Chunk>, u64) {
        self.seal();
        (self.entry, self.chunks, self.count)
    }
}
