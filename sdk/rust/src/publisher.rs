//! Publishing in bulk and acks that come later.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::{Ack, Error, Message};

/// The ack of a queued publish. Dropping it is fine; the message is sent all the same.
#[derive(Debug)]
pub struct PendingAck(());

impl Future for PendingAck {
    type Output = Result<Ack, Error>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        unreachable!()
    }
}

/// The sending side of [`crate::Client::publisher`]. Cloning gives another handle of the same.
#[derive(Clone, Debug)]
pub struct Publisher(());

impl Publisher {
    /// Queues a message, waiting for room among the unacknowledged ones (and among the outcomes
    /// that [`Acks`], unless dropped, has not yet taken). Answers its ordinal, from 1.
    ///
    /// # Errors
    /// `TooLarge`, `Invalid`, `Closed`.
    pub async fn publish(&self, message: Message) -> Result<u64, Error> {
        let _ = message;
        unreachable!()
    }

    /// As [`Publisher::publish`], without waiting.
    ///
    /// # Errors
    /// `Full` too.
    pub fn try_publish(&self, message: Message) -> Result<u64, Error> {
        let _ = message;
        unreachable!()
    }

    /// How many messages were queued, and how many of them acked and refused so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        unreachable!()
    }

    /// Waits until everything queued so far has been acked or refused.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn flush(&self) -> Result<(), Error> {
        unreachable!()
    }
}

/// What became of one message of a [`Publisher`].
#[derive(Clone, Debug)]
pub struct Settled {
    /// The message's ordinal.
    pub ordinal: u64,
    /// Its ack, or why there is none.
    pub result: Result<Ack, Error>,
}

/// The outcomes of a [`Publisher`]'s messages, in the order in which they become known. Ends when
/// every handle of the publisher is dropped and all is settled, or when the client is closed.
/// Dropping it is fine; the counts go on.
#[derive(Debug)]
pub struct Acks(());

impl Acks {
    /// The next outcome. Cancel-safe.
    pub async fn next(&mut self) -> Option<Settled> {
        unreachable!()
    }

    /// Waits for at least one outcome, then appends all that are there to `out`; answers how many,
    /// 0 at the end. Cancel-safe.
    pub async fn next_many(&mut self, out: &mut Vec<Settled>) -> usize {
        let _ = out;
        unreachable!()
    }
}

impl Stream for Acks {
    type Item = Settled;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Settled>> {
        unreachable!()
    }
}
