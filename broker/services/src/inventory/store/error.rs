//! Why stock is not changed: a rule, or the database.

use crate::refusal::Refusal;
use crate::service::Problem;
use crate::store;

/// Why stock is not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A rule says no.
    Refused(Refusal),
    /// The database has not done it.
    Database(store::Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Error::Database(error)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Refused(refusal) => refusal.into(),
            Error::Database(error) => error.into(),
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Refused(refusal) => refusal.fmt(f),
            Error::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {}
