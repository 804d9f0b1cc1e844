//! Files that are made once, whole or not at all, and that only their owner may read.
//!
//! The caller holds the data directory's lock, so there is one writer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::Error;

/// Mode of a file that holds a key.
pub(super) const SECRET: u32 = 0o600;
/// Mode of a file that anyone may read.
pub(super) const PUBLIC: u32 = 0o644;

/// Writes a new file; after a crash it is there as a whole or not at all.
pub(super) fn create(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), Error> {
    let written = || -> io::Result<()> {
        let draft = path.with_extension("draft");
        // What a crash left behind may have another mode.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().map_err(|error| Error::Io(path.to_owned(), error))
}

/// Reads a file, if it is there.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::Io(path.to_owned(), error)),
    }
}
