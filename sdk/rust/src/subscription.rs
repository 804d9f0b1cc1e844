//! A live subscription.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::{Delivery, Error, Pattern, TopicPosition};

/// A subscription: a stream of deliveries that survives reconnects.
///
/// Messages of one topic come in rising offsets, each once; every jump is told by a gap first. The
/// stream ends when the client is closed or the broker takes the subscription away;
/// [`Subscription::error`] tells which. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription(());

impl Subscription {
    /// The next delivery; `None` when the subscription has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Delivery> {
        unreachable!()
    }

    /// Waits for at least one delivery, then appends all that are there to `out`. Answers how many;
    /// 0 when the subscription has ended. The cheapest way to read at speed. Cancel-safe.
    pub async fn next_many(&mut self, out: &mut Vec<Delivery>) -> usize {
        let _ = out;
        unreachable!()
    }

    /// What was subscribed to.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        unreachable!()
    }

    /// The broker's clock at the first join, Unix milliseconds.
    #[must_use]
    pub fn joined_ms(&self) -> u64 {
        unreachable!()
    }

    /// For a single topic, its position at the first join.
    #[must_use]
    pub fn joined_at(&self) -> Option<&TopicPosition> {
        unreachable!()
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        unreachable!()
    }
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Delivery>> {
        unreachable!()
    }
}
