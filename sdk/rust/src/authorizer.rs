//! Answering who may do what.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;

use crate::{Action, Error, Pattern};

/// An offer to answer authorization questions: a stream of them. Dropping it withdraws the offer.
#[derive(Debug)]
pub struct Authorizer(());

impl Authorizer {
    /// The next question; `None` when the offer has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Question> {
        unreachable!()
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        unreachable!()
    }
}

impl Stream for Authorizer {
    type Item = Question;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Question>> {
        unreachable!()
    }
}

/// Whether a user may act on a topic. Dropping it unanswered means no, after the broker's time-out.
#[derive(Debug)]
pub struct Question(());

impl Question {
    /// User who wants to act.
    #[must_use]
    pub fn user(&self) -> &str {
        unreachable!()
    }

    /// Role of that user.
    #[must_use]
    pub fn role(&self) -> &str {
        unreachable!()
    }

    /// What the user wants to do.
    #[must_use]
    pub fn action(&self) -> Action {
        unreachable!()
    }

    /// Topic or pattern acted on; the answer must hold for all of it.
    #[must_use]
    pub fn topic(&self) -> &Pattern {
        unreachable!()
    }

    /// Yes, for so long; the broker keeps it at most an hour.
    pub fn allow(self, ttl: Duration) {
        let _ = ttl;
        unreachable!()
    }

    /// No, for so long.
    pub fn deny(self, ttl: Duration) {
        let _ = ttl;
        unreachable!()
    }
}
