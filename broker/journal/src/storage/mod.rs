//! The directory that a log lives in, as the few operations that a log needs.
//!
//! Everything the log knows of a disk goes through these two traits, so that recovery runs the same
//! code on a real directory and on one that plays faults. Names are plain file names.

mod disk;
pub mod faulty;

use std::io::{IoSlice, Result};

pub use disk::Disk;

/// A directory that one log has for itself.
///
/// What an operation did is only there after a crash once [`Storage::sync_dir`] (for names) or
/// [`File::sync`] (for bytes and length) has returned.
pub trait Storage: Send + Sync + 'static {
    /// A file of this directory.
    type File: File;

    /// The names of all files, in any order.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn list(&self) -> Result<Vec<String>>;

    /// Makes an empty file for reading and writing.
    ///
    /// # Errors
    /// `AlreadyExists` if there is one, or whatever the disk reports.
    fn create(&self, name: &str) -> Result<Self::File>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound` if there is none, or whatever the disk reports.
    fn open(&self, name: &str) -> Result<Self::File>;

    /// Renames a file; one that has the new name is replaced.
    ///
    /// # Errors
    /// `NotFound` if there is none, or whatever the disk reports.
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file. Whoever has it open may go on reading.
    ///
    /// # Errors
    /// `NotFound` if there is none, or whatever the disk reports.
    fn remove(&self, name: &str) -> Result<()>;

    /// Makes all creations, renames and removals so far last.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn sync_dir(&self) -> Result<()>;
}

/// An open file. Shared freely; calls may come from several threads at once.
pub trait File: Send + Sync + 'static {
    /// Length in bytes.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn len(&self) -> Result<u64>;

    /// Whether it has no bytes.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buffer` from `at` on; how many bytes there were, fewer only at the end of the file.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize>;

    /// Writes all parts back to back from `at` on, and makes the file longer where needed.
    ///
    /// # Errors
    /// Whatever the disk reports; `StorageFull` if there is no space. Some of it may be written.
    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> Result<()>;

    /// Makes everything written so far last, length included. Never to be tried again after an
    /// error: a second try may succeed although the bytes are gone.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn sync(&self) -> Result<()>;

    /// Cuts the file, or makes it longer with zeros that take no space.
    ///
    /// # Errors
    /// Whatever the disk reports.
    fn set_len(&self, bytes: u64) -> Result<()>;
}
