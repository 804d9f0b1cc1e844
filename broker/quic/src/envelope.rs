//! Outgoing datagrams, as the transport hands them over.

use std::net::{IpAddr, SocketAddr};

use quinn_proto::{EcnCodepoint, Transmit};

/// Where a payload goes and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// The peer.
    pub destination: SocketAddr,
    /// The ECN codepoint, 0 to 3.
    pub ecn: Option<u8>,
    /// The length of each datagram in the payload but the last; `None` if it is one datagram.
    pub segment_size: Option<usize>,
    /// The local address to send from, if the kernel is not to choose.
    pub src_ip: Option<IpAddr>,
}

/// Takes outgoing payloads.
pub trait Outlet {
    /// Datagrams of one peer that one payload may hold, 1 or more.
    fn segments_max(&self) -> usize {
        1
    }

    /// Lends `write` an empty buffer; what it answers is sent if it answers anything. `false` if
    /// there is no room, in which case `write` is not called.
    fn lend(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Option<Envelope>) -> bool;
}

impl From<Transmit> for Envelope {
    fn from(transmit: Transmit) -> Self {
        Envelope {
            destination: transmit.destination,
            ecn: transmit.ecn.map(|ecn: EcnCodepoint| ecn as u8),
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        }
    }
}
