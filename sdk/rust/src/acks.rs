//! Who waits for which ack: a ring indexed by publish sequence, so that a run of acks costs no
//! lookup.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use protocol::session::client::Run;
use tokio::sync::oneshot;

use crate::{Ack, Error, Settled};

/// Who is told about one publish.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// Nobody: settled, or no ack was wanted.
    None,
    /// One future.
    One(oneshot::Sender<Result<Ack, Error>>),
    /// A publisher in bulk, under this ordinal.
    Bulk(Arc<Bulk>, u64),
}

impl Waiter {
    fn settle(self, result: Result<Ack, Error>) {
        match self {
            Waiter::None => {}
            Waiter::One(sender) => {
                let _ = sender.send(result);
            }
            Waiter::Bulk(bulk, ordinal) => bulk.settle(ordinal, result),
        }
    }
}

/// The waiters of all publishes that are not settled.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Sequence of the ring's front.
    first: u64,
    ring: VecDeque<Waiter>,
}

impl Waiters {
    /// Adds the waiter of a publish; sequences rise.
    pub(crate) fn push(&mut self, sequence: u64, waiter: Waiter) {
        if self.ring.is_empty() {
            self.first = sequence;
        }
        while self.first + (self.ring.len() as u64) < sequence {
            self.ring.push_back(Waiter::None);
        }
        self.ring.push_back(waiter);
    }

    /// The sequence after the last one that waits.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.ring.len() as u64
    }

    /// Whether every publish below this sequence is settled.
    pub(crate) fn settled_below(&self, sequence: u64) -> bool {
        self.ring.is_empty() || self.first >= sequence
    }

    pub(crate) fn acked(&mut self, run: &Run) {
        for n in 0..run.count {
            let waiter = self.take(run.first + n);
            waiter.settle(Ok(Ack {
                epoch: run.epoch,
                offset: run.offset + n,
                duplicate: run.duplicate,
                stale: run.stale,
                level: run.level,
            }));
        }
        self.advance();
    }

    pub(crate) fn refused(&mut self, sequence: u64, error: Error) {
        self.take(sequence).settle(Err(error));
        self.advance();
    }

    /// Fails everything; the client is closed.
    pub(crate) fn close(&mut self, error: &Error, may_have_happened: bool) {
        let mut error = error.clone();
        if let Error::Closed { may_have_happened: may, .. } = &mut error {
            *may = may_have_happened;
        }
        for waiter in self.ring.drain(..) {
            waiter.settle(Err(error.clone()));
        }
    }

    fn take(&mut self, sequence: u64) -> Waiter {
        let at = sequence.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let place = at.and_then(|at| self.ring.get_mut(at));
        place.map_or(Waiter::None, |place| std::mem::replace(place, Waiter::None))
    }

    fn advance(&mut self) {
        while let Some(Waiter::None) = self.ring.front() {
            self.ring.pop_front();
            self.first += 1;
        }
    }
}

/// What a bulk publisher and its acks have in common.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    pub(crate) queued: AtomicU64,
    pub(crate) acked: AtomicU64,
    pub(crate) refused: AtomicU64,
    state: Mutex<Outcomes>,
}

#[derive(Debug, Default)]
struct Outcomes {
    items: VecDeque<Settled>,
    reader: Option<Waker>,
    unread: bool,
    /// Every handle of the publisher is gone.
    finished: bool,
}

impl Bulk {
    fn state(&self) -> MutexGuard<'_, Outcomes> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, ordinal: u64, result: Result<Ack, Error>) {
        let counter = if result.is_ok() { &self.acked } else { &self.refused };
        let mut state = self.state();
        counter.fetch_add(1, Ordering::Release);
        if state.unread {
            return;
        }
        state.items.push_back(Settled { ordinal, result });
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Messages that were queued and are not settled.
    pub(crate) fn open(&self) -> u64 {
        let settled = self.acked.load(Ordering::Acquire) + self.refused.load(Ordering::Acquire);
        self.queued.load(Ordering::Acquire).saturating_sub(settled)
    }

    /// Outcomes that wait for their reader.
    pub(crate) fn unread(&self) -> usize {
        self.state().items.len()
    }

    pub(crate) fn finish(&self) {
        let mut state = self.state();
        state.finished = true;
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.unread = true;
        state.items.clear();
    }

    pub(crate) fn poll_many(&self, cx: &mut Context<'_>, out: &mut Vec<Settled>) -> Poll<usize> {
        self.poll_with(cx, |items| {
            let count = items.len();
            out.extend(items.drain(..));
            Some(count)
        })
        .map(|count| count.unwrap_or(0))
    }

    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<Settled>> {
        self.poll_with(cx, VecDeque::pop_front)
    }

    fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut VecDeque<Settled>) -> Option<R>,
    ) -> Poll<Option<R>> {
        let mut state = self.state();
        if !state.items.is_empty() {
            return Poll::Ready(take(&mut state.items));
        }
        if state.finished && self.open() == 0 {
            return Poll::Ready(None);
        }
        state.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}
