//! Small private files that are either the old bytes or the new ones, also across a power cut.
//!
//! Only for files of this module that are written rarely; every call waits for the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand;

/// Replaces the file at `path`. One writer at a time.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = beside(path, "new")?;
    // What a crash left behind may have another mode.
    remove_if_present(&draft)?;
    write(&draft, bytes)?;
    fs::rename(&draft, path)?;
    sync_directory(path)
}

/// Creates the file at `path`; `AlreadyExists` if it is there, whoever else is creating it.
///
/// The draft has a random name, since process ids repeat between containers on one volume.
pub(super) fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut id = [0; 8];
    rand::fill(&mut id).map_err(io::Error::other)?;
    let draft = beside(path, &format!("{:016x}.new", u64::from_ne_bytes(id)))?;
    write(&draft, bytes)?;
    // A link fails where a rename would replace the file that another process has just created.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    sync_directory(path)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
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
