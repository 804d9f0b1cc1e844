//! A live subscription.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use protocol::session::client::Joined;

use crate::queue::Queue;
use crate::{Client, Delivery, Error, Pattern, TopicPosition};

/// A subscription: a stream of deliveries that survives reconnects.
///
/// Messages of one topic come in rising offsets, each once; every jump is told by a gap first. The
/// stream ends when the client is closed or the broker takes the subscription away;
/// [`Subscription::error`] tells which. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    pub(crate) client: Client,
    pub(crate) number: u64,
    pub(crate) pattern: Pattern,
    pub(crate) queue: Arc<Queue<Delivery>>,
    pub(crate) joined: Option<Joined>,
}

impl Subscription {
    /// The next delivery; `None` when the subscription has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }

    /// Waits for at least one delivery, then appends all that are there to `out`. Answers how many;
    /// 0 when the subscription has ended. The cheapest way to read at speed. Cancel-safe.
    pub async fn next_many(&mut self, out: &mut Vec<Delivery>) -> usize {
        std::future::poll_fn(|cx| self.queue.poll_many(cx, out)).await
    }

    /// What was subscribed to.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The broker's clock at the first join, Unix milliseconds.
    #[must_use]
    pub fn joined_ms(&self) -> u64 {
        self.joined.as_ref().map_or(0, |joined| joined.joined_ms)
    }

    /// For a single topic, its position at the first join.
    #[must_use]
    pub fn joined_at(&self) -> Option<&TopicPosition> {
        self.joined.as_ref()?.position.as_ref()
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.queue.error()
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.queue.poll_next(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.abandon();
        self.client.end(self.number);
    }
}
