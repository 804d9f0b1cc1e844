//! The work that keeps a log going, apart from writing: preparing, sealing, retention, deleting.

use std::sync::Arc;

use sampan_protocol::{Now, Topic};

use crate::clean::Cleaning;
use crate::error::Error;
use crate::shared::Shared;
use crate::storage::Storage;
use crate::writer::Writer;

/// Keeps a log going. For one thread, which may be another than the writer's.
pub struct Keeper<S: Storage> {
    pub(crate) shared: Arc<Shared<S>>,
}

/// What a [`Keeper`] has found for the writer to do.
#[derive(Debug, Default)]
pub struct Work {
    /// Floors that have moved: number, topic, and where to.
    pub(crate) floors: Vec<(u32, Topic, u64)>,
    /// A segment that is to be deleted.
    pub(crate) cleaning: Option<Cleaning>,
}

impl Work {
    /// Topics whose floor has moved, and where to.
    pub fn floors(&self) -> impl Iterator<Item = (&Topic, u64)> {
        self.floors.iter().map(|(_, topic, floor)| (topic, *floor))
    }

    /// Whether the writer has nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.floors.is_empty() && self.cleaning.is_none()
    }
}

impl<S: Storage> Keeper<S> {
    /// Does what can be done beside the writer, at most one segment's worth of reading, and says
    /// what is left for [`Writer::clean`]. To be called about once a second.
    ///
    /// # Errors
    /// Whatever the storage reports. `Full` says that there was no space for an index or the next
    /// segment; all else was done.
    pub fn work(&self, now: Now) -> Result<Work, Error> {
        self.delete_dead()?;
        let unsealed = self.shared.unsealed();
        let sealed = match unsealed.into_iter().try_for_each(|number| self.shared.seal(number)) {
            Err(error) if error != Error::Full => return Err(error),
            sealed => sealed,
        };
        let floors = self.retain(now)?;
        let cleaning = self.find_cleaning(now)?;
        let prepared = self.prepare().and(sealed);
        let work = Work { floors, cleaning };
        match prepared {
            // Deleting is what makes room.
            Err(Error::Full) if !work.is_empty() => Ok(work),
            prepared => prepared.map(|()| work),
        }
    }

    /// Prepares the next segment and the one in reserve.
    fn prepare(&self) -> Result<(), Error> {
        let mut depot = self.shared.depot();
        let prepared = depot.prepare(&self.shared.storage);
        let reserved = depot.reserve(&self.shared.storage);
        depot.full_ms = None;
        prepared.and(reserved)
    }

    /// Takes the files of deleted segments out of the log, oldest first.
    fn delete_dead(&self) -> Result<(), Error> {
        let mut depot = self.shared.depot();
        while let Some(number) = depot.dead.pop_front() {
            depot.recycle(&self.shared.storage, number)?;
        }
        Ok(())
    }
}

impl<S: Storage> Writer<S> {
    /// Does all the work of a [`Keeper`] at once; the topics whose floor has moved, and where to.
    ///
    /// # Errors
    /// As [`Keeper::work`] and [`Writer::clean`].
    pub fn maintain(&mut self, now: Now) -> Result<Vec<(Topic, u64)>, Error> {
        let keeper = Keeper { shared: self.shared.clone() };
        let work = keeper.work(now)?;
        let floors = work.floors().map(|(topic, floor)| (topic.clone(), floor)).collect();
        self.clean(now, work)?;
        keeper.delete_dead()?;
        Ok(floors)
    }
}
