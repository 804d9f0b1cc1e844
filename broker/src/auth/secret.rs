//! The shared secret of HS256 tokens: where it comes from and how good it must be.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::durable;

/// A shared secret of at least 32 bytes. Never printed.
///
/// The key is the text's own bytes, as every JWT library takes it: nothing is decoded.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes a secret as a variable or a file gives it; white space around it is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] under 32 bytes, which an attacker with one token can guess offline.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.len() < SECRET_BYTES_MIN {
            return Err(Error::TooShort);
        }
        Ok(Self(text.as_bytes().into()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Reads the secret at `path`.
///
/// # Errors
///
/// [`Error`]; nothing is ever repaired, since the file is the operator's.
pub fn load(path: &Path) -> Result<Secret, Error> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(Error::NotAFile);
    }
    if metadata.permissions().mode() & OTHERS != 0 {
        return Err(Error::Exposed);
    }
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(Error::TooLong);
    }
    Secret::from_text(&text)
}

/// Reads the secret at `path`, or creates it: 32 random bytes as base64url text, mode 0600.
///
/// Two processes that start at once end up with the same secret. The directory must exist.
///
/// # Errors
///
/// [`Error`], also when an existing file does not qualify.
pub fn load_or_create(path: &Path) -> Result<Secret, Error> {
    match load(path) {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => create(path),
        loaded => loaded,
    }
}

fn create(path: &Path) -> Result<Secret, Error> {
    let mut bytes = [0; SECRET_BYTES_MIN];
    rand::fill(&mut bytes).map_err(|_| Error::Random)?;
    let text = format!("{}\n", URL_SAFE_NO_PAD.encode(bytes));
    match durable::create(path, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => load(path),
        Err(error) => Err(error.into()),
        Ok(()) => Secret::from_text(&text),
    }
}

/// Why a secret is not taken. The operator's to mend; retrying changes nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be read or created.
    Io(io::Error),
    /// The path is not a regular file.
    NotAFile,
    /// Every user of the machine may read or write the file, or its group may write it.
    Exposed,
    /// Under 32 bytes.
    TooShort,
    /// Over 4 KiB: some other file.
    TooLong,
    /// The system gives no random bytes.
    Random,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotAFile => f.write_str("not a regular file"),
            Self::Exposed => {
                f.write_str("open to other users of the machine: run chmod 600 on the file")
            }
            Self::TooShort => f.write_str("shorter than 32 bytes"),
            Self::TooLong => f.write_str("longer than 4096 bytes"),
            Self::Random => f.write_str("the system gives no random bytes"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

const SECRET_BYTES_MIN: usize = 32;
const SECRET_BYTES_MAX: u64 = 4096;

/// Mode bits that a secret file must not have. The group may read: that is how a container
/// platform hands a secret to an unprivileged process.
const OTHERS: u32 = 0o027;
