//! What the session is doing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use protocol::session::client;

use crate::queue::Queue;
use crate::{Client, Error};

/// Where the session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Connecting or greeting.
    #[default]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

impl Status {
    /// Notes what WELCOME said.
    pub(crate) fn live(&mut self, live: client::Live) {
        self.user = live.user;
        self.role = live.role;
        self.session = live.session;
        self.boot = live.boot;
        self.expires_ms = live.expires_ms;
    }
}

impl From<client::State> for State {
    fn from(state: client::State) -> Self {
        match state {
            client::State::Live => State::Live,
            client::State::Draining => State::Draining,
            client::State::Waiting => State::Waiting,
            client::State::Closed => State::Closed,
            client::State::Idle | client::State::Connecting | client::State::Greeting => {
                State::Connecting
            }
        }
    }
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
pub struct Events {
    pub(crate) client: Client,
    pub(crate) queue: Arc<Queue<Event>>,
}

impl Events {
    /// The next event; `None` after `Closed`. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.queue.poll_next(cx)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.client.unlisten(&self.queue);
    }
}
