//! Both ends of a request.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use protocol::Frame;
use protocol::attribute::Tag;
use protocol::session::client;

use crate::queue::Queue;
use crate::received::text;
use crate::shared::Shared;
use crate::{Client, Code, Error, Message, Topic};

/// A responder's answer.
#[derive(Clone, Debug)]
pub struct Reply(pub(crate) Frame);

impl Reply {
    /// The payload, sharing the received bytes.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.0.body()
    }

    /// The event name.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        text(self.0.attribute_bytes(), Tag::Event)
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        text(self.0.attribute_bytes(), Tag::ContentType)
    }
}

/// An offer to answer requests: a stream of calls. Dropping it withdraws the offer.
#[derive(Debug)]
pub struct Responder {
    pub(crate) client: Client,
    pub(crate) number: u64,
    pub(crate) queue: Arc<Queue<Call>>,
}

impl Responder {
    /// The next call; `None` when the offer has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Call> {
        std::future::poll_fn(|cx| self.queue.poll_next(cx)).await
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.queue.error()
    }
}

impl Stream for Responder {
    type Item = Call;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Call>> {
        self.queue.poll_next(cx)
    }
}

/// A request to answer. Dropping it unanswered leaves the asker to its deadline.
#[derive(Debug)]
pub struct Call {
    shared: Arc<Shared>,
    call: client::Call,
}

impl Call {
    pub(crate) fn new(shared: Arc<Shared>, call: client::Call) -> Self {
        Call { shared, call }
    }

    /// The topic asked on.
    #[must_use]
    pub fn topic(&self) -> &Topic {
        &self.call.topic
    }

    /// User who asks, as the broker knows it.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.call.user
    }

    /// Role of that user.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.call.role
    }

    /// How long the asker waits, if it is told.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.call.timeout
    }

    /// The payload, sharing the received bytes.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.call.frame.body()
    }

    /// The event name.
    #[must_use]
    pub fn event(&self) -> Option<&str> {
        text(self.call.frame.attribute_bytes(), Tag::Event)
    }

    /// The content type.
    #[must_use]
    pub fn content_type(&self) -> Option<&str> {
        text(self.call.frame.attribute_bytes(), Tag::ContentType)
    }

    /// Answers. Does nothing if the connection that brought the call is gone; a payload over the
    /// broker's limit becomes a failure with TOO_LARGE.
    pub fn reply(self, payload: impl Into<Bytes>) {
        let _ = self.send(&[], &payload.into());
    }

    /// The same with JSON, which the asker is told it is.
    pub fn reply_json(self, json: impl Into<Bytes>) {
        let answer = Message::new(self.topic().clone(), json).content_type("application/json");
        let _ = self.reply_with(answer);
    }

    /// Answers with content type, event and headers of a message, whose topic is not sent.
    ///
    /// # Errors
    /// `Invalid` if a field is not valid; the call stays unanswered.
    pub fn reply_with(self, message: Message) -> Result<(), Error> {
        let message = message.checked()?;
        self.send(&message.attributes, &message.payload)
    }

    /// Answers that it cannot be done. The application's own codes are 900 to 999.
    pub fn fail(self, code: Code, reason: &str) {
        self.shared.with(|core, _| core.session.fail(self.call.id, code, reason));
    }

    fn send(&self, attributes: &[u8], payload: &[u8]) -> Result<(), Error> {
        self.shared.with(|core, _| {
            let sent = core.session.reply(self.call.id, attributes, payload);
            sent.map(|_| ()).map_err(|error| {
                core.session.fail(self.call.id, error.code(), &error.to_string());
                Error::Invalid(error.to_string())
            })
        })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.queue.abandon();
        self.client.end(self.number);
    }
}
