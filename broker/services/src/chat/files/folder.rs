//! Bytes in a local directory: one file each, written beside its place, synced, and renamed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::fs::{DirBuilder, File, OpenOptions, remove_file, rename};
use tokio::io::AsyncWriteExt;

use super::blobs::{Blobs, Writing};

/// Permissions of the directory and of files.
const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// A local directory. It is made when the first file comes.
#[derive(Clone, Debug)]
pub struct Folder(Arc<PathBuf>);

/// A file on its way in.
#[derive(Debug)]
pub struct Part {
    file: File,
    part: PathBuf,
    place: PathBuf,
}

impl Folder {
    /// The files of this directory.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Folder(Arc::new(path.to_owned()))
    }

    /// The place of a key, which is one plain name.
    fn place(&self, key: &str) -> io::Result<PathBuf> {
        let is_plain = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if key.is_empty() || !is_plain {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no name of a file"));
        }
        Ok(self.0.join(key))
    }
}

impl Blobs for Folder {
    type Writing = Part;
    type Reading = File;

    async fn create(&self, key: &str) -> io::Result<Part> {
        let place = self.place(key)?;
        DirBuilder::new().recursive(true).mode(DIRECTORY).create(&*self.0).await?;
        let part = part(&place);
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE).open(&part).await?;
        Ok(Part { file, part, place })
    }

    async fn read(&self, key: &str) -> io::Result<File> {
        File::open(self.place(key)?).await
    }

    async fn remove(&self, key: &str) -> io::Result<()> {
        let place = self.place(key)?;
        for path in [part(&place), place] {
            match remove_file(path).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Writing for Part {
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).await
    }

    async fn end(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        rename(&self.part, &self.place).await?;
        let directory = self.place.parent().unwrap_or(Path::new("."));
        File::open(directory).await?.sync_all().await
    }
}

fn part(place: &Path) -> PathBuf {
    place.with_extension("part")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn what_has_ended_is_read_and_what_has_not_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Folder::new(&folder.path().join("files"));
        let mut whole = blobs.create("a-1").await.expect("begun");
        whole.write("ภาพ".as_bytes()).await.expect("written");
        assert!(blobs.read("a-1").await.is_err(), "not before its end");
        whole.end().await.expect("ended");
        let mut text = String::new();
        blobs.read("a-1").await.expect("there").read_to_string(&mut text).await.expect("read");
        assert_eq!(text, "ภาพ");
        drop(blobs.create("b-2").await.expect("begun"));
        for key in ["a-1", "b-2", "b-2", "never"] {
            blobs.remove(key).await.expect("gone");
            assert!(blobs.read(key).await.is_err(), "{key}");
        }
        assert_eq!(std::fs::read_dir(folder.path().join("files")).expect("listed").count(), 0);
    }

    #[tokio::test]
    async fn a_key_is_no_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = Folder::new(folder.path());
        for key in ["", "..", "a/b", "/etc/passwd", "a.part", "a\0"] {
            assert!(blobs.create(key).await.is_err(), "{key:?}");
            assert!(blobs.read(key).await.is_err(), "{key:?}");
            assert!(blobs.remove(key).await.is_err(), "{key:?}");
        }
    }
}
