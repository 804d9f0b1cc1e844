//! The file of revocations: a header line with a SHA-256 of the rest, then one JSON line each.
//!
//! It is rewritten as a whole, so it is always the old list or the new one.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::target::Revocation;
use crate::durable;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    sha256: String,
}

const FORMAT: &str = "sampan-revocations-1";

/// A full list of the longest ids is under 40 MB; more is some other file.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// Reads the list; empty when there is no file.
pub(super) fn load(path: &Path) -> Result<Vec<Revocation>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    parse(&bytes).ok_or_else(|| Error::Corrupt(path.to_owned()))
}

fn parse(bytes: &[u8]) -> Option<Vec<Revocation>> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (first, body) = (&bytes[..end], &bytes[end + 1..]);
    let header: Header = serde_json::from_slice(first).ok()?;
    if header.format != FORMAT || header.sha256 != sum(body) {
        return None;
    }
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Replaces the list.
pub(super) fn save(
    path: &Path,
    revocations: impl Iterator<Item = Revocation>,
) -> Result<(), Error> {
    let mut body = Vec::new();
    for revocation in revocations {
        serde_json::to_writer(&mut body, &revocation).map_err(io::Error::from)?;
        body.push(b'\n');
    }
    let header = Header { format: FORMAT.to_owned(), sha256: sum(&body) };
    let mut bytes = serde_json::to_vec(&header).map_err(io::Error::from)?;
    bytes.push(b'\n');
    bytes.append(&mut body);
    Ok(durable::replace(path, durable::PRIVATE, &bytes)?)
}

fn sum(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, bytes))
}

/// Why revocations cannot be opened or one cannot be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The disk's fault. Nothing was revoked.
    Io(io::Error),
    /// The file is not what was written. The operator restores it, or removes it and revokes
    /// all tokens issued before; starting without it would bring revoked tokens back.
    Corrupt(PathBuf),
    /// The target is empty, over 128 bytes or has control characters: the caller's mistake.
    Target,
    /// 100,000 tokens and users are revoked already. Revoking all tokens issued before a time
    /// still works; otherwise there is room again as earlier ones are forgotten.
    Full,
}

impl Error {
    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Full)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "revocations file: {error}"),
            Self::Corrupt(path) => write!(
                f,
                "{} is damaged: restore it, or remove it and revoke every token issued so far",
                path.display()
            ),
            Self::Target => f.write_str("an id has 1 to 128 bytes and no control characters"),
            Self::Full => f.write_str("too many revocations are in force"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
