//! The client handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::control::{From as HistoryFrom, Start};
use protocol::link::Broker;
use protocol::{Pattern, Topic};

use crate::{
    Ack, Acks, Authorizer, Error, Events, Message, Options, Page, PendingAck, Presence, Publisher,
    Reply, Responder, Status, Subscription,
};

/// A session with a broker. Cloning gives another handle of the same session.
#[derive(Clone, Debug)]
pub struct Client(());

impl Client {
    /// Connects over QUIC; resolves when the broker has welcomed the session.
    ///
    /// # Errors
    /// `Closed` on a code that no retry can cure, `Unreachable` after `Options::connect_timeout`,
    /// `Invalid` for a bad URL or certificate.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let _ = options;
        unreachable!()
    }

    /// Attaches to a broker in the same process; all else is as with [`Client::connect`].
    ///
    /// # Errors
    /// As for [`Client::connect`].
    pub async fn attach(broker: Arc<dyn Broker>, options: Options) -> Result<Self, Error> {
        let _ = (broker, options);
        unreachable!()
    }

    /// Publishes and waits for the ack; also waits for room in the bounded queue of unacknowledged
    /// publishes. Publishes of one topic keep the order of these calls. Without a connection the
    /// message waits for the next one. Dropping the future does not take the message back.
    ///
    /// # Errors
    /// `Refused`, `TooLarge`, `Invalid`, `Closed`.
    pub async fn publish(&self, message: Message) -> Result<Ack, Error> {
        let _ = message;
        unreachable!()
    }

    /// Queues a publish without waiting. The ack may be awaited or dropped.
    ///
    /// # Errors
    /// `Full` while too many publishes wait for their ack; `TooLarge`, `Invalid`, `Closed`.
    pub fn try_publish(&self, message: Message) -> Result<PendingAck, Error> {
        let _ = message;
        unreachable!()
    }

    /// Sends a publish that wants no ack and is not sent again after a loss. Waits while the send
    /// buffer is full.
    ///
    /// # Errors
    /// `Lost` without a session, `TooLarge`, `Invalid`, `Closed`.
    pub async fn publish_unacked(&self, message: Message) -> Result<(), Error> {
        let _ = message;
        unreachable!()
    }

    /// A pair for publishing in bulk: one side sends, the other yields the outcomes. Costs no
    /// allocation per message.
    #[must_use]
    pub fn publisher(&self) -> (Publisher, Acks) {
        unreachable!()
    }

    /// Waits until every publish made so far has been acked or refused.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn flush(&self) -> Result<(), Error> {
        unreachable!()
    }

    /// Subscribes to a topic (`&Topic`) or pattern; resolves when the broker has confirmed the join
    /// point. The subscription survives reconnects without loss or doubles.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn subscribe(
        &self,
        pattern: impl Into<Pattern>,
        start: Start,
    ) -> Result<Subscription, Error> {
        let _ = (pattern.into(), start);
        unreachable!()
    }

    /// Asks whoever serves the topic, and waits for the answer at most `timeout`.
    ///
    /// # Errors
    /// `Refused` by broker or responder, `Lost`, `Deadline`, `Closed`.
    pub async fn request(
        &self,
        topic: Topic,
        payload: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Reply, Error> {
        let _ = (topic, payload.into(), timeout);
        unreachable!()
    }

    /// As [`Client::request`], with event, content type and headers taken from the message.
    ///
    /// # Errors
    /// As for [`Client::request`]; `Invalid`.
    pub async fn request_with(&self, message: Message, timeout: Duration) -> Result<Reply, Error> {
        let _ = (message, timeout);
        unreachable!()
    }

    /// Offers to answer requests on a topic or pattern; survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn serve(&self, pattern: impl Into<Pattern>) -> Result<Responder, Error> {
        let _ = pattern.into();
        unreachable!()
    }

    /// Offers to answer authorization questions for a topic or pattern; survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn authorize(&self, pattern: impl Into<Pattern>) -> Result<Authorizer, Error> {
        let _ = pattern.into();
        unreachable!()
    }

    /// The presence of one topic.
    #[must_use]
    pub fn presence(&self, topic: Topic) -> Presence {
        let _ = topic;
        unreachable!()
    }

    /// Reads one page of kept messages, at most `limit`.
    ///
    /// # Errors
    /// `Refused`, `Lost`, `Closed`.
    pub async fn history(
        &self,
        topic: Topic,
        from: HistoryFrom,
        limit: u32,
    ) -> Result<Page, Error> {
        let _ = (topic, from, limit);
        unreachable!()
    }

    /// Presents a fresh token for the live session; later connections use it too. Answers when the
    /// new token expires, Unix milliseconds.
    ///
    /// # Errors
    /// `Refused`, `Lost`, `Closed`.
    pub async fn refresh(&self, token: String) -> Result<u64, Error> {
        let _ = token;
        unreachable!()
    }

    /// The session at this moment, with its counters.
    #[must_use]
    pub fn status(&self) -> Status {
        unreachable!()
    }

    /// Connection events from this moment on.
    #[must_use]
    pub fn events(&self) -> Events {
        unreachable!()
    }

    /// Moves the client's endpoint to a fresh UDP socket bound to `local`, under load and without
    /// loss (QUIC migration). With a shared endpoint all its clients move.
    ///
    /// # Errors
    /// `Invalid` if the address cannot be bound or the client is in-process.
    pub fn rebind(&self, local: SocketAddr) -> Result<(), Error> {
        let _ = local;
        unreachable!()
    }

    /// Flushes pending publishes for at most 5 s, then ends the session.
    ///
    /// # Errors
    /// `Deadline` if publishes were still unacknowledged.
    pub async fn close(&self) -> Result<(), Error> {
        unreachable!()
    }
}
