//! Outgoing packets, from the transport into the socket's batches.

use sampan_quic::{Envelope, Outlet};

use crate::udp::{self, Error, SendBatch, Sent, Socket};

/// A socket and its batch, as the transport wants them. Full batches are sent on the way.
pub(super) struct Out<'a> {
    pub(super) socket: &'a mut Socket,
    pub(super) batch: &'a mut SendBatch,
    /// Why the socket is unusable, once it is.
    pub(super) failed: Option<Error>,
}

impl<'a> Out<'a> {
    pub(super) fn new(socket: &'a mut Socket, batch: &'a mut SendBatch) -> Self {
        Out { socket, batch, failed: None }
    }

    /// Sends what is in the batch; whether all of it went.
    pub(super) fn flush(&mut self) -> bool {
        if self.batch.is_empty() {
            return true;
        }
        match self.socket.send(self.batch) {
            Ok(sent) => sent == Sent::All,
            Err(error) => {
                self.failed = Some(error);
                false
            }
        }
    }

    /// Queues an answer that belongs to no connection; dropped if there is no room.
    pub(super) fn respond(&mut self, envelope: Envelope, payload: &[u8]) {
        self.lend(&mut |buffer| {
            buffer.extend_from_slice(payload);
            Some(envelope)
        });
    }
}

impl Outlet for Out<'_> {
    fn segments_max(&self) -> usize {
        self.socket.max_gso_segments()
    }

    fn lend(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Option<Envelope>) -> bool {
        // A batch that the kernel refused keeps its order: nothing is added behind the rest.
        if self.batch.is_full() && !self.flush() {
            return false;
        }
        let Some(mut slot) = self.batch.slot() else { return false };
        if let Some(envelope) = write(slot.payload()) {
            let Envelope { destination, ecn, segment_size, src_ip } = envelope;
            slot.commit(udp::Envelope { destination, ecn, segment_size, src_ip });
        }
        true
    }
}
