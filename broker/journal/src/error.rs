//! Why a log refuses, and why it does not open.

use std::fmt;
use std::io;

/// Why something could not be written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The storage reported an error. If it came while writing, all that follows is `Fenced`.
    Storage(Reported),
    /// The storage reported an error earlier; the log takes nothing until it is opened again.
    Fenced,
    /// There is no space for it. Nothing was written; the same may succeed later.
    Full,
    /// The topic's history has another epoch.
    WrongEpoch,
    /// The run starts at or below an offset that was written before.
    OffsetReused,
    /// It does not fit into a segment, or it is no run: has no messages, or not a key for each.
    TooLarge,
    /// The log holds as many topics as it may.
    TooManyTopics,
    /// What was to be read is damaged.
    Damaged,
}

/// What a storage reported: an error of the system, or of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reported {
    kind: io::ErrorKind,
    /// The system's number of it.
    number: Option<i32>,
}

impl From<&io::Error> for Reported {
    fn from(error: &io::Error) -> Self {
        Reported { kind: error.kind(), number: error.raw_os_error() }
    }
}

impl From<Reported> for io::Error {
    fn from(Reported { kind, number }: Reported) -> Self {
        number.map_or_else(|| kind.into(), io::Error::from_raw_os_error)
    }
}

impl fmt::Display for Reported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from(*self).fmt(f)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full,
            _ => Error::Storage((&error).into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Storage(reported) => return write!(f, "the storage failed: {reported}"),
            Error::Fenced => "the storage failed earlier",
            Error::Full => "there is no space left",
            Error::WrongEpoch => "the topic's history has another epoch",
            Error::OffsetReused => "the offset was given before",
            Error::TooLarge => "it does not fit into a segment",
            Error::TooManyTopics => "there are too many topics",
            Error::Damaged => "what is stored is damaged",
        })
    }
}

impl std::error::Error for Error {}

/// Why a log does not open.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The storage reported an error.
    Storage(io::Error),
    /// A later release wrote this store, and this one cannot read it.
    Newer {
        /// Version of the store's format.
        version: u32,
    },
    /// The store is another log, or one of another number of logs.
    Other {
        /// Number of the log that is stored here.
        log: u32,
        /// Number of logs that it was made as one of.
        logs: u32,
    },
    /// The file that names the store is damaged; nothing can be read without it.
    Unnamed,
    /// The options cannot hold.
    Options(&'static str),
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        OpenError::Storage(error)
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Storage(error) => write!(f, "the storage failed: {error}"),
            OpenError::Newer { version } => {
                write!(f, "the store has format {version}, which a later release writes")
            }
            OpenError::Other { log, logs } => write!(f, "the store is log {log} of {logs}"),
            OpenError::Unnamed => f.write_str("the file that names the store is damaged"),
            OpenError::Options(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            OpenError::Storage(error) => Some(error),
            _ => None,
        }
    }
}

#[test]
fn an_error_of_the_system_is_told_in_its_words() {
    let error = Error::from(io::Error::from_raw_os_error(5));
    let words = io::Error::from_raw_os_error(5);
    assert_eq!(error.to_string(), format!("the storage failed: {words}"));
    let Error::Storage(reported) = error else { panic!("{error:?}") };
    assert_eq!(io::Error::from(reported).raw_os_error(), Some(5));
    let error = Error::from(io::Error::from(io::ErrorKind::WriteZero));
    assert_eq!(error.to_string(), "the storage failed: write zero");
    assert_eq!(Error::from(io::Error::from_raw_os_error(28)), Error::Full);
}
