//! Publishing in bulk and acks that come later.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::oneshot;

use crate::acks::{Bulk, Waiter};
use crate::{Ack, Client, Error, Message};

/// The ack of a queued publish. Dropping it is fine; the message is sent all the same.
#[derive(Debug)]
pub struct PendingAck(pub(crate) oneshot::Receiver<Result<Ack, Error>>);

impl Future for PendingAck {
    type Output = Result<Ack, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.unwrap_or_else(|_| Err(gone())))
    }
}

/// The error of a call whose client was torn down under it.
pub(crate) fn gone() -> Error {
    Error::Closed {
        code: protocol::Code::CLOSED,
        reason: "the client was dropped".to_owned(),
        may_have_happened: true,
    }
}

/// The sending side of [`Client::publisher`]. Cloning gives another handle of the same.
#[derive(Clone, Debug)]
pub struct Publisher {
    client: Client,
    handle: Arc<Handle>,
    outcomes_max: usize,
}

/// Tells the acks when the last handle is gone.
#[derive(Debug)]
struct Handle(Arc<Bulk>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Publisher {
    pub(crate) fn new(client: Client, outcomes_max: usize) -> (Self, Acks) {
        let bulk = Arc::new(Bulk::default());
        let acks = Acks { bulk: bulk.clone(), client: client.clone() };
        (Publisher { client, handle: Arc::new(Handle(bulk)), outcomes_max }, acks)
    }

    /// Queues a message, waiting for room among the unacknowledged ones (and among the outcomes
    /// that [`Acks`], unless dropped, has not yet taken). Answers its ordinal, from 1.
    ///
    /// # Errors
    /// `TooLarge`, `Invalid`, `Closed`.
    pub async fn publish(&self, message: Message) -> Result<u64, Error> {
        let message = message.checked()?;
        self.client.when_room(|| self.queue(message.clone())).await
    }

    /// As [`Publisher::publish`], without waiting.
    ///
    /// # Errors
    /// `Full` too.
    pub fn try_publish(&self, message: Message) -> Result<u64, Error> {
        self.queue(message.checked()?)
    }

    fn queue(&self, message: protocol::session::client::Publish) -> Result<u64, Error> {
        let bulk = &self.handle.0;
        if bulk.unread() >= self.outcomes_max {
            return Err(Error::Full);
        }
        let mut ordinal = 0;
        self.client.enqueue(message, || {
            ordinal = bulk.queued.fetch_add(1, Ordering::AcqRel) + 1;
            Waiter::Bulk(bulk.clone(), ordinal)
        })?;
        Ok(ordinal)
    }

    /// How many messages were queued, and how many of them acked and refused so far.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let bulk = &self.handle.0;
        let (acked, refused) =
            (bulk.acked.load(Ordering::Acquire), bulk.refused.load(Ordering::Acquire));
        (bulk.queued.load(Ordering::Acquire), acked, refused)
    }

    /// Waits until everything queued so far has been acked or refused.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn flush(&self) -> Result<(), Error> {
        self.client.flush().await
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
/// every handle of the publisher is dropped and all is settled. Dropping it is fine; the counts go
/// on.
#[derive(Debug)]
pub struct Acks {
    bulk: Arc<Bulk>,
    client: Client,
}

impl Acks {
    /// The next outcome. Cancel-safe.
    pub async fn next(&mut self) -> Option<Settled> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits for at least one outcome, then appends all that are there to `out`; answers how many,
    /// 0 at the end. Cancel-safe.
    pub async fn next_many(&mut self, out: &mut Vec<Settled>) -> usize {
        let count = std::future::poll_fn(|cx| self.bulk.poll_many(cx, out)).await;
        self.client.made_room();
        count
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Settled>> {
        let settled = self.bulk.poll_next(cx);
        if settled.is_ready() {
            self.client.made_room();
        }
        settled
    }
}

impl Drop for Acks {
    fn drop(&mut self) {
        self.bulk.abandon();
        self.client.made_room();
    }
}

impl Stream for Acks {
    type Item = Settled;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Settled>> {
        self.poll(cx)
    }
}
