//! The thread that writes: whatever waits becomes one block and one sync.
//!
//! While a sync runs, the next block gathers in the queue. There is no timer, and no wait when
//! nothing runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sampan_core::journal::{self, Completion, Ticket};
use sampan_protocol::{AckLevel, Now, Topic};

use super::desk::{Desk, Told};
use super::hand::{Asked, Hand, failed};
use super::keep::Poke;
use super::queue::{Bound, Queue};
use super::reads::Ask;
use crate::api::{Write, Written};
use crate::error::Error;
use crate::keeper::Work;
use crate::storage::Storage;
use crate::writer::Writer;

/// What one block takes.
const BLOCK: Bound = Bound { items: 4096, weight: 1 << 20 };

/// What the writing thread is asked.
#[derive(Debug)]
pub(super) enum Order {
    /// To store something that is answered.
    Store { ticket: Ticket, write: Write },
    /// To store something that is not.
    Note(Write),
    /// To write what a keeper has found.
    Clean(Work),
    /// To tell where a topic stands once all before it is stored.
    Open { ticket: Ticket, topic_id: u64, topic: Topic },
}

impl Asked for Order {
    fn ticket(&self) -> Option<Ticket> {
        match self {
            Order::Store { ticket, .. } | Order::Open { ticket, .. } => Some(*ticket),
            Order::Note(_) | Order::Clean(_) => None,
        }
    }
}

/// What the thread owns.
pub(super) struct Commit<S: Storage> {
    pub(super) writer: Writer<S>,
    pub(super) orders: Arc<Queue<Order>>,
    pub(super) asks: Arc<Queue<Ask>>,
    pub(super) desk: Arc<Desk>,
    /// Asks the keeper to prepare the next segment in time.
    pub(super) poke: Poke,
    /// Whether the keeper's last work waits to be written.
    pub(super) cleaning: Arc<AtomicBool>,
    /// Bytes after which the keeper is asked.
    pub(super) poke_bytes: u64,
    /// Bytes written since.
    pub(super) written: u64,
}

/// An order on its way through a commit.
struct Item {
    ticket: Option<Ticket>,
    /// Whether its offsets are shown before they are synced.
    early: bool,
    messages: u64,
    bytes: u64,
    outcome: Result<Written, Error>,
}

impl<S: Storage> Commit<S> {
    /// Stores what comes until the queue is closed, or the storage fails.
    pub(super) fn run(mut self) {
        let mut hand = Hand::new(self.orders.clone(), self.desk.clone());
        let mut orders = Vec::new();
        while self.orders.take(BLOCK, &mut orders) {
            if let Err(error) = self.commit(orders.drain(..), &mut hand.tickets) {
                return self.desk.fence(error.to_string());
            }
        }
        if let Err(error) = self.writer.close(now()) {
            self.desk.fence(error.to_string());
        }
    }

    /// Writes and syncs; an error means that nothing more can be stored. What is not answered stays
    /// in `hand`.
    fn commit(
        &mut self,
        orders: impl Iterator<Item = Order>,
        hand: &mut Vec<Ticket>,
    ) -> Result<(), Error> {
        let (mut writes, mut items) = (Vec::new(), Vec::new());
        let (mut opens, mut work) = (Vec::new(), None);
        for order in orders {
            match order {
                Order::Store { ticket, write } => {
                    items.push(Item::new(Some(ticket), &write));
                    writes.push(write);
                }
                Order::Note(write) => {
                    items.push(Item::new(None, &write));
                    writes.push(write);
                }
                Order::Clean(found) => work = Some(found),
                Order::Open { ticket, topic_id, topic } => {
                    opens.push(Ask::Open { ticket, topic_id, topic });
                }
            }
        }
        hand.extend(items.iter().filter_map(|item| item.ticket));
        let answered = hand.len();
        hand.extend(opens.iter().map(Ask::ticket));
        if !writes.is_empty() {
            let stored = self.store(&writes, &mut items);
            hand.drain(..answered);
            stored?;
        }
        hand.clear();
        for ask in opens {
            let any = Bound { items: usize::MAX, weight: usize::MAX };
            if let Err(ask) = self.asks.push(ask, 0, any) {
                self.desk.tell([failed(ask.ticket(), journal::Error::Storage)]);
            }
        }
        if let Some(work) = work {
            let cleaned = self.writer.clean(now(), work);
            self.cleaning.store(false, Ordering::Release);
            match cleaned {
                // There may be more.
                Ok(()) => self.poke.poke(),
                // The keeper finds it again with its next round, when there may be space.
                Err(Error::Full) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn store(&mut self, writes: &[Write], items: &mut [Item]) -> Result<(), Error> {
        let since = Instant::now();
        let outcomes = self.writer.write(now(), writes);
        let fatal = outcomes.iter().find_map(|outcome| outcome.as_ref().err().filter(is_fatal));
        let fatal = fatal.copied();
        for (item, outcome) in items.iter_mut().zip(outcomes) {
            item.outcome = outcome;
        }
        let done = match fatal {
            Some(error) => Err(error),
            None => {
                self.desk.tell(items.iter().flat_map(Item::written));
                self.writer.sync()
            }
        };
        if let Err(error) = done {
            // Whoever is told of the failure finds nothing taken any more.
            self.desk.fence(error.to_string());
        } else {
            let stored = items.iter().filter(|item| item.outcome.is_ok());
            self.desk.count_commit(stored.map(|item| item.messages).sum(), since);
            let appends = || items.iter().filter(|item| item.messages > 0);
            if appends().any(|item| item.outcome == Err(Error::Full)) {
                self.desk.set_full(true);
            } else if appends().any(|item| item.outcome.is_ok()) {
                self.desk.set_full(false);
            }
            self.written += items.iter().map(|item| item.bytes).sum::<u64>();
            if self.written >= self.poke_bytes {
                self.written = 0;
                self.poke.poke();
            }
        }
        self.desk.tell(items.iter().flat_map(|item| item.synced(done)));
        done
    }
}

impl Item {
    fn new(ticket: Option<Ticket>, write: &Write) -> Self {
        let (early, messages, bytes) = match write {
            Write::Append { early, run, .. } => (*early, run.count(), run.bytes as u64),
            Write::Put(values) => {
                let bytes = values.iter().filter_map(|(_, value)| value.as_ref());
                (false, 0, bytes.map(|value| value.len() as u64).sum())
            }
            Write::Pin { .. } => (false, 0, 0),
        };
        Item { ticket, early, messages, bytes, outcome: Err(Error::Fenced) }
    }

    /// What is told between write and sync. Nobody waits for it unless offsets are shown early.
    fn written(&self) -> impl Iterator<Item = Told> {
        let tells = self.tells_early();
        let levels: &[AckLevel] = if tells { &[AckLevel::Routed, AckLevel::Logged] } else { &[] };
        levels.iter().filter_map(|level| Some(stored(self.ticket?, *level)))
    }

    /// What is told after the sync.
    fn synced(&self, done: Result<(), Error>) -> impl Iterator<Item = Told> {
        let levels: &[AckLevel] = match (done, self.outcome) {
            (Err(_), _) | (_, Err(_)) => &[],
            _ if self.tells_early() => &[AckLevel::Synced],
            _ if self.early => &[AckLevel::Routed, AckLevel::Logged, AckLevel::Synced],
            _ => &[AckLevel::Logged, AckLevel::Synced],
        };
        let error = self.outcome.and(done.map(|()| Written { shown: false })).err();
        let levels = levels.iter().filter_map(|level| Some(stored(self.ticket?, *level)));
        levels.chain(error.and_then(|error| Some(failed(self.ticket?, error.into()))))
    }

    fn tells_early(&self) -> bool {
        self.early && self.outcome.is_ok_and(|written| written.shown)
    }
}

/// Whether nothing can be stored after this error.
fn is_fatal(error: &&Error) -> bool {
    matches!(error, Error::Storage(_) | Error::Fenced)
}

fn stored(ticket: Ticket, level: AckLevel) -> Told {
    Told::Done(Completion::Stored { ticket, level })
}

/// Both clocks.
pub(super) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
    Now { mono: Instant::now(), unix_ms }
}
