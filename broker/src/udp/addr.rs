//! Socket addresses as the kernel lays them out, written and read as plain bytes.
//!
//! IPv4 peers of an IPv6 socket appear as IPv4 everywhere above this file; only the bytes given
//! to the kernel are IPv4-mapped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// Bytes of the longer of the two layouts, `sockaddr_in6`.
pub(super) const NAME_BYTES: usize = 28;
const NAME_V4_BYTES: usize = 16;

/// The address family a socket was opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// The family that serves `addr`.
    pub(super) fn of(addr: SocketAddr) -> Self {
        if addr.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// A peer's address in the kernel's layout.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; NAME_BYTES],
    len: usize,
}

impl Name {
    /// No address at all.
    pub(super) const EMPTY: Self = Self { bytes: [0; NAME_BYTES], len: 0 };

    /// `addr` as a socket of `family` wants it.
    pub(super) fn new(addr: SocketAddr, family: Family) -> Self {
        match (addr, family) {
            (SocketAddr::V4(v4), Family::V4) => Self::v4(v4),
            (SocketAddr::V4(v4), Family::V6) => {
                Self::v6(SocketAddrV6::new(v4.ip().to_ipv6_mapped(), v4.port(), 0, 0))
            }
            (SocketAddr::V6(v6), _) => Self::v6(v6),
        }
    }

    /// The bytes to hand to the kernel.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn v4(addr: SocketAddrV4) -> Self {
        let mut name = Self { len: NAME_V4_BYTES, ..Self::EMPTY };
        name.bytes[..2].copy_from_slice(&(libc::AF_INET as u16).to_ne_bytes());
        name.bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
        name.bytes[4..8].copy_from_slice(&addr.ip().octets());
        name
    }

    fn v6(addr: SocketAddrV6) -> Self {
        let mut name = Self { len: NAME_BYTES, ..Self::EMPTY };
        name.bytes[..2].copy_from_slice(&(libc::AF_INET6 as u16).to_ne_bytes());
        name.bytes[2..4].copy_from_slice(&addr.port().to_be_bytes());
        name.bytes[4..8].copy_from_slice(&addr.flowinfo().to_ne_bytes());
        name.bytes[8..24].copy_from_slice(&addr.ip().octets());
        name.bytes[24..].copy_from_slice(&addr.scope_id().to_ne_bytes());
        name
    }
}

/// Reads an address the kernel wrote; `None` if it is of neither family or too short.
pub(super) fn decode(name: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = name.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let (port, family) = (u16::from_be_bytes(*port), i32::from(u16::from_ne_bytes(*family)));
    if family == libc::AF_INET {
        let ip = Ipv4Addr::from(*rest.first_chunk::<4>()?);
        return Some(SocketAddr::from((ip, port)));
    }
    if family != libc::AF_INET6 {
        return None;
    }
    // The flow label says nothing about who the peer is, so equal peers compare equal without it.
    let (_flow, rest) = rest.split_first_chunk::<4>()?;
    let (ip, rest) = rest.split_first_chunk::<16>()?;
    let scope = u32::from_ne_bytes(*rest.first_chunk()?);
    Some(match Ipv6Addr::from(*ip).to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, port)),
        IpAddr::V6(v6) => SocketAddrV6::new(v6, port, 0, scope).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(addr: &str, family: Family) {
        let addr: SocketAddr = addr.parse().unwrap();
        assert_eq!(decode(Name::new(addr, family).as_bytes()), Some(addr), "{family:?}");
    }

    #[test]
    fn an_address_survives_the_kernel_layout() {
        check("192.0.2.7:3001", Family::V4);
        check("192.0.2.7:3001", Family::V6);
        check("[2001:db8::7]:3001", Family::V6);
        check("[fe80::7%3]:3001", Family::V6);
    }

    #[test]
    fn a_short_or_foreign_name_is_no_address() {
        let name = Name::new("[2001:db8::7]:3001".parse().unwrap(), Family::V6);
        for len in 0..NAME_BYTES {
            assert_eq!(decode(&name.as_bytes()[..len]), None, "{len}");
        }
        assert_eq!(decode(&[1; NAME_BYTES]), None);
    }
}
