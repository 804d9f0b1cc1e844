//! A key set in a file: reading it, and noticing that it has changed.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::fetch::BODY_BYTES_MAX;

/// What tells one state of a file from another without reading it.
///
/// The inode is part of it: a file that is replaced may keep its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { inode: metadata.ino(), bytes: metadata.len(), modified }
    }
}

/// Reads the whole file.
pub(in crate::auth) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_open(File::open(path)?)
}

/// Reads the file unless it is as it was `seen`.
pub(super) fn read_if_changed(
    path: &Path,
    seen: Option<Stamp>,
) -> io::Result<Option<(Stamp, Vec<u8>)>> {
    let file = File::open(path)?;
    let stamp = Stamp::of(&file.metadata()?);
    if seen == Some(stamp) { Ok(None) } else { Ok(Some((stamp, read_open(file)?))) }
}

fn read_open(file: File) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    file.take(BODY_BYTES_MAX + 1).read_to_end(&mut body)?;
    if body.len() as u64 > BODY_BYTES_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(body)
}
