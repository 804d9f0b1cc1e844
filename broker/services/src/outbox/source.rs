//! Where a relay has its events from.

use std::future::Future;
use std::time::Duration;

use super::event::Event;
use crate::store::{Error, Leases};

/// An event that waits to be published.
#[derive(Debug)]
pub struct Open<K> {
    /// What it is found by.
    pub key: K,
    /// Where it is kept: what [`Source::open`] can be told to pass over.
    pub place: String,
    /// The event, or why what is stored cannot be read as one.
    pub event: Result<Event, Error>,
}

/// What became of an event.
#[derive(Debug)]
pub struct Done<K> {
    /// What it is found by.
    pub key: K,
    /// Why it will never be published; none if it was.
    pub failure: Option<String>,
}

/// Where events wait to be published, and where it is noted what became of them.
pub trait Source: Leases {
    /// What an event is found by.
    type Key: Send + 'static;

    /// Time between two upkeeps.
    const UPKEEP: Duration;

    /// The oldest events, but none of the places in `passed`; those of one topic and key in order.
    /// Empty only if there are none.
    fn open(
        &self,
        passed: &[String],
    ) -> impl Future<Output = Result<Vec<Open<Self::Key>>, Error>> + Send;

    /// Takes events from those that wait, and sets aside the ones with a failure.
    fn mark(&self, done: Vec<Done<Self::Key>>) -> impl Future<Output = Result<(), Error>> + Send;

    /// What is to be done from time to time.
    fn upkeep(&self) -> impl Future<Output = Result<(), Error>> + Send;

    /// Waits until there may be something new.
    fn wake(&self) -> impl Future<Output = ()> + Send;
}
