//! A log in a directory, opened with the checkpoint that lies beside its segments.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use sampan_protocol::Now;

use crate::checkpoint::{Changes, Fault, Gathered, Offer, Round, Store};
use crate::error::OpenError;
use crate::identity;
use crate::mark::{Checkpoint, Located};
use crate::open::Log;
use crate::options::Options;
use crate::storage::Disk;

/// The directory of the checkpoint.
const NAME: &str = "index";

/// How long sled may take for anything.
const LIMIT: Duration = Duration::from_secs(10);

/// Flags of an entry.
const ABSENT: u8 = 1;
const WITH_BODY: u8 = 2;

/// Bytes of an entry ahead of its body.
const FIXED_BYTES: usize = 33;

/// A log, and the checkpoint that is kept of it.
pub struct Stored {
    /// The log.
    pub log: Log<Disk>,
    /// What keeps its checkpoint up; `None` if there is none until the next start.
    pub index: Option<Index>,
    /// What was wrong with the checkpoint that was there.
    pub fault: Option<Fault>,
}

/// Keeps the checkpoint of a log up.
#[derive(Debug)]
pub struct Index {
    store: Store,
    /// What the checkpoint was opened with, until the log says what it should be.
    before: Option<BTreeMap<Bytes, Bytes>>,
    /// What is to be applied next.
    round: Round,
}

impl Stored {
    /// Opens the log in this directory, or makes one. With a checkpoint that fits it need not gather
    /// its values.
    ///
    /// # Errors
    /// If the storage fails, or the store is not one that these options can open. Neither damage nor
    /// anything about the checkpoint is an error.
    pub fn open(path: &Path, mut options: Options, now: Now) -> Result<Self, OpenError> {
        let disk = Disk::open(path)?;
        let stored_id = identity::read(&disk)?.map(|(id, ..)| id);
        // A new log is given the id that its checkpoint is made with.
        options.store_id = stored_id.unwrap_or(options.store_id);
        let (id, path) = (options.store_id, path.join(NAME));
        let mut opened = Store::open(&path, id, LIMIT);
        let known = opened.gathered.as_ref().and_then(decode_all).unwrap_or_default();
        let log = Log::open_from(disk, options, now, &known)?;
        let fits = opened.gathered.is_none() || log.opening.known;
        if !fits && let Some(store) = opened.store.take() {
            opened = store.start_over(&path, id, LIMIT);
        }
        let before = opened.gathered.map(|gathered| gathered.entries.into_iter().collect());
        let before = Some(before.unwrap_or_default());
        let index = opened.store.map(|store| Index { store, before, round: Round::default() });
        Ok(Stored { log, index, fault: opened.fault })
    }
}

impl Index {
    /// Adds what has changed, and applies it as soon as what came before is applied.
    ///
    /// # Errors
    /// If there is no checkpoint any more until the next start.
    pub(crate) fn apply(&mut self, checkpoint: Checkpoint) -> Result<(), Fault> {
        let Checkpoint { through, values } = checkpoint;
        let values = values.into_iter().map(|(key, value)| (key, value.as_ref().map(encode)));
        match self.before.take() {
            Some(before) => self.round.changes.extend(differences(before, values.collect())),
            None => self.round.changes.extend(values),
        }
        self.round.mark = Bytes::copy_from_slice(&through.to_le_bytes());
        match self.store.offer(std::mem::take(&mut self.round)) {
            Offer::Taken => Ok(()),
            Offer::Busy(round) => {
                self.round = round;
                Ok(())
            }
            Offer::Ended(fault) => Err(fault),
        }
    }

    /// Waits until everything is applied, but not for ever.
    pub(crate) fn close(self) {
        self.store.close(LIMIT);
    }
}

/// What has to change so that `before` becomes `now`.
fn differences(mut before: BTreeMap<Bytes, Bytes>, now: Changes) -> Changes {
    let mut changes = Changes::new();
    for (key, value) in now {
        let old = before.remove(&key);
        if old != value {
            changes.insert(key, value);
        }
    }
    changes.extend(before.into_keys().map(|key| (key, None)));
    changes
}

/// The value of an entry: where it is and what the log remembers with it, then the value itself if
/// the log keeps it in memory.
fn encode(located: &Located) -> Bytes {
    let body = located.body.as_deref();
    let mut bytes = BytesMut::with_capacity(FIXED_BYTES + body.map_or(0, <[u8]>::len));
    bytes.put_u64_le(located.segment);
    bytes.put_u64_le(located.at);
    bytes.put_u64_le(located.bytes);
    bytes.put_u64_le(located.mark);
    let absent = if located.absent { ABSENT } else { 0 };
    bytes.put_u8(absent | if body.is_some() { WITH_BODY } else { 0 });
    bytes.put_slice(body.unwrap_or_default());
    bytes.freeze()
}

fn decode(bytes: &Bytes) -> Option<Located> {
    let fixed = bytes.first_chunk::<FIXED_BYTES>()?;
    let number = |at: usize| fixed[at..at + 8].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
    let body = (fixed[32] & WITH_BODY != 0).then(|| bytes.slice(FIXED_BYTES..));
    let absent = fixed[32] & ABSENT != 0;
    let (segment, at, bytes, mark) = (number(0), number(8), number(16), number(24));
    Some(Located { segment, at, bytes, mark, absent, body })
}

/// What a checkpoint holds as the log takes it.
fn decode_all(gathered: &Gathered) -> Option<Checkpoint> {
    let through = u64::from_le_bytes(*gathered.mark.first_chunk()?);
    let value = |(key, value): &(Bytes, Bytes)| Some((key.clone(), Some(decode(value)?)));
    let values = gathered.entries.iter().map(value).collect::<Option<_>>()?;
    Some(Checkpoint { through, values })
}
