//! A journal without a disk: keeps runs in memory, and plays the faults of a disk for tests.
//!
//! As a broker's own journal it gives `routed` and completes at the next poll. With a stronger
//! [`Config::best`] it pretends to be a disk: delays, failures, crashes that take what was not
//! synced; everything from a seed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::{AckLevel, Now, Topic};

use super::chance::Chance;
use super::log::cost;
use super::store::{Page, Store};
use super::{Completion, Error, Hole, Journal, Refused, Request, Run, Start, Ticket};
use crate::class::Table;

/// Faults that the journal plays.
#[derive(Clone, Debug)]
pub struct Faults {
    /// How long each step takes: a read, a write, and a flush after it. Default none.
    pub delay: RangeInclusive<Duration>,
    /// Appends in a million that fail. Default 0.
    pub fail_ppm: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Faults { delay: Duration::ZERO..=Duration::ZERO, fail_ppm: 0 }
    }
}

/// What a memory journal is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The level of a completed append. `Routed` is the truth, and the default. With `Synced`, each
    /// append is `Logged` first.
    pub best: AckLevel,
    /// Epoch of the topics' histories. A fresh journal has lost what an earlier one held, so each
    /// start of a broker needs a higher one. Default 1.
    pub epoch: u64,
    /// Bytes that stored and waiting runs may take together, with their overhead; the oldest stored
    /// run of all topics makes room. Default 256 MiB.
    pub capacity_bytes: usize,
    /// Topics. Each keeps a few hundred bytes for ever, so that no offset is given twice. Default
    /// 1,000,000.
    pub topics_max: usize,
    /// Requests that may wait. Default 65,536.
    pub pending_max: usize,
    /// Where chance comes from.
    pub seed: u64,
    /// Faults to play.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            best: AckLevel::Routed,
            epoch: 1,
            capacity_bytes: 256 << 20,
            topics_max: 1_000_000,
            pending_max: 65_536,
            seed: 0,
            faults: Faults::default(),
        }
    }
}

/// What a crash took from a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The topic.
    pub topic: Topic,
    /// Offsets that were given out and are gone; some may never have been acknowledged.
    pub hole: Hole,
}

/// The journal in memory. Retention per topic comes from the class table.
///
/// An age bound is enforced within a second. A run is dropped as a whole.
#[derive(Debug)]
pub struct Memory {
    config: Config,
    store: Store,
    chance: Chance,
    pending: Waiting,
    pending_bytes: usize,
    made: u64,
    fenced: bool,
    lost: Vec<Lost>,
}

#[derive(Debug)]
enum Pending {
    Open { ticket: Ticket, topic_id: u64 },
    Read { ticket: Ticket, topic_id: u64, from: Start, max_bytes: usize, max_count: u32 },
    Log(Write),
    Store(Write),
    Failed { ticket: Ticket, error: Error },
}

/// An append on its way: first to be logged, if the journal tells that, then to the best level.
#[derive(Debug)]
struct Write {
    ticket: Ticket,
    /// Its place in the order of submission.
    place: u64,
    /// The topic's log.
    index: usize,
    /// Whether `Logged` was told.
    is_logged: bool,
    /// The run, or how the append ends. A failure takes its turn like a success.
    outcome: Result<Arc<Run>, Error>,
}

/// What an append stores, and where.
struct Append {
    topic_id: u64,
    topic: Topic,
    epoch: u64,
    run: Arc<Run>,
}

/// Requests by when they are due, then by the order of their making.
type Waiting = BTreeMap<(Instant, u64), Pending>;

impl Memory {
    /// An empty journal.
    #[must_use]
    pub fn new(config: Config, classes: Arc<Table>) -> Self {
        Memory {
            store: Store::new(classes, config.topics_max),
            chance: Chance::new(config.seed),
            pending: Waiting::new(),
            pending_bytes: 0,
            made: 0,
            fenced: false,
            lost: Vec::new(),
            config,
        }
    }

    /// Bytes that stored and waiting runs are counted with; at most the capacity.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.bytes() + self.pending_bytes
    }

    /// Every topic that was ever opened or appended to, by name; also after a crash.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        self.store.topics().into_iter().map(|(topic, _)| topic).collect()
    }

    /// Plays other faults from the next request on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.config.faults = faults;
    }

    /// Plays a write error: all waiting appends fail, and requests are refused until
    /// [`Memory::recover`].
    pub fn fence(&mut self, now: Now) {
        self.fenced = true;
        let (writes, others) = self.take_writes();
        self.pending = others;
        for (_, Write { ticket, outcome, .. }) in writes {
            let error = outcome.err().unwrap_or(Error::Fenced);
            self.wait(now.mono, Pending::Failed { ticket, error });
        }
    }

    /// Plays a power cut. No request that is waiting is answered, and requests are refused until
    /// [`Memory::recover`].
    ///
    /// What was completed at the best level stays. Of the appends that were `Logged` and waited for
    /// their flush a random tail is gone, and so is every append that was not even logged. With
    /// `Routed` as the best level everything is gone, and the epoch rises. Topic ids are forgotten;
    /// offsets are not.
    pub fn crash(&mut self) {
        self.fenced = true;
        let (writes, _) = self.take_writes();
        match self.config.best {
            AckLevel::Routed => self.lose_everything(),
            _ => self.lose_tail(writes),
        }
        self.store.forget_ids();
    }

    /// Ends what [`Memory::fence`] or [`Memory::crash`] began, and tells what was lost, by topic.
    pub fn recover(&mut self) -> Vec<Lost> {
        self.fenced = false;
        std::mem::take(&mut self.lost)
    }

    fn lose_everything(&mut self) {
        self.config.epoch += 1;
        for (topic, index) in self.store.topics() {
            let hole = self.store.reset(index, self.config.epoch);
            self.lost.extend(hole.map(|hole| Lost { topic, hole }));
        }
    }

    fn lose_tail(&mut self, writes: Vec<(Instant, Write)>) {
        let logged: Vec<_> = match self.config.best {
            AckLevel::Logged => Vec::new(),
            _ => writes.into_iter().filter(|(_, write)| write.is_logged).collect(),
        };
        let surviving = self.chance.below(logged.len() as u64 + 1);
        for ((due, write), _) in logged.into_iter().zip(0..surviving) {
            if let Ok(run) = write.outcome {
                self.store.push(write.index, run, due);
            }
        }
        for (topic, index) in self.store.topics() {
            let hole = self.store.lose_tail(index);
            self.lost.extend(hole.map(|hole| Lost { topic, hole }));
        }
    }

    /// Takes all waiting requests: the appends in the order of submission with when they are due,
    /// and the rest.
    fn take_writes(&mut self) -> (Vec<(Instant, Write)>, Waiting) {
        self.pending_bytes = 0;
        let (mut writes, mut others) = (Vec::new(), Waiting::new());
        for (due, pending) in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Log(write) | Pending::Store(write) => writes.push((due.0, write)),
                other => {
                    others.insert(due, other);
                }
            }
        }
        writes.sort_by_key(|(_, write)| write.place);
        (writes, others)
    }

    fn append(&mut self, now: Now, ticket: Ticket, append: Append) -> Result<(), Refused> {
        let Append { topic_id, topic, epoch, run } = append;
        let (bytes, capacity) = (cost(&run), self.config.capacity_bytes);
        let fits = bytes <= capacity;
        if fits && self.pending_bytes.saturating_add(bytes) > capacity {
            return Err(self.full(now));
        }
        let Some(index) = self.store.open(topic_id, &topic) else {
            self.wait(now.mono, Pending::Failed { ticket, error: Error::TooManyTopics });
            return Ok(());
        };
        let unlucky = self.chance.below(1_000_000) < self.config.faults.fail_ppm.into();
        let outcome = match self.store.logs[index].give(epoch, &run) {
            Ok(()) if !fits => Err(Error::TooLarge),
            Ok(()) if unlucky => Err(Error::Storage),
            Ok(()) => Ok(run),
            Err(error) => Err(error),
        };
        if outcome.is_ok() {
            self.pending_bytes += bytes;
            self.store.make_room(self.pending_bytes, capacity);
        }
        self.made += 1;
        let write = Write { ticket, place: self.made, index, is_logged: false, outcome };
        self.wait_in_order(
            now.mono,
            index,
            match self.config.best {
                AckLevel::Routed | AckLevel::Logged => Pending::Store(write),
                AckLevel::Synced | AckLevel::Replicated => Pending::Log(write),
            },
        );
        Ok(())
    }

    /// Makes a request due after a delay.
    fn wait_delayed(&mut self, now: Now, pending: Pending) {
        let due = now.mono + self.chance.within(&self.config.faults.delay);
        self.wait(due, pending);
    }

    /// Makes an append due after a delay, but not before those of its topic that wait already.
    fn wait_in_order(&mut self, from: Instant, index: usize, pending: Pending) {
        let due = from + self.chance.within(&self.config.faults.delay);
        let log = &mut self.store.logs[index];
        let due = log.due.map_or(due, |before| due.max(before));
        log.due = Some(due);
        self.wait(due, pending);
    }

    fn wait(&mut self, due: Instant, pending: Pending) {
        self.made += 1;
        self.pending.insert((due, self.made), pending);
    }

    fn full(&self, now: Now) -> Refused {
        let next = self.pending.first_key_value().map(|((due, _), _)| *due);
        let wait = next.map_or(Duration::ZERO, |due| due.saturating_duration_since(now.mono));
        Refused::Full { retry_after: wait.max(Duration::from_millis(1)) }
    }

    /// Does the next step that is due by now, up to one that completes something.
    fn step(&mut self, now: Now) -> Option<Completion> {
        loop {
            let entry = self.pending.first_entry().filter(|entry| entry.key().0 <= now.mono)?;
            let ((due, _), pending) = entry.remove_entry();
            match pending {
                Pending::Failed { ticket, error } => {
                    return Some(Completion::Failed { ticket, error });
                }
                Pending::Open { ticket, topic_id } => return Some(self.opened(ticket, topic_id)),
                Pending::Read { ticket, topic_id, from, max_bytes, max_count } => {
                    let page = self.store.page(topic_id, from, max_bytes, max_count);
                    let Page { floor, next, from, runs } = page;
                    return Some(Completion::Page { ticket, floor, from, next, runs });
                }
                Pending::Log(write) => {
                    let (ticket, index, works) = (write.ticket, write.index, write.outcome.is_ok());
                    let write = Write { is_logged: works, ..write };
                    self.wait_in_order(due, index, Pending::Store(write));
                    if works {
                        return Some(Completion::Stored { ticket, level: AckLevel::Logged });
                    }
                }
                Pending::Store(Write { ticket, index, outcome, .. }) => {
                    let run = match outcome {
                        Ok(run) => run,
                        Err(error) => return Some(Completion::Failed { ticket, error }),
                    };
                    self.pending_bytes -= cost(&run);
                    self.store.push(index, run, now.mono);
                    return Some(Completion::Stored { ticket, level: self.config.best });
                }
            }
        }
    }

    fn opened(&mut self, ticket: Ticket, topic_id: u64) -> Completion {
        let Some(log) = self.store.log_mut(topic_id) else {
            return Completion::Failed { ticket, error: Error::TooManyTopics };
        };
        let epoch = *log.epoch.get_or_insert(self.config.epoch);
        let (floor, next, lost) = (log.floor(), log.given() + 1, log.holes());
        Completion::Opened { ticket, topic_id, epoch, floor, next, lost }
    }
}

impl Journal for Memory {
    fn best(&self) -> AckLevel {
        self.config.best
    }

    fn submit(&mut self, now: Now, request: Request) -> Result<(), Refused> {
        if self.fenced {
            return Err(Refused::Fenced);
        }
        if self.pending.len() >= self.config.pending_max {
            return Err(self.full(now));
        }
        match request {
            Request::Append { ticket, topic_id, topic, epoch, run } => {
                return self.append(now, ticket, Append { topic_id, topic, epoch, run });
            }
            Request::Open { ticket, topic_id, topic } => {
                // A topic too many is told by the completion.
                self.store.open(topic_id, &topic);
                self.wait_delayed(now, Pending::Open { ticket, topic_id });
            }
            Request::Read { ticket, topic_id, from, max_bytes, max_count } => {
                let read = Pending::Read { ticket, topic_id, from, max_bytes, max_count };
                self.wait_delayed(now, read);
            }
        }
        Ok(())
    }

    fn poll(&mut self, now: Now) -> Option<Completion> {
        loop {
            if let Some((topic_id, floor)) = self.store.moved() {
                return Some(Completion::Floor { topic_id, floor });
            }
            if let Some(completion) = self.step(now) {
                return Some(completion);
            }
            if !self.store.expire(now.mono) {
                return None;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let next = self.pending.first_key_value().map(|((due, _), _)| *due);
        next.into_iter().chain(self.store.deadline()).min()
    }
}

#[cfg(test)]
mod tests;
