//! Why a broker does not start.

use std::fmt;
use std::io;

use crate::udp;

/// The broker cannot be started, or has stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The number of shards is outside 1 to [`SHARDS_MAX`](sampan_core::shard::SHARDS_MAX).
    Shards(u8),
    /// The sockets cannot be bound.
    Socket(udp::Error),
    /// The certificate cannot be used.
    Certificate(sampan_quic::Error),
    /// The system gave no randomness.
    Randomness,
    /// A thread cannot be started.
    Thread(io::Error),
    /// The broker has been stopped.
    Stopped,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Shards(n) => {
                let max = sampan_core::shard::SHARDS_MAX;
                write!(f, "{n} shards are not possible, only 1 to {max}")
            }
            Error::Socket(why) => write!(f, "{why}"),
            Error::Certificate(why) => write!(f, "{why}"),
            Error::Randomness => f.write_str("the system gives no randomness"),
            Error::Thread(why) => write!(f, "a thread cannot be started: {why}"),
            Error::Stopped => f.write_str("the broker has been stopped"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Socket(why) => Some(why),
            Error::Certificate(why) => Some(why),
            Error::Thread(why) => Some(why),
            Error::Shards(_) | Error::Randomness | Error::Stopped => None,
        }
    }
}

impl From<udp::Error> for Error {
    fn from(error: udp::Error) -> Self {
        Error::Socket(error)
    }
}

impl From<sampan_quic::Error> for Error {
    fn from(error: sampan_quic::Error) -> Self {
        Error::Certificate(error)
    }
}
