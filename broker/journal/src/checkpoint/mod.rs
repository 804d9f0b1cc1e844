//! The checkpoint: a log's values as of some place in it, kept in sled, so that opening a log need
//! not gather them again.
//!
//! It is never the truth. What it gives back is exactly what one of its rounds has left, not always
//! the last one, or nothing: entries carry checksums, and a seal over all of them is written after
//! each round. Whatever is odd about it is answered by moving its directory aside and gathering
//! from the log.
//!
//! sled is held at arm's length. It may hang, panic, or refuse to open after a crash, and its flush
//! is not an fsync, so it has a thread of its own that nobody waits for without a limit, and it
//! gets plain inserts and nothing else.

mod aside;
mod entry;
mod index;
mod seal;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use index::Index;

/// Changes to apply together, by key; `None` removes.
pub(crate) type Changes = BTreeMap<Bytes, Option<Bytes>>;

/// Changes, and where the log stands with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) changes: Changes,
    /// The log's own words.
    pub(crate) mark: Bytes,
}

/// All entries as they were when a round had been applied, and that round's mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gathered {
    pub(crate) entries: Vec<(Bytes, Bytes)>,
    pub(crate) mark: Bytes,
}

/// What is wrong with a checkpoint. It costs a rebuild and nothing else.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// Its directory cannot be read or moved.
    Disk(io::Error),
    /// sled reports an error.
    Sled(String),
    /// sled has panicked.
    Panicked,
    /// sled has not come back within its time.
    Slow,
    /// What it holds is not what was applied.
    Damaged(&'static str),
    /// It does not fit the log as it stands.
    Foreign,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Disk(error) => write!(f, "{error}"),
            Fault::Sled(why) => write!(f, "sled: {why}"),
            Fault::Panicked => f.write_str("sled has panicked"),
            Fault::Slow => f.write_str("sled has not answered in time"),
            Fault::Damaged(what) => f.write_str(what),
            Fault::Foreign => f.write_str("it does not fit the log"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Fault::Disk(error)
    }
}

/// The way to the thread that has the checkpoint.
#[derive(Debug)]
pub(crate) struct Store {
    rounds: SyncSender<Round>,
    /// Why the thread has ended.
    ended: Receiver<Result<(), Fault>>,
}

/// What came of opening a checkpoint.
#[derive(Debug)]
pub(crate) struct Opened {
    /// `None` if there can be none until the next start.
    pub(crate) store: Option<Store>,
    /// What it holds; `None` if it is new.
    pub(crate) gathered: Option<Gathered>,
    /// Why an earlier one was moved aside, or why there is none.
    pub(crate) fault: Option<Fault>,
}

/// What becomes of a round that is offered.
#[derive(Debug)]
pub(crate) enum Offer {
    /// It is being applied.
    Taken,
    /// The one before is still being applied; here it is again.
    Busy(Round),
    /// The checkpoint is gone until the next start.
    Ended(Fault),
}

impl Store {
    /// Opens the checkpoint of a log in this directory, or makes it, within `limit`. One that is odd
    /// in any way is moved aside, and another one is made.
    pub(crate) fn open(path: &Path, store_id: u64, limit: Duration) -> Opened {
        match start(path, store_id, limit) {
            Ok((store, gathered)) => Opened { store: Some(store), gathered, fault: None },
            // A thread that hangs in the old one may still write where the new one would be.
            Err(Fault::Slow) => {
                let fault = aside::move_aside(path).map_or_else(Fault::Disk, |()| Fault::Slow);
                Opened { store: None, gathered: None, fault: Some(fault) }
            }
            Err(fault) => another(path, store_id, limit, fault),
        }
    }

    /// Moves this one aside, since it does not fit the log, and makes another one.
    pub(crate) fn start_over(self, path: &Path, store_id: u64, limit: Duration) -> Opened {
        self.close(limit);
        another(path, store_id, limit, Fault::Foreign)
    }

    /// Offers changes with the mark that they lead to. Does not wait.
    pub(crate) fn offer(&self, round: Round) -> Offer {
        match self.rounds.try_send(round) {
            Ok(()) => Offer::Taken,
            Err(TrySendError::Full(round)) => Offer::Busy(round),
            Err(TrySendError::Disconnected(_)) => Offer::Ended(
                self.ended.try_recv().ok().and_then(Result::err).unwrap_or(Fault::Panicked),
            ),
        }
    }

    /// Waits until everything is applied, but no longer than `limit`.
    pub(crate) fn close(self, limit: Duration) {
        drop(self.rounds);
        // One that hangs is left to the end of the process.
        let _ = self.ended.recv_timeout(limit);
    }
}

/// Moves aside what is there, for this reason, and makes another one.
fn another(path: &Path, store_id: u64, limit: Duration, fault: Fault) -> Opened {
    let moved = aside::move_aside(path).map_err(Fault::from);
    let started = moved.and_then(|()| start(path, store_id, limit));
    Opened { store: started.ok().map(|(store, _)| store), gathered: None, fault: Some(fault) }
}

type Begun = Result<Option<Gathered>, Fault>;

/// Starts the thread and waits for what it finds.
fn start(path: &Path, store_id: u64, limit: Duration) -> Result<(Store, Option<Gathered>), Fault> {
    let (rounds, to_apply) = sync_channel(1);
    let (begun, has_begun) = sync_channel(1);
    let (end, ended) = sync_channel(1);
    let path = path.to_owned();
    thread::Builder::new().name("journal-index".to_owned()).spawn(move || {
        let work = AssertUnwindSafe(|| run(&path, store_id, &begun, &to_apply));
        let done = catch_unwind(work).unwrap_or(Err(Fault::Panicked));
        drop(to_apply);
        // Whoever started it may have stopped waiting.
        let _ = end.send(done);
    })?;
    match has_begun.recv_timeout(limit) {
        Ok(found) => Ok((Store { rounds, ended }, found?)),
        Err(RecvTimeoutError::Timeout) => Err(Fault::Slow),
        Err(RecvTimeoutError::Disconnected) => Err(Fault::Panicked),
    }
}

/// The thread's work: what `path` holds is told through `begun`, then rounds are applied.
fn run(
    path: &Path,
    store_id: u64,
    begun: &SyncSender<Begun>,
    to_apply: &Receiver<Round>,
) -> Result<(), Fault> {
    let mut index = match Index::open(path, store_id) {
        Ok((index, found)) => {
            let _ = begun.send(Ok(found));
            index
        }
        Err(fault) => {
            let _ = begun.send(Err(fault));
            return Ok(());
        }
    };
    to_apply.iter().try_for_each(|round| index.apply(&round))
}
