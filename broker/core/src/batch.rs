//! Gathers the messages of one topic between two passes into runs that every subscriber shares.

use bytes::{Bytes, BytesMut};
use sampan_protocol::frame::Header;
use sampan_protocol::limits::HEADER_BYTES;

use crate::journal::{Chunk, Run};

/// Bodies up to this many bytes are copied once and coalesced; larger ones are shared as received.
const SMALL_BYTES: usize = 1024;
/// Bytes after which a coalesced chunk is sealed.
const CHUNK_BYTES: usize = 32 * 1024;

/// Messages of one topic with consecutive offsets that have not been flushed.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    open: BytesMut,
    run: Run,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.run.chunks.is_empty() && self.open.is_empty()
    }

    /// Adds one DELIVER frame. `header.number` is one above the previous one's.
    pub(crate) fn push(&mut self, header: Header, attributes: &[u8], body: Bytes) {
        let whole = HEADER_BYTES + attributes.len() + body.len();
        // The attributes come from a frame that was within its limits, and relaying only drops
        // some, so encoding cannot fail.
        if body.len() <= SMALL_BYTES {
            if self.open.is_empty() {
                self.open = BytesMut::with_capacity(whole);
            }
            let encoded = header.write(&mut self.open, attributes, &body);
            debug_assert!(encoded.is_ok(), "relayed attributes fit");
            if self.open.len() >= CHUNK_BYTES {
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

    /// Takes what was gathered.
    pub(crate) fn take(&mut self) -> Run {
        self.seal();
        std::mem::take(&mut self.run)
    }

    fn seal(&mut self) {
        if !self.open.is_empty() {
            let head = std::mem::take(&mut self.open).freeze();
            self.run.chunks.push(Chunk { head, body: None });
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
