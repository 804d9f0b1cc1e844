//! The client handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::control::{From as HistoryFrom, Start};
use protocol::link::Broker;
use protocol::session::client::{self, Answer, NotTaken, Request};
use protocol::{Pattern, Topic};

use crate::handle::{Handle, unexpected};
use crate::queue::Queue;
use crate::shared::To;
use crate::start::start;
use crate::transport::{Carrier, Transport};
use crate::{
    Ack, Acks, Authorizer, Endpoint, Error, Event, Events, Message, Options, Page, PendingAck,
    Presence, Publisher, Received, Reply, Responder, Status, Subscription,
};

/// Calls and questions that may wait for their reader; more are refused with BUSY.
const CALLS_MAX: usize = 1024;
/// Connection events that may wait for their reader; older ones are dropped.
const EVENTS_MAX: usize = 64;
/// How long `close` waits for acks.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long `close` waits for the broker's transport to have what was sent.
const FINISH_TIMEOUT: Duration = Duration::from_secs(1);

/// A session with a broker. Cloning gives another handle of the same session.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<Handle>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("status", &self.status()).finish()
    }
}

impl Client {
    /// Connects over QUIC; resolves when the broker has welcomed the session.
    ///
    /// # Errors
    /// `Closed` on a code that no retry can cure, `Unreachable` after `Options::connect_timeout`,
    /// `Invalid` for a bad URL or certificate.
    pub async fn connect(options: Options) -> Result<Self, Error> {
        let (host, port) = crate::start::address(&options.url)?;
        let endpoint = match options.endpoint.clone() {
            Some(endpoint) => endpoint,
            None => Endpoint::unbound(&options.trust)?,
        };
        let transport = Transport::Quic { endpoint: endpoint.clone(), host, port };
        start(options, transport, Some(endpoint)).await
    }

    /// Attaches to a broker in the same process; all else is as with [`Client::connect`].
    ///
    /// # Errors
    /// As for [`Client::connect`].
    pub async fn attach(broker: Arc<dyn Broker>, options: Options) -> Result<Self, Error> {
        start(options, Transport::Link(broker), None).await
    }

    /// Publishes and waits for the ack; also waits for room in the bounded queue of unacknowledged
    /// publishes. Publishes of one topic keep the order of these calls. Without a connection the
    /// message waits for the next one. Dropping the future does not take the message back.
    ///
    /// # Errors
    /// `Refused`, `TooLarge`, `Invalid`, `Closed`.
    pub async fn publish(&self, message: Message) -> Result<Ack, Error> {
        let message = message.checked()?;
        let pending = self.when_room(|| self.queue(message.clone())).await?;
        pending.await
    }

    /// Queues a publish without waiting. The ack may be awaited or dropped.
    ///
    /// # Errors
    /// `Full` while too many publishes wait for their ack; `TooLarge`, `Invalid`, `Closed`.
    pub fn try_publish(&self, message: Message) -> Result<PendingAck, Error> {
        self.queue(message.checked()?)
    }

    /// Sends a publish that wants no ack and is not sent again after a loss. Waits while the send
    /// buffer is full.
    ///
    /// # Errors
    /// `Lost` without a session, `TooLarge`, `Invalid`, `Closed`.
    pub async fn publish_unacked(&self, message: Message) -> Result<(), Error> {
        let message = message.checked()?;
        self.when_room(|| {
            let mut core = self.0.shared.lock();
            let sent = core.session.publish_unacked(&message);
            let sent = sent.map_err(|not_taken| core.refusal(not_taken));
            drop(core);
            self.0.shared.publish_wake.notify_one();
            sent.map(|_| ())
        })
        .await
    }

    /// A pair for publishing in bulk: one side sends, the other yields the outcomes. Costs no
    /// allocation per message.
    #[must_use]
    pub fn publisher(&self) -> (Publisher, Acks) {
        Publisher::new(self.clone(), self.0.pending_max)
    }

    /// Waits until every publish made so far has been acked or refused.
    ///
    /// # Errors
    /// `Closed`.
    pub async fn flush(&self) -> Result<(), Error> {
        let end = self.0.shared.lock().waiters.end();
        self.until(|core| core.waiters.settled_below(end).then_some(Ok(()))).await
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
        let pattern = pattern.into();
        let queue = Arc::new(Queue::new(self.0.queue_max));
        let (to, asked) = (queue.clone(), pattern.clone());
        let stood =
            self.stand(To::Subscription(to), |session| session.subscribe(asked, start)).await;
        let (number, joined) = stood?;
        Ok(Subscription { client: self.clone(), number, pattern, queue, joined })
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
        self.request_with(Message::new(topic, payload), timeout).await
    }

    /// As [`Client::request`], with event, content type and headers taken from the message.
    ///
    /// # Errors
    /// As for [`Client::request`]; `Invalid`.
    pub async fn request_with(&self, message: Message, timeout: Duration) -> Result<Reply, Error> {
        let message = message.checked()?;
        let client::Publish { topic, attributes, payload, .. } = message;
        let request = Request { topic, attributes, payload, timeout };
        match self.ask(|session, now| session.request(now, request)).await? {
            Answer::Reply(frame) => Ok(Reply(frame)),
            _ => Err(unexpected()),
        }
    }

    /// Offers to answer requests on a topic or pattern; survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn serve(&self, pattern: impl Into<Pattern>) -> Result<Responder, Error> {
        let (pattern, queue) = (pattern.into(), Arc::new(Queue::new(CALLS_MAX)));
        let to = queue.clone();
        let (number, _) = self.stand(To::Responder(to), |session| session.serve(pattern)).await?;
        Ok(Responder { client: self.clone(), number, queue })
    }

    /// Offers to answer authorization questions for a topic or pattern; survives reconnects.
    ///
    /// # Errors
    /// `Refused`, `Closed`.
    pub async fn authorize(&self, pattern: impl Into<Pattern>) -> Result<Authorizer, Error> {
        let (pattern, queue) = (pattern.into(), Arc::new(Queue::new(CALLS_MAX)));
        let to = queue.clone();
        let (number, _) =
            self.stand(To::Authorizer(to), |session| session.authorize(pattern)).await?;
        Ok(Authorizer { client: self.clone(), number, queue })
    }

    /// The presence of one topic.
    #[must_use]
    pub fn presence(&self, topic: Topic) -> Presence {
        Presence { client: self.clone(), topic }
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
        match self.ask(|session, _| session.history(topic, from, limit)).await? {
            Answer::Page(client::Page { epoch, floor, next, messages }) => {
                let messages = messages.into_iter().map(Received).collect();
                Ok(Page { epoch, floor, next, messages })
            }
            _ => Err(unexpected()),
        }
    }

    /// Presents a fresh token for the live session; later connections use it too. Answers when the
    /// new token expires, Unix milliseconds.
    ///
    /// # Errors
    /// `Refused`, `Lost`, `Closed`.
    pub async fn refresh(&self, token: String) -> Result<u64, Error> {
        let asked = self.ask(|session, _| session.refresh(token).ok_or(NotTaken::Closed)).await?;
        match asked {
            Answer::Refreshed { expires_ms } => {
                self.0.shared.lock().status.expires_ms = expires_ms;
                Ok(expires_ms)
            }
            _ => Err(unexpected()),
        }
    }

    /// The session at this moment, with its counters.
    #[must_use]
    pub fn status(&self) -> Status {
        let core = self.0.shared.lock();
        let counters = core.session.counters();
        let carrier = core.wire.as_ref().map(|wire| &wire.carrier);
        let round_trip = carrier.and_then(|carrier| match carrier {
            Carrier::Quic(connection) => Some(connection.rtt()),
            Carrier::Link(_) => None,
        });
        Status {
            state: core.session.state().into(),
            sessions: counters.sessions,
            round_trip,
            pending: core.session.pending(),
            received: counters.received,
            duplicates: counters.duplicates,
            dropped: core.status.dropped + counters.datagrams_dropped,
            ..core.status.clone()
        }
    }

    /// Connection events from this moment on.
    #[must_use]
    pub fn events(&self) -> Events {
        let queue = Arc::new(Queue::<Event>::new(EVENTS_MAX));
        let mut core = self.0.shared.lock();
        if core.session.closed().is_some() {
            queue.end(None);
        }
        core.listen(queue.clone());
        Events { client: self.clone(), queue }
    }

    /// Moves the client's endpoint to a fresh UDP socket bound to `local`, under load and without
    /// loss (QUIC migration). With a shared endpoint all its clients move.
    ///
    /// # Errors
    /// `Invalid` if the address cannot be bound or the client is in-process.
    pub fn rebind(&self, local: SocketAddr) -> Result<(), Error> {
        let endpoint = self.0.endpoint.as_ref();
        let endpoint =
            endpoint.ok_or_else(|| Error::Invalid("an in-process client has no socket".to_owned()));
        endpoint?.rebind(local)
    }

    /// Flushes pending publishes and settlements for at most 5 s, hands back the jobs of its
    /// consumers, then ends the session.
    ///
    /// # Errors
    /// `Deadline` if publishes or settlements were still unanswered.
    pub async fn close(&self) -> Result<(), Error> {
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, async {
            let settled = self.settled(FLUSH_TIMEOUT).await;
            self.flush().await.and(settled)
        })
        .await;
        self.0.shared.with(|core, _| core.session.hand_back());
        // Replies and publishes without ack have no ack to wait for, only the transport's.
        let sent = {
            let mut core = self.0.shared.lock();
            core.finishing = true;
            core.wire.clone()
        };
        self.0.shared.control_wake.notify_one();
        self.0.shared.publish_wake.notify_one();
        if let Some(wire) = sent {
            let _ = tokio::time::timeout(FINISH_TIMEOUT, wire.finished()).await;
        }
        self.0.shared.with(|core, _| core.session.close());
        match flushed {
            Ok(Err(error @ Error::Deadline { .. })) => Err(error),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Deadline { may_have_happened: true }),
        }
    }
}
