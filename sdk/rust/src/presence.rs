//! Who is there.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;

use crate::{Error, Member, Members, Topic};

/// The presence of one topic.
#[derive(Clone, Debug)]
pub struct Presence(());

impl Presence {
    /// Makes this session's user present until [`Presence::leave`] or the end of the client;
    /// survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn enter(&self) -> Result<(), Error> {
        unreachable!()
    }

    /// Takes the presence back.
    ///
    /// # Errors
    /// `Refused`, `Lost` (the user leaves all the same), `Closed`.
    pub async fn leave(&self) -> Result<(), Error> {
        unreachable!()
    }

    /// The members at this moment.
    ///
    /// # Errors
    /// `Refused`, `Lost`, `Closed`.
    pub async fn read(&self) -> Result<Members, Error> {
        unreachable!()
    }

    /// The members at this moment and every change from then on; survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn watch(&self) -> Result<Watch, Error> {
        unreachable!()
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        unreachable!()
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
pub struct Watch(());

impl Watch {
    /// The next change; `None` when the watch has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Change> {
        unreachable!()
    }
}

impl Stream for Watch {
    type Item = Change;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Change>> {
        unreachable!()
    }
}
