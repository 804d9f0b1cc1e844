//! One session that is attached to the broker: frames in, frames out.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::Code;
use sampan_protocol::link::{Link, Sink};
use tokio::time::sleep;

use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::inbox::{Entrance, Inbox};
use crate::throttle::Throttle;

/// How long to wait for room in the broker's mailbox.
const MAILBOX_PAUSE: Duration = Duration::from_millis(1);

/// A session of the broker. Dropping it ends the session.
pub(crate) struct Attached {
    link: Box<dyn Link>,
    inbox: Arc<Inbox>,
}

impl Attached {
    /// Attaches a session for the peer at `address`.
    ///
    /// # Errors
    /// When the broker takes no more sessions, or too many bad tokens came from the address.
    pub(crate) fn new(bridge: &Bridge, address: SocketAddr) -> Result<Self, Failure> {
        bridge.admit(address.ip())?;
        let inbox = Arc::new(Inbox::default());
        let watched = Watched {
            entrance: Entrance(inbox.clone()),
            throttle: bridge.throttle.clone(),
            address: address.ip(),
        };
        let sink = Box::new(watched);
        let link = bridge.broker.attach(&address.to_string(), sink).map_err(Failure::of)?;
        Ok(Attached { link, inbox })
    }

    /// Sends whole frames, as soon as the broker has room for them. What follows the end of the
    /// session is dropped.
    pub(crate) async fn send(&self, frames: Bytes) {
        while !self.link.send(frames.clone()) && !self.inbox.is_closed() {
            sleep(MAILBOX_PAUSE).await;
        }
    }

    /// Waits for what the broker says: chunks of whole frames. Nothing is lost when the future is
    /// dropped before it is done.
    ///
    /// # Errors
    /// Why the session has ended; nothing follows.
    pub(crate) async fn next(&self) -> Result<VecDeque<Bytes>, Failure> {
        let taken = self.inbox.take().await.map_err(Failure::of)?;
        if taken.refused {
            self.link.ready();
        }
        Ok(taken.chunks)
    }
}

/// The broker's end of an inbox, which notes bad tokens.
struct Watched {
    entrance: Entrance,
    throttle: Arc<Throttle>,
    address: IpAddr,
}

impl Sink for Watched {
    fn offer(&mut self, chunk: &Bytes) -> bool {
        self.entrance.offer(chunk)
    }

    fn closed(&mut self, code: Code) {
        if code == Code::BAD_TOKEN {
            self.throttle.failed(Instant::now(), self.address);
        }
        self.entrance.closed(code);
    }
}
