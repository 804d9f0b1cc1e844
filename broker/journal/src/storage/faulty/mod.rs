//! A directory in memory that plays every fault a disk has: errors on purpose, no space, rot, and
//! any state that a crash may leave.
//!
//! It draws no lots: whoever crashes it chooses, so that a test can go through all states or pick
//! some by a seed.

mod medium;

use std::io::{Error, ErrorKind, IoSlice, Result};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use medium::{Choose, Medium, Step};

use super::{File, Storage};

/// Bytes that a disk writes whole: a write that fails has written a multiple of it.
const SECTOR: usize = 512;

/// What an operation is, for a fault to befall it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`File::read_at`].
    Read,
    /// [`File::write_at`].
    Write,
    /// [`File::sync`].
    Sync,
    /// [`File::set_len`].
    SetLen,
    /// [`Storage::create`].
    Create,
    /// [`Storage::open`].
    Open,
    /// [`Storage::rename`].
    Rename,
    /// [`Storage::remove`].
    Remove,
    /// [`Storage::sync_dir`].
    SyncDir,
    /// [`Storage::list`].
    List,
}

/// Operations of one kind that fail.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Which operations.
    pub on: Kind,
    /// So many of them succeed first.
    pub skip: u64,
    /// So many fail then.
    pub times: u64,
    /// What is reported.
    pub error: ErrorKind,
}

/// The directory. Clones are the same one, so that a test keeps a hand on what a log has taken.
#[derive(Clone, Debug, Default)]
pub struct Faulty(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    medium: Medium,
    faults: Vec<Fault>,
    capacity: Option<u64>,
    steps: Option<Vec<Step>>,
}

impl Inner {
    /// What befalls the next operation of this kind, if anything does.
    fn fault(&mut self, kind: Kind) -> Result<()> {
        for fault in self.faults.iter_mut().filter(|fault| fault.on == kind && fault.times > 0) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else {
                fault.times -= 1;
                return Err(fault.error.into());
            }
        }
        Ok(())
    }

    fn take(&mut self, step: Step) {
        self.medium.apply(&step);
        self.steps.iter_mut().for_each(|steps| steps.push(step.clone()));
    }

    /// Bytes that may still be taken.
    fn space(&self) -> u64 {
        self.capacity.map_or(u64::MAX, |all| all.saturating_sub(self.medium.used()))
    }
}

impl From<Medium> for Faulty {
    /// A directory that holds this, and has no fault.
    fn from(medium: Medium) -> Self {
        Faulty(Arc::new(Mutex::new(Inner { medium, ..Inner::default() })))
    }
}

impl Faulty {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another directory as this one is after a power cut; see [`Medium::crash`].
    #[must_use]
    pub fn crash(&self, choose: &mut Choose<'_>) -> Faulty {
        self.inner().medium.crash(choose).into()
    }

    /// Another directory as this one is when only the process has ended.
    #[must_use]
    pub fn kill(&self) -> Faulty {
        self.inner().medium.kill().into()
    }

    /// Lets operations fail, besides those that already do.
    pub fn fail(&self, fault: Fault) {
        self.inner().faults.push(fault);
    }

    /// Takes all faults back, and gives space without end.
    pub fn heal(&self) {
        let mut inner = self.inner();
        inner.faults.clear();
        inner.capacity = None;
    }

    /// Limits the bytes that all files may take together.
    pub fn limit(&self, capacity: u64) {
        self.inner().capacity = Some(capacity);
    }

    /// Bytes that all files take together.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.inner().medium.used()
    }

    /// Writes down every step from now on.
    pub fn record(&self) {
        self.inner().steps = Some(Vec::new());
    }

    /// How many steps were written down.
    #[must_use]
    pub fn recorded(&self) -> usize {
        self.inner().steps.as_ref().map_or(0, Vec::len)
    }

    /// The steps that were written down.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        self.inner().steps.clone().unwrap_or_default()
    }

    /// The bytes of a file; `None` if there is none.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        self.inner().medium.bytes(name)
    }

    /// Changes the bytes of a file behind everybody's back, as rot does.
    pub fn rot(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        self.inner().medium.rot(name, change);
    }
}

impl Storage for Faulty {
    type File = FaultyFile;

    fn list(&self) -> Result<Vec<String>> {
        let mut inner = self.inner();
        inner.fault(Kind::List)?;
        Ok(inner.medium.names().map(str::to_owned).collect())
    }

    fn create(&self, name: &str) -> Result<FaultyFile> {
        let mut inner = self.inner();
        inner.fault(Kind::Create)?;
        if inner.medium.find(name).is_some() {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if inner.space() == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        inner.take(Step::Create { name: name.to_owned() });
        let file = inner.medium.find(name).ok_or(ErrorKind::NotFound)?;
        Ok(FaultyFile { directory: self.clone(), file })
    }

    fn open(&self, name: &str) -> Result<FaultyFile> {
        let mut inner = self.inner();
        inner.fault(Kind::Open)?;
        let file = inner.medium.find(name).ok_or(ErrorKind::NotFound)?;
        Ok(FaultyFile { directory: self.clone(), file })
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut inner = self.inner();
        inner.fault(Kind::Rename)?;
        inner.medium.find(from).ok_or(ErrorKind::NotFound)?;
        inner.take(Step::Rename { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut inner = self.inner();
        inner.fault(Kind::Remove)?;
        inner.medium.find(name).ok_or(ErrorKind::NotFound)?;
        inner.take(Step::Remove { name: name.to_owned() });
        Ok(())
    }

    fn sync_dir(&self) -> Result<()> {
        let mut inner = self.inner();
        let fault = inner.fault(Kind::SyncDir);
        inner.take(Step::SyncDir { done: fault.is_ok() });
        fault
    }
}

/// A file of a [`Faulty`].
#[derive(Debug)]
pub struct FaultyFile {
    directory: Faulty,
    file: usize,
}

impl FaultyFile {
    /// Writes the first `wanted` of these bytes.
    fn put(&self, inner: &mut Inner, mut bytes: Vec<u8>, at: u64, wanted: usize) {
        bytes.truncate(wanted);
        if !bytes.is_empty() {
            inner.take(Step::Write { file: self.file, at, bytes: bytes.into() });
        }
    }
}

impl File for FaultyFile {
    fn len(&self) -> Result<u64> {
        Ok(self.directory.inner().medium.len(self.file))
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        let mut inner = self.directory.inner();
        inner.fault(Kind::Read)?;
        Ok(inner.medium.read(self.file, buffer, at))
    }

    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> Result<()> {
        let mut inner = self.directory.inner();
        let mut bytes = Vec::new();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let length = bytes.len();
        if let Err(error) = inner.fault(Kind::Write) {
            self.put(&mut inner, bytes, at, length / 2 / SECTOR * SECTOR);
            return Err(error);
        }
        let end = at.checked_add(length as u64).ok_or(ErrorKind::InvalidInput)?;
        let missing = inner.medium.growth(self.file, end).saturating_sub(inner.space());
        let room = length.saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX));
        self.put(&mut inner, bytes, at, room);
        if missing > 0 { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
    }

    fn sync(&self) -> Result<()> {
        let mut inner = self.directory.inner();
        let fault = inner.fault(Kind::Sync);
        inner.take(Step::Sync { file: self.file, done: fault.is_ok() });
        fault
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        let mut inner = self.directory.inner();
        inner.fault(Kind::SetLen)?;
        inner.take(Step::SetLen { file: self.file, bytes });
        Ok(())
    }
}

#[cfg(test)]
mod tests;
