//! A queue between the session's tasks and one reader of the application.
//!
//! Pushing never waits, so that what one task hands over under the session's lock keeps its order.
//! A task that has filled the queue past its bound waits for room before it reads on; the queue
//! exceeds its bound by what that task had already read, at most.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;

use crate::Error;

#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    max: usize,
    room: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    reader: Option<Waker>,
    /// Nothing more comes in.
    ended: bool,
    error: Option<Error>,
    /// The reader is gone; pushes are dropped.
    unread: bool,
    full: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(max: usize) -> Self {
        let state = State {
            items: VecDeque::new(),
            reader: None,
            ended: false,
            error: None,
            unread: false,
            full: false,
        };
        Queue { state: Mutex::new(state), max: max.max(1), room: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends all items; whether the queue is within its bound after that.
    pub(crate) fn append(&self, items: &mut VecDeque<T>) -> bool {
        let mut state = self.state();
        if state.unread || state.ended {
            items.clear();
            return true;
        }
        state.items.append(items);
        state.full = state.items.len() >= self.max;
        let within = !state.full;
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        within
    }

    /// Appends one item, if the queue is below its bound; gives it back otherwise.
    pub(crate) fn try_push(&self, item: T) -> Result<(), T> {
        let mut state = self.state();
        if state.unread || state.ended || state.items.len() >= self.max {
            return Err(item);
        }
        state.items.push_back(item);
        let reader = state.reader.take();
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        Ok(())
    }

    /// Appends one item; the oldest makes room for it where the queue is full.
    pub(crate) fn push_newest(&self, item: T) {
        let mut state = self.state();
        if state.unread || state.ended {
            return;
        }
        if state.items.len() >= self.max {
            state.items.pop_front();
        }
        state.items.push_back(item);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Drops what waits, if the queue is full, and appends one item that stands for all of it.
    pub(crate) fn replace(&self, item: T) {
        let mut state = self.state();
        state.items.clear();
        state.items.push_back(item);
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Takes what waits.
    pub(crate) fn take(&self) -> VecDeque<T> {
        std::mem::take(&mut self.state().items)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.state().items.len() >= self.max
    }

    /// Waits until the queue is half empty or its reader is gone.
    pub(crate) async fn room(&self) {
        loop {
            let mut notified = std::pin::pin!(self.room.notified());
            notified.as_mut().enable();
            if !self.state().full {
                return;
            }
            notified.await;
        }
    }

    /// Ends the queue: what is in it can still be read.
    pub(crate) fn end(&self, error: Option<Error>) {
        let mut state = self.state();
        if !state.ended {
            state.ended = true;
            state.error = error;
        }
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// The reader is gone: what is in the queue is dropped, and so is all that follows.
    pub(crate) fn abandon(&self) {
        let items = {
            let mut state = self.state();
            state.unread = true;
            state.full = false;
            std::mem::take(&mut state.items)
        };
        self.room.notify_waiters();
        drop(items);
    }

    /// Why the queue has ended.
    pub(crate) fn error(&self) -> Option<Error> {
        self.state().error.clone()
    }

    pub(crate) fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_with(cx, |items| items.pop_front())
    }

    /// Appends everything that is there to `out`; answers how many, 0 at the end.
    pub(crate) fn poll_many(&self, cx: &mut Context<'_>, out: &mut Vec<T>) -> Poll<usize> {
        self.poll_with(cx, |items| {
            let count = items.len();
            out.extend(items.drain(..));
            Some(count)
        })
        .map(|count| count.unwrap_or(0))
    }

    fn poll_with<R>(
        &self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&mut VecDeque<T>) -> Option<R>,
    ) -> Poll<Option<R>> {
        let mut state = self.state();
        if state.items.is_empty() {
            if state.ended {
                return Poll::Ready(None);
            }
            match &mut state.reader {
                Some(reader) => reader.clone_from(cx.waker()),
                reader => *reader = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        let taken = take(&mut state.items);
        if state.full && state.items.len() <= self.max / 2 {
            state.full = false;
            drop(state);
            self.room.notify_waiters();
        }
        Poll::Ready(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn next<T>(queue: &Queue<T>) -> Option<T> {
        std::future::poll_fn(|cx| queue.poll_next(cx)).await
    }

    #[tokio::test]
    async fn a_full_queue_holds_its_writer_until_it_is_half_empty() {
        let queue = Arc::new(Queue::new(4));
        assert!(queue.append(&mut VecDeque::from([1])));
        assert!(!queue.append(&mut VecDeque::from([2, 3, 4, 5])));
        let writer = tokio::spawn({
            let queue = queue.clone();
            async move { queue.room().await }
        });
        tokio::task::yield_now().await;
        for expected in 1..=2 {
            assert_eq!(next(&queue).await, Some(expected));
            tokio::task::yield_now().await;
            assert!(!writer.is_finished());
        }
        assert_eq!(next(&queue).await, Some(3));
        writer.await.expect("room");
    }

    #[tokio::test]
    async fn an_ended_queue_is_read_to_its_end() {
        let queue = Queue::new(4);
        queue.append(&mut VecDeque::from([1, 2]));
        queue.end(None);
        assert_eq!(
            (next(&queue).await, next(&queue).await, next(&queue).await),
            (Some(1), Some(2), None)
        );
    }

    #[tokio::test]
    async fn an_abandoned_queue_lets_its_writer_go() {
        let queue = Queue::new(1);
        queue.append(&mut VecDeque::from([1, 2]));
        queue.abandon();
        queue.room().await;
        assert!(queue.append(&mut VecDeque::from([3])));
    }
}
