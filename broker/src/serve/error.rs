//! Why the broker does not start, or cannot go on. The operator's to mend.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use sampan_journal::OpenError;
use sampan_services::store;

use crate::auth::{self, revocation};
use crate::{config, data_dir, shard};

/// Why the broker does not start, or cannot go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The data directory.
    Data(data_dir::Error),
    /// The settings of `[auth]`.
    Auth(auth::Error),
    /// The file of revocations.
    Revocations(revocation::Error),
    /// A log of the journal.
    Journal(PathBuf, OpenError),
    /// Another number of shards is asked for than there are logs.
    ShardCount {
        /// The setting.
        asked: u8,
        /// Logs in the data directory.
        stored: u8,
    },
    /// The data directory lies on a file system that a journal cannot rely on.
    FileSystem(PathBuf, &'static str),
    /// The journal has failed while the broker ran.
    Fenced(String),
    /// The shard threads and their sockets.
    Shards(shard::Error),
    /// The HTTP address cannot be bound.
    Http(SocketAddr, io::Error),
    /// Where the services' database is said to be.
    Settings(config::Error),
    /// The services' database, with what time does not cure.
    Services(store::Error),
    /// The system gives no threads, signals or random bytes.
    System(io::Error),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Data(error) => error.fmt(f),
            Error::Auth(error) => write!(f, "auth: {error}"),
            Error::Revocations(error) => error.fmt(f),
            Error::Journal(path, error) => write!(f, "journal {}: {error}", path.display()),
            Error::ShardCount { asked, stored } => write!(
                f,
                "shards.count is {asked}, but the journal in the data directory was made for \
                 {stored} shards; leave the setting out, or give the broker another directory"
            ),
            Error::FileSystem(path, name) => write!(
                f,
                "{} lies on {name}, where a sync may not reach a disk; choose a local directory \
                 with --data DIR, or set journal.any_filesystem",
                path.display()
            ),
            Error::Fenced(why) => f.write_str(why),
            Error::Shards(error) => {
                write!(f, "{error}; another address can be given with --quic ADDR")
            }
            Error::Http(address, error) => {
                write!(f, "HTTP on {address}: {error}; another can be given with --http ADDR")
            }
            Error::Settings(error) => error.fmt(f),
            Error::Services(error) => write!(f, "services: {error}"),
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
