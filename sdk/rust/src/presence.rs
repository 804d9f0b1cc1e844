//! Who is there.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use protocol::session::client::Answer;

use crate::queue::Queue;
use crate::shared::To;
use crate::{Client, Error, Member, Members, Topic};

/// Changes that wait for the reader of a watch; a slower one is given the whole list again.
const CHANGES_MAX: usize = 256;

/// The presence of one topic.
#[derive(Clone, Debug)]
pub struct Presence {
    pub(crate) client: Client,
    pub(crate) topic: Topic,
}

impl Presence {
    /// Makes this session's user present until [`Presence::leave`] or the end of the client;
    /// survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn enter(&self) -> Result<(), Error> {
        let topic = self.topic.clone();
        self.client.stand(To::Entry, |session| session.enter(topic)).await.map(|_| ())
    }

    /// Takes the presence back.
    ///
    /// # Errors
    /// `Refused`, `Lost` (the user leaves all the same), `Closed`.
    pub async fn leave(&self) -> Result<(), Error> {
        self.client.leave(&self.topic).await
    }

    /// The members at this moment, the first 256 by name, and how many there are.
    ///
    /// # Errors
    /// `Refused`, `Lost`, `Closed`.
    pub async fn read(&self) -> Result<Members, Error> {
        self.read_after("").await
    }

    /// The same of the members behind a user by name, such as the last that was read. Who is present
    /// all the while is on one of such pages.
    ///
    /// # Errors
    /// `Refused`, `Lost`, `Closed`.
    pub async fn read_after(&self, user: &str) -> Result<Members, Error> {
        match self.client.ask(|session, _| session.members(&self.topic, user)).await? {
            Answer::Members(members) => Ok(members),
            _ => Err(crate::handle::unexpected()),
        }
    }

    /// The members at this moment and every change from then on; survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn watch(&self) -> Result<Watch, Error> {
        let (topic, queue) = (self.topic.clone(), Arc::new(Queue::new(CHANGES_MAX)));
        let to = queue.clone();
        let (number, _) = self.client.stand(To::Watch(to), |session| session.watch(topic)).await?;
        Ok(Watch { client: self.client.clone(), number, queue })
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.topic
    }
}

/// What a watch yields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// All members; replaces what was known. Comes first, and again after a hole or a reconnect.
    All(Members),
    /// What has changed.
    Changed {
        /// Users present after the change.
        count: u32,
        /// Users that came or whose sessions changed; empty with `left` in a large topic.
        joined: Vec<Member>,
        /// Users that left.
        left: Vec<String>,
    },
}

/// A stream of presence changes. Dropping it ends the watch.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    number: u64,
    queue: Arc<Queue<Change>>,
}

impl Watch {
    /// The next change; `None` when the watch has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }
}

impl Stream for Watch {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        self.queue.poll_next(cx)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.queue.abandon();
        self.client.end(self.number);
    }
}
