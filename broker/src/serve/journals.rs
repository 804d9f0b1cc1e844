//! The journals of the shards: opened at the start, watched while they run.

use std::num::NonZeroU8;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use sampan_core::journal::Journal;
use sampan_core::shard::SHARDS_MAX;
use sampan_journal::front::{Event, Front, Hooks, Monitor, Report, Settings};
use sampan_journal::storage::Disk;
use sampan_journal::{Opening, Options, Stored};
use sampan_protocol::Now;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::{error, info, warn};

use super::error::Error;
use crate::config::Config;
use crate::data_dir::{DataDir, FileSystem};
use crate::shard::{OpenStore, Store};

/// Opened logs on their way to their shards, and what becomes of them there.
pub(super) struct Journals {
    logs: Vec<Option<Stored>>,
    settings: Settings,
    monitors: Monitors,
    fences: UnboundedSender<String>,
}

/// Tells how the journals stand.
#[derive(Clone, Default)]
pub(super) struct Monitors(Arc<Mutex<Vec<Monitor<Disk>>>>);

/// Hears of a journal that cannot go on.
pub(super) type Fences = UnboundedReceiver<String>;

impl Journals {
    /// Opens all logs of a data directory, or makes them. Blocks while it reads.
    pub(super) fn open(config: &Config, data: &DataDir, now: Now) -> Result<(Self, Fences), Error> {
        refuse_unsound(config, data)?;
        let path = data.journal_path();
        let first = path.join("0");
        let stored = sampan_journal::logs(&first).map_err(|error| Error::Journal(first, error))?;
        let count = shards(config.shards, stored)?;
        let mut logs = Vec::new();
        for shard in 0..count.get() {
            let options = Options {
                log: shard.into(),
                logs: count.get().into(),
                segment_bytes: config.journal.segment_bytes,
                tail_bytes: config.journal.tail_bytes,
                window: config.core.limits.dedupe_window,
                topics_max: config.core.limits.topics_max,
                ..Options::new(Arc::new(config.core.classes.clone()))
            };
            logs.push(Some(open(shard, &path.join(shard.to_string()), options, now)?));
        }
        let settings = Settings { queue_bytes: config.journal.queue_bytes, ..Settings::default() };
        let (fences, fenced) = unbounded_channel();
        Ok((Journals { logs, settings, monitors: Monitors::default(), fences }, fenced))
    }

    /// How many there are, which is the number of shards.
    pub(super) fn shards(&self) -> NonZeroU8 {
        u8::try_from(self.logs.len()).ok().and_then(NonZeroU8::new).unwrap_or(NonZeroU8::MIN)
    }

    pub(super) fn monitors(&self) -> Monitors {
        self.monitors.clone()
    }

    /// Starts each journal when its shard asks for it.
    pub(super) fn store(mut self) -> OpenStore {
        Box::new(move |shard, wake| {
            let log = self.logs.get_mut(usize::from(shard)).and_then(Option::take);
            let Stored { log, index, .. } = log.ok_or(std::io::ErrorKind::NotFound)?;
            let topics = log.reader.topics();
            let fences = self.fences.clone();
            let report = Arc::new(move |event| tell(shard, &event, &fences));
            let front = Front::start(log, index, self.settings, Hooks { wake, report })?;
            self.monitors.0.lock().unwrap_or_else(PoisonError::into_inner).push(front.monitor());
            let journal: Box<dyn Journal + Send> = Box::new(front);
            Ok(Store { journal, topics })
        })
    }
}

impl Monitors {
    /// One report per journal.
    pub(super) fn reports(&self) -> Vec<Report> {
        let monitors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        monitors.iter().map(Monitor::report).collect()
    }
}

fn tell(shard: u8, event: &Event, fences: &UnboundedSender<String>) {
    match event {
        Event::Fenced { .. } => {
            error!(shard, "{event}");
            // Nobody hears of it any more when the broker is ending anyway.
            let _ = fences.send(event.to_string());
        }
        Event::Room => info!(shard, "{event}"),
        _ => warn!(shard, "{event}"),
    }
}

fn open(shard: u8, path: &Path, options: Options, now: Now) -> Result<Stored, Error> {
    let stored = Stored::open(path, options, now);
    let stored = stored.map_err(|error| Error::Journal(path.to_owned(), error))?;
    let Opening { clean, torn_bytes, damaged, lost, .. } = &stored.log.opening;
    if let Some(fault) = &stored.fault {
        warn!(shard, %fault, "the index of the journal was moved aside and is rebuilt");
    }
    if !clean {
        info!(shard, torn_bytes, "the journal was not closed; it is as it was last synced");
    }
    for (topic, hole) in lost {
        let (topic, from, to) = (topic.as_str(), hole.from, hole.to);
        info!(shard, topic, from, to, "offsets that may have been shown were not stored");
    }
    for damage in damaged {
        error!(shard, %damage, "the journal is damaged; nothing of it is deleted");
    }
    Ok(stored)
}

/// The number of shards: the store's, or for a new one what is asked for, or one per core.
fn shards(asked: Option<NonZeroU8>, stored: Option<u32>) -> Result<NonZeroU8, Error> {
    let stored = stored.and_then(|logs| NonZeroU8::new(u8::try_from(logs).ok()?));
    match (asked, stored) {
        (Some(asked), Some(stored)) if asked != stored => {
            Err(Error::ShardCount { asked: asked.get(), stored: stored.get() })
        }
        (_, Some(stored)) => Ok(stored),
        (Some(asked), None) => Ok(asked),
        (None, None) => {
            let cores = available_parallelism().map_or(1, std::num::NonZero::get);
            let count = u8::try_from(cores).unwrap_or(SHARDS_MAX).min(SHARDS_MAX);
            Ok(NonZeroU8::new(count).unwrap_or(NonZeroU8::MIN))
        }
    }
}

/// A journal on a file system whose word cannot be taken would promise what it cannot keep.
fn refuse_unsound(config: &Config, data: &DataDir) -> Result<(), Error> {
    match data.file_system()? {
        FileSystem::Sound => {}
        FileSystem::Borrowed(name) => {
            warn!(file_system = name, "the data directory lasts no longer than what it lies on");
        }
        FileSystem::Distant(name) if config.journal.any_filesystem => {
            warn!(file_system = name, "what is acked `synced` is as safe as this file system");
        }
        FileSystem::Distant(name) => {
            return Err(Error::FileSystem(data.path().to_owned(), name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_shards_is_that_of_the_store() {
        let count = NonZeroU8::new;
        let of = |asked: Option<u8>, stored| shards(asked.and_then(count), stored).ok();
        assert_eq!(of(None, Some(3)), count(3));
        assert_eq!(of(Some(3), Some(3)), count(3));
        assert_eq!(of(Some(5), None), count(5));
        assert!(of(None, None).is_some());
        let error = shards(count(2), Some(3)).expect_err("refused");
        assert!(error.to_string().contains("3 shards"), "{error}");
    }
}
