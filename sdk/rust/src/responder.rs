//! Both ends of a request.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;

use crate::{Code, Error, Message, Topic};

/// A responder's answer.
#[derive(Clone, Debug)]
pub struct Reply(());

impl Reply {
    /// The payload, sharing the received bytes.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        unreachable!()
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        unreachable!()
    }
}

/// An offer to answer requests: a stream of calls. Dropping it withdraws the offer.
#[derive(Debug)]
pub struct Responder(());

impl Responder {
    /// The next call; `None` when the offer has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Call> {
        unreachable!()
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        unreachable!()
    }
}

impl Stream for Responder {
    type Item = Call;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Call>> {
        unreachable!()
    }
}

/// A request to answer. Dropping it unanswered leaves the asker to its deadline.
#[derive(Debug)]
pub struct Call(());

impl Call {
    /// The topic asked on.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        unreachable!()
    }

    /// User who asks, as the broker knows it.
    #[must_use]
    pub fn user(&self) -> &str {
        unreachable!()
    }

    /// Role of that user.
    #[must_use]
    pub fn role(&self) -> &str {
        unreachable!()
    }

    /// How long the asker waits, if it is told.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        unreachable!()
    }

    /// The payload, sharing the received bytes.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        unreachable!()
    }

    /// The event name.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        unreachable!()
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        unreachable!()
    }

    /// Answers. Does nothing if the connection that brought the call is gone.
    pub fn reply(self, payload: impl Into<Bytes>) {
        let _ = payload.into();
        unreachable!()
    }

    /// Answers with content type, event and headers of a message, whose topic is not sent.
    ///
    /// # Errors
    /// `Invalid` if a field is not valid; the call stays unanswered.
    pub fn reply_with(self, message: Message) -> Result<(), Error> {
        let _ = message;
        unreachable!()
    }

    /// Answers that it cannot be done. The application's own codes are 900 to 999.
    pub fn fail(self, code: Code, reason: &str) {
        let _ = (code, reason);
        unreachable!()
    }
}
