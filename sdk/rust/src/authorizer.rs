//! Answering who may do what.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use protocol::session::client;

use crate::queue::Queue;
use crate::shared::Shared;
use crate::{Action, Client, Error, Pattern};

/// An offer to answer authorization questions: a stream of them. Dropping it withdraws the offer.
#[derive(Debug)]
pub struct Authorizer {
    pub(crate) client: Client,
    pub(crate) number: u64,
    pub(crate) queue: Arc<Queue<Question>>,
}

impl Authorizer {
    /// The next question; `None` when the offer has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Question> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.queue.error()
    }
}

impl Stream for Authorizer {
    type Item = Question;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Question>> {
        self.queue.poll_next(cx)
    }
}

/// Whether a user may act on a topic. Dropping it unanswered means no, after the broker's time-out.
#[derive(Debug)]
pub struct Question {
    shared: Arc<Shared>,
    question: client::Question,
}

impl Question {
    pub(crate) fn new(shared: Arc<Shared>, question: client::Question) -> Self {
        Question { shared, question }
    }

    /// User who wants to act.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.question.user
    }

    /// Role of that user.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.question.role
    }

    /// What the user wants to do.
    #[must_use]
    pub fn action(&self) -> Action {
        self.question.action
    }

    /// Topic or pattern acted on; the answer must hold for all of it.
    #[must_use]
    pub fn topic(&self) -> &Pattern {
        &self.question.topic
    }

    /// Yes, for so long; the broker keeps it at most an hour.
    pub fn allow(self, ttl: Duration) {
        self.shared.with(|core, _| core.session.answer(self.question.id, true, ttl));
    }

    /// No, for so long.
    pub fn deny(self, ttl: Duration) {
        self.shared.with(|core, _| core.session.answer(self.question.id, false, ttl));
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        self.queue.abandon();
        self.client.end(self.number);
    }
}
