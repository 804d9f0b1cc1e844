//! One outgoing packet: the messages it is sent as, and what becomes of it.

use rustix::io::Errno;

use super::{
    Counters, Envelope,
    addr::{Family, Name},
    cmsg::Control,
    sys::Outgoing,
};

/// Segments in one message. 32 of up to 2,047 bytes fit IP's limit, and a message of 32 is
/// already far past the point where the cost of a call is spread thin.
pub(super) const SEGMENTS_MAX: usize = 32;
/// The longest UDP payload that IPv4 carries.
const PAYLOAD_BYTES_MAX: usize = 65_507;
/// Room that a slot starts with; it grows to the longest payload written to it, and stays.
const SLOT_BYTES: usize = 1536;

/// A payload and the kernel's view of its envelope; its buffer is used again and again.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    pub(super) payload: Vec<u8>,
    name: Name,
    control: Control,
    /// Bytes of `control` ahead of the segment size, for a message that is one datagram.
    plain_control_bytes: usize,
    segment: usize,
    sent: usize,
    /// Sent one segment at a time, because the kernel refused it as a whole.
    split: bool,
}

impl Packet {
    /// An unused packet.
    pub(super) fn new() -> Self {
        Self {
            payload: Vec::with_capacity(SLOT_BYTES),
            name: Name::EMPTY,
            control: Control::EMPTY,
            plain_control_bytes: 0,
            segment: 0,
            sent: 0,
            split: false,
        }
    }

    /// Writes the envelope of the payload, which is not empty.
    pub(super) fn seal(&mut self, envelope: Envelope, family: Family) {
        let Envelope { destination, ecn, segment_size, src_ip } = envelope;
        let len = self.payload.len();
        self.name = Name::new(destination, family);
        self.sent = 0;
        self.split = false;
        self.control.clear();
        if let Some(ecn) = ecn {
            self.control.mark_ecn(destination.ip(), ecn);
        }
        if let Some(ip) = src_ip
            && ip.is_ipv4() == destination.is_ipv4()
        {
            self.control.set_source(ip);
        }
        self.plain_control_bytes = self.control.len();
        self.segment = segment_size.filter(|size| (1..len).contains(size)).unwrap_or(len);
        match u16::try_from(self.segment) {
            Ok(segment) if self.is_segmented() => self.control.set_segment(segment),
            _ => {}
        }
    }

    fn is_segmented(&self) -> bool {
        self.segment < self.payload.len()
    }

    /// Bytes of each message this packet is sent as.
    fn span(&self, segments_max: usize) -> usize {
        let segments =
            if self.split { 1 } else { segments_max.min(PAYLOAD_BYTES_MAX / self.segment) };
        self.segment * segments.max(1)
    }

    /// What is left to send, as messages of at most `segments_max` datagrams.
    pub(super) fn messages(&self, segments_max: usize) -> impl Iterator<Item = Outgoing<'_>> {
        self.payload[self.sent..].chunks(self.span(segments_max)).map(|payload| {
            let segmented = payload.len() > self.segment;
            let control = self.control.as_bytes();
            let control = if segmented { control } else { &control[..self.plain_control_bytes] };
            Outgoing { name: self.name.as_bytes(), payload, control }
        })
    }
}

/// Books `taken` messages; answers how many packets, from the first, are complete.
pub(super) fn settle(
    packets: &mut [Packet],
    taken: usize,
    segments_max: &mut usize,
    counters: &mut Counters,
) -> usize {
    let limit = *segments_max;
    let mut done = 0;
    for _ in 0..taken {
        let Some(packet) = packets.get_mut(done) else { break };
        let bytes = packet.span(limit).min(packet.payload.len() - packet.sent);
        packet.sent += bytes;
        counters.bytes_out += bytes as u64;
        counters.datagrams_out += bytes.div_ceil(packet.segment) as u64;
        if packet.split {
            // The segments leave one by one where the whole did not: the kernel cannot segment.
            *segments_max = 1;
        }
        if packet.sent == packet.payload.len() {
            done += 1;
        }
    }
    done
}

/// Decides about a refused packet; answers how many packets are given up, 0 or 1.
pub(super) fn refuse(
    packet: &mut Packet,
    errno: Errno,
    segments_max: usize,
    counters: &mut Counters,
) -> usize {
    let left = packet.payload.len() - packet.sent;
    let was_offloaded = packet.span(segments_max).min(left) > packet.segment;
    if was_offloaded && matches!(errno, Errno::IO | Errno::INVAL) {
        packet.split = true;
        return 0;
    }
    counters.send_dropped += left.div_ceil(packet.segment) as u64;
    1
}
