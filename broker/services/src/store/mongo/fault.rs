//! The driver's errors, sorted by who can mend them.

use mongodb::error::{ErrorKind, WriteFailure};

use crate::store::Error;

/// The server's codes: others were in the way; it is not there, or has no room; a document would be
/// larger than one may be; it cannot be used; a unique index or a validator forbids it.
const CONTENDED: &[i32] = &[24, 46, 50, 112, 117, 246, 262];
const UNAVAILABLE: &[i32] = &[
    6, 7, 64, 70, 71, 74, 83, 89, 91, 94, 100, 133, 134, 189, 202, 317, 384, 402, 9001, 10058,
    10107, 11600, 11602, 13388, 13435, 13436, 14031,
];
const DAMAGED: &[i32] = &[10334, 17419, 17420];
const SETUP: &[i32] = &[8, 11, 13, 18, 20, 8000];
const CONFLICT: &[i32] = &[121, 11000, 11001, 12582];

/// What the driver says an error may be cured by.
const RETRY_LABELS: [&str; 3] =
    ["RetryableWriteError", "TransientTransactionError", "SystemOverloadedError"];

impl From<mongodb::error::Error> for Error {
    fn from(error: mongodb::error::Error) -> Self {
        let why = error.to_string();
        if RETRY_LABELS.iter().any(|label| error.contains_label(label)) {
            return Error::Unavailable(why);
        }
        match error.kind.as_ref() {
            ErrorKind::Command(command) => of_code(command.code, why),
            ErrorKind::Write(WriteFailure::WriteError(write)) => of_code(write.code, why),
            ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::InvalidResponse { .. }
            | ErrorKind::Write(_)
            | ErrorKind::Shutdown => Error::Unavailable(why),
            ErrorKind::Authentication { .. }
            | ErrorKind::InvalidArgument { .. }
            | ErrorKind::InvalidTlsConfig { .. }
            | ErrorKind::IncompatibleServer { .. }
            | ErrorKind::SessionsNotSupported => Error::Setup(why),
            ErrorKind::BsonDeserialization(_) | ErrorKind::Bson(_) => Error::Damaged(why),
            _ => Error::Program(why),
        }
    }
}

fn of_code(code: i32, why: String) -> Error {
    match code {
        code if CONTENDED.contains(&code) => Error::Contended(why),
        code if UNAVAILABLE.contains(&code) => Error::Unavailable(why),
        code if DAMAGED.contains(&code) => Error::Damaged(why),
        code if SETUP.contains(&code) => Error::Setup(why),
        code if CONFLICT.contains(&code) => Error::Conflict(why),
        _ => Error::Program(why),
    }
}
