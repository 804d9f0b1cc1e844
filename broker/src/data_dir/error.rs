//! What can be wrong with a data directory. The operator's to mend.

use std::io;
use std::path::PathBuf;

use crate::auth::secret;

/// What is wrong with a data directory.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file or the directory cannot be read or written.
    Io(PathBuf, io::Error),
    /// Another broker has the directory; its process id, if it is known.
    Locked(PathBuf, Option<u32>),
    /// The development secret is missing or does not qualify.
    Secret(PathBuf, secret::Error),
    /// The transport's or the recovery's secret is damaged.
    Transport(PathBuf),
    /// A certificate or key file is not one.
    Certificate(PathBuf, &'static str),
    /// The system's cryptography does not work.
    Crypto,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Error::Locked(path, process) => {
                write!(f, "the data directory {} is in use by another broker", path.display())?;
                if let Some(process) = process {
                    write!(f, " (process {process})")?;
                }
                f.write_str("; stop it, or give this one its own with --data DIR")
            }
            Error::Secret(path, secret::Error::Io(error))
                if error.kind() == io::ErrorKind::NotFound =>
            {
                write!(
                    f,
                    "there is no secret at {}: start `sampan serve` first, or name its data \
                     directory with --data DIR",
                    path.display()
                )
            }
            Error::Secret(path, error) => write!(f, "secret {}: {error}", path.display()),
            Error::Transport(path) => write!(
                f,
                "{} is damaged; remove it to have another made (clients then reconnect once)",
                path.display()
            ),
            Error::Certificate(path, why) => write!(f, "{}: {why}", path.display()),
            Error::Crypto => f.write_str("the system's cryptography does not work"),
        }
    }
}

impl std::error::Error for Error {}
