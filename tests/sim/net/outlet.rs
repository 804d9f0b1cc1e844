//! Where an endpoint's datagrams enter the network.

use std::net::SocketAddr;
use std::time::Instant;

use sampan_quic::{Envelope, Outlet};

use super::{Net, Packet};

/// Segments of one peer that leave together, as with a socket that can offload their cutting.
const SEGMENTS: usize = 4;

/// An outlet of one endpoint. It always has room.
pub(crate) struct Out<'a> {
    net: &'a mut Net,
    now: Instant,
    from: SocketAddr,
    buffer: Vec<u8>,
}

impl<'a> Out<'a> {
    pub(super) fn new(net: &'a mut Net, now: Instant, from: SocketAddr) -> Self {
        Out { net, now, from, buffer: Vec::new() }
    }
}

impl Outlet for Out<'_> {
    fn segments_max(&self) -> usize {
        SEGMENTS
    }

    fn lend(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Option<Envelope>) -> bool {
        self.buffer.clear();
        if let Some(envelope) = write(&mut self.buffer) {
            let size = envelope.segment_size.unwrap_or(self.buffer.len()).max(1);
            for payload in self.buffer.chunks(size) {
                let (from, to, ecn) = (self.from, envelope.destination, envelope.ecn);
                self.net.send(self.now, Packet { from, to, ecn, payload: payload.to_vec() });
            }
        }
        true
    }
}
