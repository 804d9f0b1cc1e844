//! Why the broker does not start. The operator's to mend.

use std::io;
use std::net::SocketAddr;

use crate::auth::{self, revocation};
use crate::{data_dir, shard};

/// Why the broker does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The data directory.
    Data(data_dir::Error),
    /// The settings of `[auth]`.
    Auth(auth::Error),
    /// The file of revocations.
    Revocations(revocation::Error),
    /// The shard threads and their sockets.
    Shards(shard::Error),
    /// The HTTP address cannot be bound.
    Http(SocketAddr, io::Error),
    /// The system gives no threads, signals or random bytes.
    System(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Data(error) => error.fmt(f),
            Error::Auth(error) => write!(f, "auth: {error}"),
            Error::Revocations(error) => error.fmt(f),
            Error::Shards(error) => {
                write!(f, "{error}; another address can be given with --quic ADDR")
            }
            Error::Http(address, error) => {
                write!(f, "HTTP on {address}: {error}; another can be given with --http ADDR")
            }
            Error::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}

impl From<data_dir::Error> for Error {
    fn from(error: data_dir::Error) -> Self {
        Error::Data(error)
    }
}

impl From<shard::Error> for Error {
    fn from(error: shard::Error) -> Self {
        Error::Shards(error)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::System(error)
    }
}
