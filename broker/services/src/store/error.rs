//! What can go wrong with a store: whose fault it is, and whether to try again.

/// Why a store has not done what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The database cannot be reached, has gone, or has no room. What was under way may have
    /// happened, if it was a commit.
    Unavailable(String),
    /// Another transaction was in the way; nothing has happened.
    Contended(String),
    /// A constraint forbids it: such a row exists, or it refers to one that does not.
    Conflict(String),
    /// The address or the rights given for the database cannot be used.
    Setup(String),
    /// The database was written by a newer version of this program.
    Newer {
        /// Which tables.
        schema: &'static str,
        /// Their version in the database.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// A text has a character that no database keeps: NUL.
    Unkept,
    /// What is stored cannot be read as what it should be.
    Damaged(String),
    /// A statement that the database does not take.
    Program(String),
}

/// Who can mend an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Whoever asked for something that cannot be.
    Caller,
    /// Time, or whoever runs the database.
    Database,
    /// Whoever set this program up.
    Operator,
    /// Whoever wrote this program.
    Program,
}

impl Error {
    /// Whether the same call may succeed at a later time.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Error::Unavailable(_) | Error::Contended(_))
    }

    /// Who can mend it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Error::Conflict(_) | Error::Unkept => Fault::Caller,
            Error::Unavailable(_) | Error::Contended(_) | Error::Damaged(_) => Fault::Database,
            Error::Setup(_) | Error::Newer { .. } => Fault::Operator,
            Error::Program(_) => Fault::Program,
        }
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Unavailable(why) => write!(f, "the database is not available: {why}"),
            Error::Contended(why) => write!(f, "another transaction was in the way: {why}"),
            Error::Conflict(why) => write!(f, "the stored data do not allow it: {why}"),
            Error::Setup(why) => write!(f, "the database cannot be used: {why}"),
            Error::Newer { schema, found, known } => write!(
                f,
                "the database holds version {found} of the {schema} tables, and this program knows \
                 {known}: start the newer program, or give this one another database"
            ),
            Error::Unkept => f.write_str("a text has a NUL character"),
            Error::Damaged(why) => write!(f, "what is stored cannot be read: {why}"),
            Error::Program(why) => write!(f, "the database does not take a statement: {why}"),
        }
    }
}

impl std::error::Error for Error {}
