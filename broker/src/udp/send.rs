//! A batch of outgoing datagrams: filled slot by slot, flushed in order, kept when refused.

use std::net::{IpAddr, SocketAddr};

use rustix::io::Errno;

use super::{
    BATCH_MAX, Counters,
    addr::Family,
    packet::{Packet, refuse, settle},
    sys::Outgoing,
};

/// Outgoing packets, at most [`BATCH_MAX`], sent with as few system calls as the kernel allows.
///
/// Made by [`Socket::send_batch`](super::Socket::send_batch) and used again for every flush.
/// Memory: 64 slots, each as long as the longest payload it has carried (datagram size × segments
/// asked for), 100 KiB at rest.
#[derive(Debug)]
pub struct SendBatch {
    packets: Box<[Packet]>,
    queued: usize,
    family: Family,
    bound_ip: Option<IpAddr>,
}

/// Where a packet goes and how; the fields are those of quinn-proto's `Transmit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope {
    /// The peer.
    pub destination: SocketAddr,
    /// The ECN codepoint, 0 to 3; `None` leaves the mark to the kernel.
    pub ecn: Option<u8>,
    /// The length of each datagram in the payload but the last; `None` if it is one datagram.
    pub segment_size: Option<usize>,
    /// The local address to send from; `None` lets the kernel choose.
    pub src_ip: Option<IpAddr>,
}

/// How a flush ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a blocked batch is flushed again once the socket is writable"]
pub enum Sent {
    /// Every packet was taken, or dropped and counted; the batch is empty.
    All,
    /// The socket's buffer is full. The rest stays in the batch, in order: wait for writability,
    /// then flush again.
    Blocked,
}

/// A free place in a batch. Nothing is queued until it is committed.
#[derive(Debug)]
pub struct Slot<'a> {
    packet: &'a mut Packet,
    queued: &'a mut usize,
    family: Family,
    bound_ip: Option<IpAddr>,
}

impl SendBatch {
    pub(super) fn new(family: Family, bound_ip: Option<IpAddr>) -> Self {
        let packets = (0..BATCH_MAX).map(|_| Packet::new()).collect();
        Self { packets, queued: 0, family, bound_ip }
    }

    /// The next free slot, its buffer empty; `None` if the batch is full.
    pub fn slot(&mut self) -> Option<Slot<'_>> {
        let packet = self.packets.get_mut(self.queued)?;
        packet.payload.clear();
        let (family, bound_ip) = (self.family, self.bound_ip);
        Some(Slot { packet, queued: &mut self.queued, family, bound_ip })
    }

    /// Packets that wait to be flushed.
    pub fn len(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits to be flushed.
    pub fn is_empty(&self) -> bool {
        self.queued == 0
    }

    /// Whether there is no free slot.
    pub fn is_full(&self) -> bool {
        self.queued == self.packets.len()
    }

    /// Hands everything to `transmit`, which answers how many of the messages the kernel took.
    /// `segments_max` falls to 1 once segmentation proves to be what the kernel refuses.
    pub(super) fn flush(
        &mut self,
        segments_max: &mut usize,
        counters: &mut Counters,
        mut transmit: impl FnMut(&mut dyn Iterator<Item = Outgoing<'_>>) -> Result<usize, Errno>,
    ) -> Result<Sent, Errno> {
        let mut head = 0;
        let mut outcome = Ok(Sent::All);
        while head < self.queued {
            let packets = &mut self.packets[head..self.queued];
            let limit = *segments_max;
            counters.send_calls += 1;
            let answer = transmit(&mut packets.iter().flat_map(|packet| packet.messages(limit)));
            match answer {
                Ok(0) | Err(Errno::AGAIN) => {
                    counters.send_blocked += 1;
                    outcome = Ok(Sent::Blocked);
                    break;
                }
                Ok(taken) => head += settle(packets, taken, segments_max, counters),
                Err(Errno::INTR) => {}
                Err(errno @ (Errno::BADF | Errno::NOTSOCK | Errno::FAULT)) => {
                    outcome = Err(errno);
                    break;
                }
                Err(errno) => head += refuse(&mut packets[0], errno, limit, counters),
            }
        }
        self.packets[..self.queued].rotate_left(head);
        self.queued -= head;
        outcome
    }
}

impl Slot<'_> {
    /// The payload's buffer; empty at first, and its contents are the payload on commit.
    pub fn payload(&mut self) -> &mut Vec<u8> {
        &mut self.packet.payload
    }

    /// Queues the payload; an empty one is not queued.
    pub fn commit(self, envelope: Envelope) {
        if self.packet.payload.is_empty() {
            return;
        }
        let source = envelope.src_ip.filter(|ip| Some(*ip) != self.bound_ip);
        self.packet.seal(Envelope { src_ip: source, ..envelope }, self.family);
        *self.queued += 1;
    }
}

#[cfg(test)]
mod tests;
