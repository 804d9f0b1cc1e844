//! What can go wrong with a call, and the two questions that a caller asks about it.

use std::time::Duration;

use protocol::Code;
use protocol::session::client::{Cause, Failure};

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The broker, a responder or the other end of a request refused.
    Refused {
        /// Why; the hundred says what to do.
        code: Code,
        /// When the same call may be tried again, if that is known.
        retry_after: Option<Duration>,
        /// One sentence for a person.
        reason: String,
        /// Whether the refused call may have had its effect all the same.
        may_have_happened: bool,
    },
    /// The bounded queue of unacknowledged publishes is full; wait for acks.
    Full,
    /// The session holds as many open requests or registrations as it may.
    TooMany,
    /// A payload or field is larger than its limit. Sizes in bytes.
    TooLarge {
        /// Which field.
        field: &'static str,
        /// The limit.
        max: usize,
        /// What was given.
        had: usize,
    },
    /// A name, address, certificate or option is not valid; the text says which.
    Invalid(String),
    /// The connection was lost while the call was open.
    Lost {
        /// What the transport said.
        reason: String,
        /// Whether the call may have had its effect before the connection went.
        may_have_happened: bool,
    },
    /// No answer came in time.
    Deadline {
        /// Whether the call may have had its effect all the same; false if it was never sent.
        may_have_happened: bool,
    },
    /// No session could be made before the connect timeout.
    Unreachable {
        /// What stood in the way at the last attempt.
        reason: String,
    },
    /// The client is closed for good: by the caller, or by a code that no retry can cure.
    Closed {
        /// Why.
        code: Code,
        /// One sentence for a person.
        reason: String,
        /// Whether the call may have had its effect before the close.
        may_have_happened: bool,
    },
}

impl Error {
    /// Whether the same call, unchanged, may succeed at a later time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Error::Refused { code, .. } => code.is_retryable(),
            Error::Full
            | Error::TooMany
            | Error::Lost { .. }
            | Error::Deadline { .. }
            | Error::Unreachable { .. } => true,
            Error::TooLarge { .. } | Error::Invalid(_) | Error::Closed { .. } => false,
        }
    }

    /// Whether the call may have had its effect although it failed. A retry of such a call needs an
    /// idempotency key, or an effect that may happen twice.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Error::Refused { may_have_happened, .. }
            | Error::Lost { may_have_happened, .. }
            | Error::Deadline { may_have_happened }
            | Error::Closed { may_have_happened, .. } => *may_have_happened,
            _ => false,
        }
    }

    /// The code behind the error, if one was given.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Error::Refused { code, .. } | Error::Closed { code, .. } => Some(*code),
            Error::Deadline { .. } => Some(Code::DEADLINE),
            _ => None,
        }
    }

    /// When the same call may be tried again, if the broker said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Refused { code, retry_after, reason, .. } => {
                write!(f, "refused: {code}: {}", sentence(*code, reason))?;
                match retry_after {
                    Some(after) => write!(f, " (retry after {} ms)", after.as_millis()),
                    None => Ok(()),
                }
            }
            Error::Full => f.write_str("too many publishes wait for their ack"),
            Error::TooMany => f.write_str("too many requests or registrations are open"),
            Error::TooLarge { field, max, had } => {
                write!(f, "{field} has {had} bytes, the limit is {max}")
            }
            Error::Invalid(what) => f.write_str(what),
            Error::Lost { reason, .. } => write!(f, "the connection was lost: {reason}"),
            Error::Deadline { .. } => f.write_str("no answer came in time"),
            Error::Unreachable { reason } => write!(f, "no session with the broker: {reason}"),
            Error::Closed { code, reason, .. } => {
                write!(f, "the client is closed: {code}: {}", sentence(*code, reason))
            }
        }
    }
}

impl std::error::Error for Error {}

fn sentence(code: Code, reason: &str) -> &str {
    if reason.is_empty() { code.text() } else { reason }
}

/// The error for a text that is no topic, pattern or position.
pub fn invalid(error: impl std::fmt::Display) -> Error {
    Error::Invalid(error.to_string())
}

/// The error for a failure that the session reports.
pub(crate) fn failed(failure: Failure) -> Error {
    let Failure { cause, code, retry_after_ms, reason, may_have_happened } = failure;
    let retry_after =
        (retry_after_ms > 0).then(|| Duration::from_millis(u64::from(retry_after_ms)));
    match cause {
        Cause::Refused => Error::Refused { code, retry_after, reason, may_have_happened },
        Cause::Lost => Error::Lost { reason, may_have_happened },
        Cause::Deadline => Error::Deadline { may_have_happened },
        _ => Error::Closed { code, reason, may_have_happened },
    }
}
