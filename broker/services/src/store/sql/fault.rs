//! The driver's errors, sorted by who can mend them.

use sqlx::error::{DatabaseError, ErrorKind};

use crate::store::Error;

/// PostgreSQL's classes and codes of which time is the cure, and SQLite's primary codes.
const CONTENDED: &[&str] = &["40001", "40P01", "55P03", "57014"];
const UNAVAILABLE: &[&str] = &["08", "25006", "53", "57P", "58", "XX000"];
const SETUP: &[&str] = &["28", "3D", "42501"];
/// BUSY and LOCKED.
const SQLITE_CONTENDED: &[u32] = &[5, 6];
/// READONLY, INTERRUPT, IOERR, FULL and CANTOPEN.
const SQLITE_UNAVAILABLE: &[u32] = &[8, 9, 10, 13, 14];
/// CORRUPT and NOTADB.
const SQLITE_DAMAGED: &[u32] = &[11, 26];

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let why = error.to_string();
        match error {
            sqlx::Error::Database(error) => of_database(error.as_ref(), why),
            sqlx::Error::Configuration(_) | sqlx::Error::InvalidArgument(_) => Error::Setup(why),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Error::Unavailable(why),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Error::Damaged(why),
            _ => Error::Program(why),
        }
    }
}

fn of_database(error: &dyn DatabaseError, why: String) -> Error {
    if !matches!(error.kind(), ErrorKind::Other) {
        return Error::Conflict(why);
    }
    let code = error.code().unwrap_or_default();
    let is_in = |list: &[&str]| list.iter().any(|start| code.starts_with(start));
    // PostgreSQL's codes have five characters; SQLite's are numbers with the primary code below.
    if let (1..=4, Ok(number)) = (code.len(), code.parse::<u32>()) {
        let primary = number & 0xff;
        return match primary {
            _ if SQLITE_CONTENDED.contains(&primary) => Error::Contended(why),
            _ if SQLITE_UNAVAILABLE.contains(&primary) => Error::Unavailable(why),
            _ if SQLITE_DAMAGED.contains(&primary) => Error::Damaged(why),
            _ => Error::Program(why),
        };
    }
    match () {
        () if is_in(CONTENDED) => Error::Contended(why),
        () if is_in(UNAVAILABLE) => Error::Unavailable(why),
        () if is_in(SETUP) => Error::Setup(why),
        () => Error::Program(why),
    }
}
