//! What can go wrong with a socket as a whole; troubles of one packet are counted, not returned.

use std::{fmt, io, net::SocketAddr};

/// A socket group cannot be bound, or a socket has become unusable.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Another process, or another group of this one, already receives on this address.
    AddressInUse(SocketAddr),
    /// The number of shards is outside 1 to [`SHARDS_MAX`](super::SHARDS_MAX).
    Shards(usize),
    /// The kernel refused to open or bind a socket on this address.
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused the rule that steers datagrams to shards.
    Steering(io::Error),
    /// Receiving failed for a reason that another attempt does not cure.
    Receive(io::Error),
    /// Sending failed for a reason that another attempt does not cure.
    Send(io::Error),
    /// Waiting failed, or its descriptors could not be made.
    Wait(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddressInUse(addr) => write!(f, "UDP address {addr} is already in use"),
            Self::Shards(n) => {
                write!(f, "{n} shards cannot share a port, only 1 to {}", super::SHARDS_MAX)
            }
            Self::Bind { addr, source } => write!(f, "cannot bind UDP address {addr}: {source}"),
            Self::Steering(source) => write!(f, "cannot steer datagrams to shards: {source}"),
            Self::Receive(source) => write!(f, "cannot receive datagrams: {source}"),
            Self::Send(source) => write!(f, "cannot send datagrams: {source}"),
            Self::Wait(source) => write!(f, "cannot wait for datagrams: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::AddressInUse(_) | Self::Shards(_) => None,
            Self::Bind { source, .. }
            | Self::Steering(source)
            | Self::Receive(source)
            | Self::Send(source)
            | Self::Wait(source) => Some(source),
        }
    }
}
