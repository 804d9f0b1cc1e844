//! Control messages: what the kernel says beside a datagram, and what it is asked to do with one.
//!
//! The layout is the kernel's own (`struct cmsghdr`, entries padded to a word), written and read
//! as plain bytes, so no pointer walks over it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of a control buffer; the fullest one, in either direction, takes 112.
pub(super) const CONTROL_BYTES: usize = 128;

const WORD: usize = size_of::<usize>();
const HEADER_BYTES: usize = WORD + 8;
/// The two low bits of the traffic class carry ECN; the rest is the sender's business.
const ECN_MASK: u8 = 0b11;

/// Control messages for one outgoing datagram.
#[derive(Debug, Clone)]
pub(super) struct Control {
    bytes: [u8; CONTROL_BYTES],
    len: usize,
}

impl Control {
    /// No control messages.
    pub(super) const EMPTY: Self = Self { bytes: [0; CONTROL_BYTES], len: 0 };

    /// Bytes written so far.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Everything written so far, in the kernel's layout.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Marks the datagram to `destination` with the ECN codepoint `ecn`.
    pub(super) fn mark_ecn(&mut self, destination: IpAddr, ecn: u8) {
        let class = i32::from(ecn & ECN_MASK).to_ne_bytes();
        match destination {
            IpAddr::V4(_) => self.push(libc::IPPROTO_IP, libc::IP_TOS, &class),
            IpAddr::V6(_) => self.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &class),
        }
    }

    /// Sends the datagram from the local address `source`.
    pub(super) fn set_source(&mut self, source: IpAddr) {
        match source {
            IpAddr::V4(ip) => {
                // in_pktinfo: interface, source, and the destination that only receive fills in.
                let mut info = [0; 12];
                info[4..8].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            IpAddr::V6(ip) => {
                let mut info = [0; 20];
                info[..16].copy_from_slice(&ip.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    /// Asks the kernel to cut the payload into datagrams of `bytes`.
    pub(super) fn set_segment(&mut self, bytes: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &bytes.to_ne_bytes());
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let entry = &mut self.bytes[self.len..];
        let len = HEADER_BYTES + data.len();
        entry[..WORD].copy_from_slice(&len.to_ne_bytes());
        entry[WORD..WORD + 4].copy_from_slice(&level.to_ne_bytes());
        entry[WORD + 4..HEADER_BYTES].copy_from_slice(&kind.to_ne_bytes());
        entry[HEADER_BYTES..len].copy_from_slice(data);
        self.len += len.next_multiple_of(WORD);
    }
}

/// What the kernel says about a received message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// The ECN codepoint, absent when it is "not capable".
    pub(super) ecn: Option<u8>,
    /// The address the message was sent to.
    pub(super) local_ip: Option<IpAddr>,
    /// The length of each datagram in a GRO run but the last.
    pub(super) segment: Option<usize>,
}

impl Notes {
    /// Reads a received control buffer; what it does not know or cannot read, it passes over.
    pub(super) fn read(mut control: &[u8]) -> Self {
        let mut notes = Self::default();
        while let Some((level, kind, data, rest)) = split_entry(control) {
            notes.take(level, kind, data);
            control = rest;
        }
        notes
    }

    fn take(&mut self, level: i32, kind: i32, data: &[u8]) {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_TOS) => self.set_ecn(data.first().copied()),
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => self.set_ecn(int(data).map(|c| c as u8)),
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let ip = data.get(8..).and_then(|rest| rest.first_chunk::<4>());
                self.local_ip = ip.map(|ip| Ipv4Addr::from(*ip).into());
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let ip = data.first_chunk::<16>();
                self.local_ip = ip.map(|ip| Ipv6Addr::from(*ip).to_canonical());
            }
            (libc::SOL_UDP, libc::UDP_GRO) => {
                self.segment = int(data).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
            }
            _ => {}
        }
    }

    fn set_ecn(&mut self, class: Option<u8>) {
        self.ecn = class.map(|class| class & ECN_MASK).filter(|ecn| *ecn != 0);
    }
}

fn split_entry(control: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let (len, rest) = control.split_first_chunk()?;
    let len = usize::from_ne_bytes(*len);
    let (level, rest) = rest.split_first_chunk()?;
    let (kind, _) = rest.split_first_chunk()?;
    let data = control.get(HEADER_BYTES..len)?;
    let rest = control.get(len.next_multiple_of(WORD)..).unwrap_or_default();
    Some((i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind), data, rest))
}

fn int(data: &[u8]) -> Option<i32> {
    data.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_note_written_is_read_back() {
        let source: IpAddr = "2001:db8::7".parse().unwrap();
        let mut control = Control::EMPTY;
        control.mark_ecn(source, 0b10);
        control.set_source(source);
        control.push(libc::SOL_UDP, libc::UDP_GRO, &1200_i32.to_ne_bytes());
        let notes = Notes { ecn: Some(0b10), local_ip: Some(source), segment: Some(1200) };
        assert_eq!(Notes::read(control.as_bytes()), notes);
    }

    #[test]
    fn a_damaged_control_buffer_yields_no_notes_and_no_panic() {
        let mut control = Control::EMPTY;
        control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &[7; 20]);
        for len in 0..HEADER_BYTES + 20 {
            assert_eq!(Notes::read(&control.as_bytes()[..len]), Notes::default(), "{len}");
        }
        for fill in [0, 1, 0xff] {
            assert_eq!(Notes::read(&[fill; CONTROL_BYTES]), Notes::default(), "{fill}");
        }
    }
}
