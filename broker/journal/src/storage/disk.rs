//! A directory on a real disk, locked against a second opener.

use std::fs::{self, File as StdFile, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::io::{Errno, pwritev};

use super::{File, Storage};

/// Parts that one system call takes.
const PARTS_MAX: usize = 1024;

/// A directory of the file system. The lock goes when this is dropped, or with the process.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// Holds the lock, and syncs the names.
    directory: StdFile,
}

impl Disk {
    /// Takes a directory, and makes it if there is none.
    ///
    /// # Errors
    /// `ResourceBusy` if another opener holds it, or whatever the disk reports.
    pub fn open(path: &Path) -> Result<Self> {
        make_directory(path)?;
        let directory = StdFile::open(path)?;
        match directory.try_lock() {
            Ok(()) => Ok(Disk { path: path.to_owned(), directory }),
            Err(TryLockError::WouldBlock) => Err(Error::new(
                ErrorKind::ResourceBusy,
                format!("{} is in use by another process", path.display()),
            )),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Makes a directory and those above it, each so that it lasts.
fn make_directory(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().filter(|above| !above.as_os_str().is_empty());
    let above = above.unwrap_or(Path::new("."));
    make_directory(above)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => StdFile::open(above)?.sync_all(),
    }
}

impl Storage for Disk {
    type File = DiskFile;

    fn list(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // A name that is no text is none of ours.
            if let (true, Ok(name)) =
                (entry.file_type()?.is_file(), entry.file_name().into_string())
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> Result<DiskFile> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        options.open(self.path.join(name)).map(DiskFile)
    }

    fn open(&self, name: &str) -> Result<DiskFile> {
        OpenOptions::new().read(true).write(true).open(self.path.join(name)).map(DiskFile)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> Result<()> {
        self.directory.sync_all()
    }
}

/// A file of a [`Disk`].
#[derive(Debug)]
pub struct DiskFile(StdFile);

impl File for DiskFile {
    fn len(&self) -> Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.0.read_at(&mut buffer[filled..], at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], mut at: u64) -> Result<()> {
        for parts in parts.chunks(PARTS_MAX) {
            let mut parts = parts.to_vec();
            let mut left = &mut parts[..];
            // Leaves out the empty parts ahead.
            IoSlice::advance_slices(&mut left, 0);
            while !left.is_empty() {
                match pwritev(&self.0, left, at) {
                    Ok(0) => return Err(ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        IoSlice::advance_slices(&mut left, count);
                        at += count as u64;
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.0.set_len(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_opener_at_a_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a/b");
        let disk = Disk::open(&path).expect("free");
        let second = Disk::open(&path).expect_err("taken");
        assert_eq!(second.kind(), ErrorKind::ResourceBusy);
        drop(disk);
        assert!(Disk::open(&path).is_ok());
    }

    #[test]
    fn parts_are_written_back_to_back_however_many_there_are() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(directory.path()).expect("free");
        let file = disk.create("a").expect("new");
        assert_eq!(
            disk.create("a").map(|_| ()).map_err(|e| e.kind()),
            Err(ErrorKind::AlreadyExists)
        );
        let bytes: Vec<u8> = (0..5000_u32).flat_map(u32::to_le_bytes).collect();
        let parts: Vec<_> = bytes.chunks(7).flat_map(|part| [&[][..], part]).collect();
        let parts: Vec<_> = parts.into_iter().map(IoSlice::new).collect();
        file.write_at(&parts, 3).expect("space");
        file.sync().expect("synced");
        let mut read = vec![1; bytes.len() + 10];
        assert_eq!(file.read_at(&mut read, 0).expect("read"), bytes.len() + 3);
        assert_eq!((&read[..3], &read[3..bytes.len() + 3]), (&[0; 3][..], &bytes[..]));
        file.set_len(5).expect("cut");
        assert_eq!(file.len().expect("known"), 5);
        disk.rename("a", "b").expect("there");
        disk.sync_dir().expect("synced");
        assert_eq!(disk.list().expect("listed"), ["b"]);
        disk.remove("b").expect("there");
        assert_eq!(disk.open("b").map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::NotFound));
    }
}
