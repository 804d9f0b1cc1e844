//! Segments that are prepared before they are needed.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::error::Error;
use crate::segment::{self, Header, RESERVE, ending, fill, name};
use crate::storage::{File, Storage};

/// Deleted segments that are kept to be used again.
pub(crate) const RECYCLED_MAX: usize = 2;

/// How long no other try is made after there was no space.
const FULL_MS: u64 = 1000;

/// A segment that is ready to be written to.
#[derive(Debug)]
pub(crate) struct Prepared<F> {
    pub(crate) header: Header,
    pub(crate) file: Arc<F>,
}

/// The segments in store.
#[derive(Debug)]
pub(crate) struct Depot<F> {
    pub(crate) store_id: u64,
    pub(crate) segment_bytes: u64,
    /// The number of the next segment that is prepared.
    pub(crate) next_number: u64,
    /// The next segment.
    pub(crate) next: Option<Prepared<F>>,
    /// Whether there is a file in reserve.
    pub(crate) has_reserve: bool,
    /// When there was no space for the next segment. It is not tried again for a while.
    pub(crate) full_ms: Option<u64>,
    /// Segments that are deleted and whose files are still there.
    pub(crate) dead: VecDeque<u64>,
    /// Names of deleted segments' files.
    pub(crate) recycled: Vec<String>,
}

impl<F: File> Depot<F> {
    /// Makes the next segment, if there is none.
    pub(crate) fn prepare<S: Storage<File = F>>(&mut self, storage: &S) -> Result<(), Error> {
        if self.next.is_none() {
            let recycled = self.recycled.pop();
            self.next = Some(self.make(storage, recycled.as_deref())?);
        }
        Ok(())
    }

    /// Makes the file in reserve, if there is none.
    pub(crate) fn reserve<S: Storage<File = F>>(&mut self, storage: &S) -> Result<(), Error> {
        if self.has_reserve {
            return Ok(());
        }
        if let Some(recycled) = self.recycled.pop() {
            let file = storage.open(&recycled)?;
            fill(&file, self.segment_bytes)?;
            storage.rename(&recycled, RESERVE)?;
        } else {
            let unfinished = format!("{RESERVE}.{}", ending::UNFINISHED);
            // What an earlier try has left.
            let _ = storage.remove(&unfinished);
            let file = storage.create(&unfinished)?;
            if let Err(error) = fill(&file, self.segment_bytes) {
                // The first error is the one to tell.
                let _ = storage.remove(&unfinished);
                return Err(error.into());
            }
            storage.rename(&unfinished, RESERVE)?;
        }
        storage.sync_dir()?;
        self.has_reserve = true;
        Ok(())
    }

    /// The next segment; the one in reserve only for what may use it, and whether it is that one.
    pub(crate) fn take<S: Storage<File = F>>(
        &mut self,
        storage: &S,
        may_use_reserve: bool,
        now_ms: u64,
    ) -> Result<(Prepared<F>, bool), Error> {
        match self.prepare_again(storage, now_ms) {
            Err(Error::Full) if may_use_reserve && self.has_reserve => {
                self.has_reserve = false;
                Ok((self.make(storage, Some(RESERVE))?, true))
            }
            Err(error) => Err(error),
            Ok(()) => self.next.take().map(|next| (next, false)).ok_or(Error::Full),
        }
    }

    /// Makes the next segment, if there is none and it was not tried just before.
    pub(crate) fn prepare_again<S: Storage<File = F>>(
        &mut self,
        storage: &S,
        now_ms: u64,
    ) -> Result<(), Error> {
        let tried = self.full_ms.is_some_and(|full_ms| now_ms < full_ms + FULL_MS);
        let prepared = if tried && self.next.is_none() {
            Err(Error::Full)
        } else {
            self.full_ms = None;
            self.prepare(storage)
        };
        if prepared == Err(Error::Full) {
            self.full_ms.get_or_insert(now_ms);
        }
        prepared
    }

    fn make<S: Storage<File = F>>(
        &mut self,
        storage: &S,
        recycled: Option<&str>,
    ) -> Result<Prepared<F>, Error> {
        let (store_id, number, bytes) = (self.store_id, self.next_number, self.segment_bytes);
        let header = Header { store_id, number, bytes };
        let file = Arc::new(segment::prepare(storage, header, recycled)?);
        self.next_number += 1;
        Ok(Prepared { header, file })
    }

    /// Takes a deleted segment's file out of the log: keeps it to be used again, or removes it.
    pub(crate) fn recycle<S: Storage<File = F>>(
        &mut self,
        storage: &S,
        number: u64,
    ) -> Result<(), Error> {
        let segment = name(number, ending::SEGMENT);
        if self.recycled.len() < RECYCLED_MAX {
            let recycled = name(number, ending::RECYCLED);
            storage.rename(&segment, &recycled)?;
            self.recycled.push(recycled);
        } else {
            storage.remove(&segment)?;
        }
        match storage.remove(&name(number, ending::INDEX)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        Ok(storage.sync_dir()?)
    }
}
