//! The thread that keeps the log in order: prepares segments, applies retention, finds what is to be
//! cleaned, and keeps the checkpoint up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Event;
use super::commit::{Order, now};
use super::desk::{Desk, FenceOnPanic, Told};
use super::queue::{Bound, Queue};
use crate::error::Error;
use crate::keeper::Keeper;
use crate::reader::Reader;
use crate::storage::Storage;
use crate::stored::Index;

/// Time between two rounds of work.
const ROUND: Duration = Duration::from_secs(1);

/// Asks for a round of work ahead of time.
#[derive(Clone, Debug)]
pub(super) struct Poke(SyncSender<()>);

impl Poke {
    pub(super) fn poke(&self) {
        // One that waits already is as good.
        let _ = self.0.try_send(());
    }
}

/// A way to ask for work, and where the asking arrives. The thread ends when all ways are gone.
pub(super) fn poke() -> (Poke, Receiver<()>) {
    let (poke, poked) = sync_channel(1);
    (Poke(poke), poked)
}

/// What the thread owns.
pub(super) struct Keep<S: Storage> {
    pub(super) keeper: Keeper<S>,
    pub(super) reader: Reader<S>,
    pub(super) index: Option<Index>,
    pub(super) orders: Arc<Queue<Order>>,
    pub(super) desk: Arc<Desk>,
    pub(super) poked: Receiver<()>,
    /// Whether the writer still has work of an earlier round.
    pub(super) cleaning: Arc<AtomicBool>,
}

impl<S: Storage> Keep<S> {
    /// Works until the writer has ended.
    pub(super) fn run(mut self) {
        let _guard = FenceOnPanic(self.desk.clone());
        let (mut failed, mut indexed) = (false, Instant::now());
        self.desk.set_indexed(self.index.is_some());
        loop {
            match self.poked.recv_timeout(ROUND) {
                Err(RecvTimeoutError::Disconnected) => break,
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
            }
            match self.work() {
                Err(error) if !failed => {
                    self.desk.report(Event::Unkept { why: error.to_string() });
                    failed = true;
                }
                done => failed = done.is_err(),
            }
            if indexed.elapsed() >= ROUND {
                self.index();
                indexed = Instant::now();
            }
        }
        self.index();
        if let Some(index) = self.index.take() {
            index.close();
        }
    }

    fn work(&self) -> Result<(), Error> {
        if self.desk.is_fenced() || self.cleaning.load(Ordering::Acquire) {
            return Ok(());
        }
        let work = match self.keeper.work(now()) {
            // The writer finds out for itself, and says so.
            Err(Error::Full) => return Ok(()),
            work => work?,
        };
        self.desk.tell(work.floors().map(|(topic, floor)| Told::Floor(topic.clone(), floor)));
        if !work.is_empty() {
            self.cleaning.store(true, Ordering::Release);
            let any = Bound { items: usize::MAX, weight: usize::MAX };
            // A queue that is closed needs it no more.
            let _ = self.orders.push(Order::Clean(work), 0, any);
        }
        Ok(())
    }

    /// Brings the checkpoint up to what is synced.
    fn index(&mut self) {
        let Some(index) = &mut self.index else { return };
        if let Err(fault) = index.apply(self.reader.checkpoint()) {
            self.index = None;
            self.desk.set_indexed(false);
            self.desk.report(Event::Unindexed { why: fault.to_string() });
        }
    }
}
