//! Why a run could not be carried out.

/// Why a run has no result.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A number of the plan is out of its range.
    Invalid(String),
    /// The broker could not be started, or ended before the run did.
    Broker(String),
    /// A client could not do what the run asked of it.
    Client(sampan_client::Error),
    /// The system refused something, such as a socket or a thread.
    System(String),
    /// A signal asked to stop.
    Interrupted,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Invalid(text) | Error::Broker(text) | Error::System(text) => f.write_str(text),
            Error::Client(error) => error.fmt(f),
            Error::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Client(error) => Some(error),
            _ => None,
        }
    }
}

impl From<sampan_client::Error> for Error {
    fn from(error: sampan_client::Error) -> Self {
        Error::Client(error)
    }
}
