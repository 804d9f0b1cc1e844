//! Why bytes from a peer could not be decoded.

use crate::code::Code;

/// A decoding error: what was wrong, in which field, with what was needed and had.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The frame kind has no meaning in this version.
    UnknownKind(u8),
    /// A length is above its limit; refused before anything is allocated.
    TooLarge {
        /// Which length.
        field: &'static str,
        /// The limit in bytes or entries.
        max: usize,
        /// What the peer announced.
        had: u64,
    },
    /// A structure ends before its announced length.
    Truncated {
        /// Which structure.
        field: &'static str,
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        had: usize,
    },
    /// A field's bytes are not what the field requires.
    Invalid {
        /// Which field, and why in a few words.
        field: &'static str,
    },
    /// A topic name or pattern breaks the grammar.
    Topic(crate::topic::Error),
    /// A control body is no valid archive of its kind.
    Body {
        /// The kind whose body it should be.
        kind: crate::frame::Kind,
    },
}

impl Error {
    /// The code that the peer is told.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Error::UnknownKind(_) => Code::UNKNOWN_KIND,
            Error::TooLarge { .. } => Code::TOO_LARGE,
            Error::Truncated { .. } | Error::Body { .. } => Code::MALFORMED,
            Error::Invalid { .. } => Code::BAD_FIELD,
            Error::Topic(_) => Code::BAD_TOPIC,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::UnknownKind(kind) => write!(f, "frame kind {kind} is not known"),
            Error::TooLarge { field, max, had } => {
                write!(f, "{field} is {had}, the limit is {max}")
            }
            Error::Truncated { field, needed, had } => {
                write!(f, "{field} needs {needed} bytes and has {had}")
            }
            Error::Invalid { field } => write!(f, "{field} is not valid"),
            Error::Topic(error) => write!(f, "{error}"),
            Error::Body { kind } => write!(f, "the body is no valid {kind:?}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<crate::topic::Error> for Error {
    fn from(error: crate::topic::Error) -> Self {
        Error::Topic(error)
    }
}
