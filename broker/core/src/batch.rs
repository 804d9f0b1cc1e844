//! Gathers the messages of one topic between two passes into runs that every subscriber shares.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sampan_protocol::frame::Header;
use sampan_protocol::limits::HEADER_BYTES;

use crate::journal::{Chunk, Run, Sent};

/// Bodies up to this many bytes are copied once and coalesced; larger ones are shared as received.
const SMALL_BYTES: usize = 1024;
/// Bytes after which a coalesced chunk is sealed.
const CHUNK_BYTES: usize = 32 * 1024;

/// Waiting messages for which an idle topic keeps room.
const WAITING_KEPT: usize = 16;

/// Messages of one topic with consecutive offsets that have not been flushed.
///
/// Small ones wait as received and are encoded together when their whole length is known, so that
/// each is copied once, into memory of its exact size.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    waiting: Vec<Waiting>,
    /// Attributes of all that wait, back to back.
    attributes: BytesMut,
    waiting_bytes: usize,
    run: Run,
}

/// A small message that is not yet encoded.
#[derive(Debug)]
struct Waiting {
    header: Header,
    attributes_bytes: usize,
    body: Bytes,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.run.chunks.is_empty() && self.waiting.is_empty()
    }

    /// Messages gathered.
    pub(crate) fn count(&self) -> u64 {
        if self.run.bytes == 0 { 0 } else { self.run.count() }
    }

    /// Adds one DELIVER frame. `header.number` is one above the previous one's.
    pub(crate) fn push(&mut self, header: Header, attributes: &[u8], body: Bytes) {
        let whole = HEADER_BYTES + attributes.len() + body.len();
        if body.len() <= SMALL_BYTES {
            self.attributes.extend_from_slice(attributes);
            self.waiting.push(Waiting { header, attributes_bytes: attributes.len(), body });
            self.waiting_bytes += whole;
            if self.waiting_bytes >= CHUNK_BYTES {
                self.seal();
            }
        } else {
            self.seal();
            let head = header.head(attributes, body.len());
            debug_assert!(head.is_ok(), "relayed attributes fit");
            if let Ok(head) = head {
                self.run.chunks.push(Chunk { head, body: Some(body) });
            }
        }
        self.stretch(header, whole);
    }

    /// Adds one DELIVER frame that is kept elsewhere too, without copying it.
    pub(crate) fn push_shared(&mut self, header: Header, chunk: Chunk) {
        self.seal();
        let whole = chunk.head.len() + chunk.body.as_ref().map_or(0, Bytes::len);
        self.run.chunks.push(chunk);
        self.stretch(header, whole);
    }

    /// Notes how its publisher calls the message that is pushed next.
    pub(crate) fn note(&mut self, sent: Sent) {
        match self.run.sent.last_mut() {
            Some(last)
                if last.producer == sent.producer
                    && last.sequence.checked_add(last.count) == Some(sent.sequence)
                    && last.offset + last.count == sent.offset =>
            {
                last.count += sent.count;
            }
            _ => self.run.sent.push(sent),
        }
    }

    /// Notes the idempotency key of the message that is pushed next.
    pub(crate) fn note_key(&mut self, offset: u64, key: Arc<str>) {
        self.run.keys.push((offset, key));
    }

    /// Takes what was gathered.
    pub(crate) fn take(&mut self) -> Run {
        self.seal();
        std::mem::take(&mut self.run)
    }

    /// Encodes what waits as one chunk.
    fn seal(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut out = BytesMut::with_capacity(self.waiting_bytes);
        let mut attributes = &self.attributes[..];
        for Waiting { header, attributes_bytes, body } in self.waiting.drain(..) {
            let (own, rest) = attributes.split_at(attributes_bytes);
            attributes = rest;
            // The attributes come from a frame that was within its limits, and relaying only drops
            // some, so encoding cannot fail.
            let encoded = header.write(&mut out, own, &body);
            debug_assert!(encoded.is_ok(), "relayed attributes fit");
        }
        self.run.chunks.push(Chunk { head: out.freeze(), body: None });
        self.waiting_bytes = 0;
        self.attributes.clear();
        if self.waiting.capacity() > WAITING_KEPT {
            // Given back after a burst, so that many idle topics stay small.
            self.waiting = Vec::new();
            self.attributes = BytesMut::new();
        }
    }

    fn stretch(&mut self, header: Header, whole: usize) {
        if self.run.bytes == 0 {
            self.run.from = header.number;
            self.run.first_ms = header.time_ms;
        }
        self.run.to = header.number;
        self.run.last_ms = header.time_ms;
        self.run.bytes += whole;
    }
}
