//! The journal contract on top of a log, with the threads that it needs.
//!
//! A shard hands requests over and goes on. One thread writes and syncs (`commit`), one reads
//! (`reads`), one prepares, retains and keeps the checkpoint up (`keep`); what they have to say
//! comes back through one list and a wake-up. None of them touches a shard, and no shard a disk.
//!
//! **Failure.** Any error of writing or syncing, and any panic, fences: all that waits fails,
//! nothing is taken from then on, and [`Event::Fenced`] tells the owner, who ends the process. No
//! space is no failure: appends are refused until there is some.

mod commit;
mod desk;
mod hand;
mod keep;
mod queue;
mod reads;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use sampan_core::hash::IdMap;
use sampan_core::journal::{self, Chunk, Completion, Journal, Refused, Request, Run};
use sampan_core::latency::Latency;
use sampan_protocol::{AckLevel, Now, Topic};

use self::commit::{Commit, Order};
use self::desk::{Desk, RETRY_AFTER, Told};
use self::keep::{Keep, poke};
use self::queue::{Bound, Queue};
use self::reads::{Ask, Reads};
use crate::api::{Stats, Write};
use crate::error::Error;
use crate::open::Log;
use crate::reader::{Reader, Wanted};
use crate::storage::Storage;
use crate::stored::Index;

/// Bytes that a waiting request costs beside what it carries.
const REQUEST_BYTES: usize = 256;

/// Bounds of a front.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes that may wait to be written. Puts and pins may take as much again. Default 32 MiB.
    pub queue_bytes: usize,
    /// Requests that may wait to be written, and as many reads. Default 65,536.
    pub queue_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { queue_bytes: 32 << 20, queue_max: 65_536 }
    }
}

/// How a front reaches its owner. Both are called from its threads and must not wait.
#[derive(Clone)]
pub struct Hooks {
    /// Makes the shard poll.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// Takes what an operator should know.
    pub report: Arc<dyn Fn(Event) + Send + Sync>,
}

/// What an operator should know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The storage has failed: nothing is stored until the process is started again.
    Fenced {
        /// What happened.
        why: String,
    },
    /// There is no space: appends are refused, acks are not.
    Full,
    /// There is space again.
    Room,
    /// Retention or cleaning could not do its work; it is tried again.
    Unkept {
        /// What happened.
        why: String,
    },
    /// The checkpoint was moved aside or given up; the next start gathers from the log.
    Unindexed {
        /// What was wrong with it.
        why: String,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Fenced { why } => write!(f, "the journal cannot go on: {why}"),
            Event::Full => f.write_str("there is no space for messages; they are refused"),
            Event::Room => f.write_str("there is space for messages again"),
            Event::Unkept { why } => write!(f, "the journal was not cleaned: {why}"),
            Event::Unindexed { why } => write!(f, "the index of the journal is rebuilt: {why}"),
        }
    }
}

/// What a journal has done since its start, and how it stands.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// The log's own counts.
    pub log: Stats,
    /// Messages synced.
    pub messages: u64,
    /// Time from the start of a write to the end of its sync.
    pub commit_latency: Latency,
    /// Bytes that wait to be written.
    pub queue_bytes: u64,
    /// Requests that were not taken.
    pub refused: u64,
    /// Whether nothing is stored any more.
    pub fenced: bool,
    /// Whether messages are refused for lack of space.
    pub full: bool,
    /// Whether the checkpoint is kept up.
    pub indexed: bool,
}

/// Tells how a journal stands, from any thread.
pub struct Monitor<S: Storage> {
    reader: Reader<S>,
    desk: Arc<Desk>,
    orders: Arc<Queue<Order>>,
}

impl<S: Storage> Monitor<S> {
    /// How it stands.
    #[must_use]
    pub fn report(&self) -> Report {
        let commits = self.desk.commits();
        Report {
            log: self.reader.stats(),
            messages: commits.messages,
            commit_latency: commits.latency,
            queue_bytes: self.orders.weight() as u64,
            refused: self.desk.refused(),
            fenced: self.desk.is_fenced(),
            full: self.desk.is_full(),
            indexed: self.desk.is_indexed(),
        }
    }
}

impl<S: Storage> fmt::Debug for Monitor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").field("report", &self.report()).finish()
    }
}

/// A journal on a disk. Dropping it stores what waits, and closes the log cleanly.
pub struct Front<S: Storage> {
    settings: Settings,
    desk: Arc<Desk>,
    orders: Arc<Queue<Order>>,
    asks: Arc<Queue<Ask>>,
    reader: Reader<S>,
    /// The names of the ids that requests use, and the other way round.
    names: IdMap<Topic>,
    ids: HashMap<Topic, u64>,
    /// Taken from the desk and not yet polled.
    told: VecDeque<Told>,
    taken: Vec<Told>,
    /// When appends are tried again after there was no space.
    tried: Option<Instant>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Storage> Front<S> {
    /// Starts the threads of an open log.
    ///
    /// # Errors
    /// If the system gives no threads; those that were started end, and the log is closed.
    pub fn start(
        log: Log<S>,
        index: Option<Index>,
        settings: Settings,
        hooks: Hooks,
    ) -> io::Result<Self> {
        let Log { writer, reader, keeper, .. } = log;
        let (poke, poked) = poke();
        let cleaning = Arc::new(AtomicBool::new(false));
        let poke_bytes = writer.shared.options.segment_bytes / 4;
        let mut front = Front {
            settings,
            desk: Desk::new(hooks),
            orders: Arc::new(Queue::new()),
            asks: Arc::new(Queue::new()),
            reader: reader.clone(),
            names: IdMap::default(),
            ids: HashMap::new(),
            told: VecDeque::new(),
            taken: Vec::new(),
            tried: None,
            threads: Vec::new(),
        };
        let (orders, asks, desk) = (front.orders.clone(), front.asks.clone(), front.desk.clone());
        let keep = Keep {
            keeper,
            reader: reader.clone(),
            index,
            orders: orders.clone(),
            desk: desk.clone(),
            poked,
            cleaning: cleaning.clone(),
        };
        front.spawn("journal-keep", move || keep.run())?;
        let reads = Reads { reader, asks: asks.clone(), desk: desk.clone() };
        front.spawn("journal-read", move || reads.run())?;
        let commit = Commit { writer, orders, asks, desk, poke, cleaning, poke_bytes, written: 0 };
        front.spawn("journal-write", move || commit.run())?;
        Ok(front)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.threads.push(thread);
        Ok(())
    }

    /// What tells how it stands, from any thread.
    #[must_use]
    pub fn monitor(&self) -> Monitor<S> {
        let (reader, desk, orders) = (self.reader.clone(), self.desk.clone(), self.orders.clone());
        Monitor { reader, desk, orders }
    }

    fn name(&mut self, topic_id: u64, topic: &Topic) {
        self.names.entry(topic_id).or_insert_with(|| {
            self.ids.insert(topic.clone(), topic_id);
            topic.clone()
        });
    }

    fn order(&self, order: Order, weight: usize, parts: usize) -> Result<(), Refused> {
        let Settings { queue_bytes, queue_max } = self.settings;
        let bound = Bound { items: queue_max * parts, weight: queue_bytes * parts };
        self.orders.push(order, weight + REQUEST_BYTES, bound).map_err(|_| self.refuse())
    }

    fn ask(&self, ask: Ask) -> Result<(), Refused> {
        let bound = Bound { items: self.settings.queue_max, weight: usize::MAX };
        self.asks.push(ask, 0, bound).map_err(|_| self.refuse())
    }

    fn refuse(&self) -> Refused {
        self.desk.count_refused();
        if self.desk.is_fenced() {
            Refused::Fenced
        } else {
            Refused::Full { retry_after: RETRY_AFTER }
        }
    }

    /// Whether there is space for messages, as far as known. While there is none, one append is let
    /// through now and then, to find out.
    fn has_space(&mut self, now: Now) -> bool {
        if !self.desk.is_full() {
            self.tried = None;
            return true;
        }
        let is_due = self.tried.is_none_or(|tried| now.mono >= tried + RETRY_AFTER);
        if is_due {
            self.tried = Some(now.mono);
        }
        is_due
    }

    /// The completion that something comes to; none for a topic that has no id in this process.
    fn completion(&self, told: Told) -> Option<Completion> {
        match told {
            Told::Done(completion) => Some(completion),
            Told::Floor(topic, floor) => {
                let topic_id = *self.ids.get(&topic)?;
                Some(Completion::Floor { topic_id, floor })
            }
        }
    }
}

impl<S: Storage> Journal for Front<S> {
    fn best(&self) -> AckLevel {
        AckLevel::Synced
    }

    fn submit(&mut self, now: Now, request: Request) -> Result<(), Refused> {
        if self.desk.is_fenced() {
            return Err(self.refuse());
        }
        match request {
            Request::Open { ticket, topic_id, topic } => {
                self.name(topic_id, &topic);
                self.order(Order::Open { ticket, topic_id, topic }, 0, 1)
            }
            Request::Append { ticket, topic_id, topic, epoch, run, early, replaces } => {
                if !self.has_space(now) {
                    return Err(self.refuse());
                }
                self.name(topic_id, &topic);
                let weight = run_weight(&run);
                let write = Write::Append { topic, epoch, run, early, replaces };
                self.order(Order::Store { ticket, write }, weight, 1)
            }
            Request::Put { ticket, values } => {
                let size = |value: &Option<_>| value.as_ref().map_or(0, bytes::Bytes::len);
                let weight = values.iter().map(|(key, value)| key.len() + size(value)).sum();
                self.order(Order::Store { ticket, write: Write::Put(values) }, weight, 2)
            }
            Request::Pin { topic_id, name, offset } => {
                let Some(topic) = self.names.get(&topic_id).cloned() else { return Ok(()) };
                let weight = name.len();
                self.order(Order::Note(Write::Pin { topic, name, offset }), weight, 2)
            }
            Request::Read { ticket, topic_id, from, max_bytes, max_count } => {
                let Some(topic) = self.names.get(&topic_id).cloned() else {
                    let (floor, from, next) = (1, 1, 1);
                    let (runs, damaged) = (Vec::new(), Vec::new());
                    let page = Completion::Page { ticket, floor, from, next, runs, damaged };
                    self.told.push_back(Told::Done(page));
                    return Ok(());
                };
                let wanted = Wanted { start: from, max_bytes, max_count };
                self.ask(Ask::Read { ticket, topic_id, topic, wanted })
            }
            Request::Load { ticket, prefix, after, max_bytes } => {
                self.ask(Ask::Load { ticket, prefix, after, max_bytes })
            }
        }
    }

    fn poll(&mut self, _: Now) -> Option<Completion> {
        loop {
            if let Some(told) = self.told.pop_front() {
                match self.completion(told) {
                    None => continue,
                    completion => return completion,
                }
            }
            self.desk.take(&mut self.taken);
            if self.taken.is_empty() {
                return None;
            }
            self.told.extend(self.taken.drain(..));
        }
    }

    /// The threads wake the shard when there is something.
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl<S: Storage> Drop for Front<S> {
    fn drop(&mut self) {
        self.asks.close();
        self.orders.close();
        for thread in self.threads.drain(..) {
            // One that has panicked has fenced.
            let _ = thread.join();
        }
    }
}

impl<S: Storage> fmt::Debug for Front<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").field("topics", &self.names.len()).finish_non_exhaustive()
    }
}

/// What the owner of a journal is told.
impl From<Error> for journal::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Storage(_) => journal::Error::Storage,
            Error::Full => journal::Error::Full,
            Error::Fenced => journal::Error::Fenced,
            Error::WrongEpoch => journal::Error::WrongEpoch,
            Error::OffsetReused => journal::Error::OffsetReused,
            Error::TooLarge => journal::Error::TooLarge,
            Error::TooManyTopics => journal::Error::TooManyTopics,
            Error::Damaged => journal::Error::Damaged,
        }
    }
}

/// Memory that a run holds while it waits.
fn run_weight(run: &Run) -> usize {
    run.bytes + run.chunks.len() * size_of::<Chunk>()
}
