//! Small files that are either the old bytes or the new ones, also across a power cut.
//!
//! Only for files that are written rarely; every call waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;

/// Mode of a file that only its owner may read.
pub(crate) const PRIVATE: u32 = 0o600;
/// Mode of a file that anyone may read.
pub(crate) const PUBLIC: u32 = 0o644;

/// Reads the file at `path`, if it is there.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Replaces the file at `path`, or makes it. One writer at a time.
pub(crate) fn replace(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let draft = beside(path, "new")?;
    // What a crash left behind may have another mode.
    remove_if_present(&draft)?;
    write(&draft, mode, bytes)?;
    fs::rename(&draft, path)?;
    sync_directory(path)
}

/// Creates a private file at `path`; `AlreadyExists` if it is there, whoever else is creating it.
///
/// The draft has a random name, since process ids repeat between containers on one volume.
pub(crate) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut id = [0; 8];
    rand::fill(&mut id).map_err(io::Error::other)?;
    let draft = beside(path, &format!("{:016x}.new", u64::from_ne_bytes(id)))?;
    write(&draft, PRIVATE, bytes)?;
    // A link fails where a rename would replace the file that another process has just created.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    sync_directory(path)
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> io::Result<PathBuf> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_os_string();
    name.push(".");
    name.push(suffix);
    Ok(path.with_file_name(name))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}
