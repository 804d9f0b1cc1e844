//! A disk that says that everything is synced and syncs nothing: the control of the power cuts.

use std::io::{IoSlice, Result};

use sampan_journal::storage::{Disk, File, Storage};

/// A directory whose syncs do nothing.
pub(crate) struct Careless(pub(crate) Disk);

/// A file whose syncs do nothing.
pub(crate) struct CarelessFile(<Disk as Storage>::File);

impl Storage for Careless {
    type File = CarelessFile;

    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<CarelessFile> {
        self.0.create(name).map(CarelessFile)
    }

    fn open(&self, name: &str) -> Result<CarelessFile> {
        self.0.open(name).map(CarelessFile)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.remove(name)
    }

    fn sync_dir(&self) -> Result<()> {
        Ok(())
    }
}

impl File for CarelessFile {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        self.0.read_at(buffer, at)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> Result<()> {
        self.0.write_at(parts, at)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.0.set_len(bytes)
    }
}
