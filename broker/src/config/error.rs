//! Why settings are not taken. Always the operator's to mend.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why settings are not taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read.
    Read(PathBuf, io::Error),
    /// The file is not TOML, or a value has the wrong type; the text names line and column.
    Parse(PathBuf, String),
    /// A key that the broker does not know, and the nearest that it does.
    Unknown {
        /// Where it stands: a file or a variable.
        place: String,
        /// The key.
        key: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// A variable's text does not fit its key.
    Variable {
        /// The variable.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A value is out of its range.
    Value {
        /// The key.
        key: String,
        /// What is wrong.
        why: String,
    },
    /// The variable `JWT_SECRET` does not qualify.
    JwtSecret(crate::auth::secret::Error),
    /// An address that others can reach, and no certificate or no keys of the operator's own.
    Public {
        /// The address.
        address: SocketAddr,
        /// What is missing.
        missing: &'static str,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Error::Read(path, error) => {
                write!(f, "{}: {error}; check the path given with --config", path.display())
            }
            Error::Parse(path, text) => write!(f, "{}: {text}", path.display()),
            Error::Unknown { place, key, nearest } => {
                write!(f, "{place}: there is no setting `{key}`")?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
                    None => f.write_str("; `sampan config` lists all of them"),
                }
            }
            Error::Variable { name, why } => write!(f, "variable {name}: {why}"),
            Error::Value { key, why } => write!(f, "{key}: {why}"),
            Error::JwtSecret(error) => write!(
                f,
                "variable JWT_SECRET: {error}; `openssl rand -base64 32` prints one that will do"
            ),
            Error::Public { address, missing } => write!(
                f,
                "{address} can be reached from other machines, which needs {missing}; or listen \
                 on 127.0.0.1"
            ),
        }
    }
}

impl std::error::Error for Error {}
