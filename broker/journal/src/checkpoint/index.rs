//! The one place that knows sled.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::seal::Digest;
use super::{Fault, Gathered, Round, entry};

/// Memory that sled is told to keep pages in. It takes several times as much.
const CACHE_BYTES: u64 = 4 << 20;

/// Where the seal is; below every entry.
const SEAL: &[u8] = &[0];

/// How often, and after what pause, a directory is tried that is still locked.
const LOCKED_TRIES: u32 = 100;
const LOCKED_PAUSE: Duration = Duration::from_millis(10);

/// The entries in sled, and the digest of all of them.
pub(super) struct Index {
    db: sled::Db,
    digest: Digest,
    store_id: u64,
}

/// Opens a directory of sled's. One that was closed a moment ago may be locked still: a thread of
/// sled's gives the lock back, some time after the last handle has gone.
fn open(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..LOCKED_TRIES {
        match config.open() {
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                sleep(LOCKED_PAUSE);
            }
            opened => return opened,
        }
    }
    config.open()
}

impl Index {
    /// Opens what is in this directory, and reads all of it; nothing if it is new.
    pub(super) fn open(path: &Path, store_id: u64) -> Result<(Self, Option<Gathered>), Fault> {
        remove_unfinished(path)?;
        // Nothing is written behind our back: half of a round would be found after a crash.
        let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES);
        let db = open(&config.flush_every_ms(None))?;
        let mut index = Index { db, digest: Digest::default(), store_id };
        let gathered = index.load()?;
        Ok((index, gathered))
    }

    fn load(&mut self) -> Result<Option<Gathered>, Fault> {
        let mut entries = Vec::new();
        let mut seal = None;
        for item in self.db.iter() {
            let (key, value) = item?;
            match entry::of_key(&key) {
                Some(key) => {
                    let value = entry::unseal(key, &value, self.store_id);
                    let value = value.ok_or(Fault::Damaged("an entry is damaged"))?;
                    self.digest.add(key, &value);
                    entries.push((key.to_vec().into(), value));
                }
                None if key == SEAL => seal = Some(value),
                None => return Err(Fault::Damaged("there is an entry that is none")),
            }
        }
        let Some(seal) = seal else {
            let is_new = entries.is_empty();
            return if is_new { Ok(None) } else { Err(Fault::Damaged("the seal is missing")) };
        };
        let sealed = Digest::unseal(&seal, self.store_id);
        let (digest, mark) = sealed.ok_or(Fault::Damaged("the seal is damaged or foreign"))?;
        if digest != self.digest {
            return Err(Fault::Damaged("the entries are not those that were sealed"));
        }
        Ok(Some(Gathered { entries, mark }))
    }

    /// Applies changes one by one, then seals them.
    pub(super) fn apply(&mut self, round: &Round) -> Result<(), Fault> {
        for (key, value) in &round.changes {
            let old = match value {
                Some(value) => {
                    self.digest.add(key, value);
                    self.db.insert(entry::key(key), entry::seal(key, value, self.store_id))?
                }
                None => self.db.remove(entry::key(key))?,
            };
            if let Some(old) = old {
                let old = entry::unseal(key, &old, self.store_id);
                self.digest.remove(key, &old.ok_or(Fault::Damaged("an entry is damaged"))?);
            }
        }
        self.db.insert(SEAL, self.digest.seal(&round.mark, self.store_id))?;
        self.db.flush()?;
        Ok(())
    }
}

impl From<sled::Error> for Fault {
    fn from(error: sled::Error) -> Self {
        Fault::Sled(error.to_string())
    }
}

/// Removes snapshots that a crash has left half-written: sled would take them for the newest, and
/// not open.
fn remove_unfinished(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut removed = false;
    for entry in entries {
        let name = entry?.file_name();
        let is_unfinished = |name: &str| name.starts_with("snap.") && name.ends_with(".generating");
        if name.to_str().is_some_and(is_unfinished) {
            fs::remove_file(path.join(&name))?;
            removed = true;
        }
    }
    if removed { File::open(path)?.sync_all() } else { Ok(()) }
}
