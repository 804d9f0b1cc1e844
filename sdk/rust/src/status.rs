//! What the session is doing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use crate::Error;

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Connecting or greeting.
    Connecting,
    /// Serving.
    Live,
    /// Serving; the broker drains and a new connection will follow.
    Draining,
    /// Waiting for the next attempt to connect.
    Waiting,
    /// Closed for good.
    Closed,
}

/// The session at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// User that the token names; empty before the first session.
    pub user: String,
    /// Role that the token gives.
    pub role: String,
    /// Session id at the broker.
    pub session: u64,
    /// Id of the broker process.
    pub boot: u64,
    /// When the token expires, Unix milliseconds.
    pub expires_ms: u64,
    /// Sessions that were live so far.
    pub sessions: u64,
    /// Smoothed round-trip time of the QUIC path.
    pub round_trip: Option<Duration>,
    /// Publishes that wait for their ack.
    pub pending: usize,
    /// Messages received, before doubles were dropped.
    pub received: u64,
    /// Messages dropped because they had been seen before.
    pub duplicates: u64,
    /// Datagrams dropped: their topic was not known yet, or a queue was full.
    pub dropped: u64,
}

/// A connection event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A session is live.
    Live {
        /// Whether it is not the client's first.
        resumed: bool,
    },
    /// The broker drains.
    Draining {
        /// When the new connection will be made.
        renew_in: Duration,
    },
    /// There is no session; the next attempt follows.
    Waiting {
        /// When.
        retry_in: Duration,
        /// What ended the last attempt or session.
        cause: Error,
    },
    /// The token expires soon and there is no source of fresh ones.
    Expiring {
        /// When the session will be closed, Unix milliseconds.
        expires_ms: u64,
    },
    /// The client is closed for good.
    Closed(Error),
}

/// A stream of connection events. Keeps the newest 64; older ones are dropped unread.
#[derive(Debug)]
pub struct Events(());

impl Events {
    /// The next event; `None` after `Closed`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        unreachable!()
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Event>> {
        unreachable!()
    }
}
