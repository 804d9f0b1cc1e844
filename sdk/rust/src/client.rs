//! The client handle.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use protocol::control::{From as HistoryFrom, Start};
use protocol::link::Broker;
use protocol::session::Client as Session;
use protocol::session::client::{self, Answer, Failure, Joined, NotTaken, Request};
use protocol::{Now, Pattern, Topic};
use tokio::sync::oneshot;

use crate::acks::Waiter;
use crate::error::failed;
use crate::publisher::gone;
use crate::queue::Queue;
use crate::shared::{Core, Shared, To};
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
pub struct Client(Arc<Handle>);

/// What the handles share; its end is the end of the session.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) queue_max: usize,
    pub(crate) pending_max: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.with(|core, _| core.session.close());
    }
}

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

    /// Flushes pending publishes for at most 5 s, then ends the session.
    ///
    /// # Errors
    /// `Deadline` if publishes were still unacknowledged.
    pub async fn close(&self) -> Result<(), Error> {
        let flushed = tokio::time::timeout(FLUSH_TIMEOUT, self.flush()).await;
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
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Deadline { may_have_happened: true }),
        }
    }
}

/// What the other handles of the session are made of.
impl Client {
    pub(crate) fn new(handle: Handle) -> Self {
        Client(Arc::new(handle))
    }

    fn queue(&self, message: client::Publish) -> Result<PendingAck, Error> {
        let (sender, receiver) = oneshot::channel();
        self.enqueue(message, || Waiter::One(sender))?;
        Ok(PendingAck(receiver))
    }

    /// Queues a publish whose outcome goes to a waiter, made once the publish is taken.
    pub(crate) fn enqueue(
        &self,
        message: client::Publish,
        waiter: impl FnOnce() -> Waiter,
    ) -> Result<(), Error> {
        let shared = &self.0.shared;
        let live = {
            let mut core = shared.lock();
            let taken = core.session.publish(message);
            let sequence = taken.map_err(|not_taken| core.refusal(not_taken))?;
            core.waiters.push(sequence, waiter());
            core.session.is_live()
        };
        if live {
            shared.publish_wake.notify_one();
        }
        Ok(())
    }

    /// Tries until there is room.
    pub(crate) async fn when_room<R>(
        &self,
        mut attempt: impl FnMut() -> Result<R, Error>,
    ) -> Result<R, Error> {
        loop {
            match attempt() {
                Err(Error::Full) => {}
                done => return done,
            }
            let mut room = std::pin::pin!(self.0.shared.room.notified());
            room.as_mut().enable();
            // Room that came before the wait was announced is found by this second look.
            match attempt() {
                Err(Error::Full) => room.await,
                done => return done,
            }
        }
    }

    /// Tells those who wait for room that there may be some.
    pub(crate) fn made_room(&self) {
        self.0.shared.room.notify_waiters();
    }

    /// Waits until a condition on the session holds, looked at whenever publishes are settled.
    async fn until<R>(
        &self,
        mut look: impl FnMut(&mut Core) -> Option<Result<R, Error>>,
    ) -> Result<R, Error> {
        loop {
            let mut room = std::pin::pin!(self.0.shared.room.notified());
            room.as_mut().enable();
            let found = {
                let mut core = self.0.shared.lock();
                let closed = core.session.closed().cloned();
                closed.map(|failure| Err(failed(failure))).or_else(|| look(&mut core))
            };
            match found {
                Some(found) => return found,
                None => room.await,
            }
        }
    }

    /// Makes a request and waits for its answer.
    pub(crate) async fn ask(
        &self,
        ask: impl FnOnce(&mut Session, Now) -> Result<u64, NotTaken>,
    ) -> Result<Answer, Error> {
        let receiver = self.0.shared.with(|core, now| match ask(&mut core.session, now) {
            Ok(number) => Ok(core.await_answer(number)),
            Err(NotTaken::Full) => Err(Error::TooMany),
            Err(not_taken) => Err(core.refusal(not_taken)),
        })?;
        answered(receiver).await
    }

    /// Registers something that stands, and waits until the broker has confirmed it.
    pub(crate) async fn stand(
        &self,
        to: To,
        stand: impl FnOnce(&mut Session) -> Result<u64, NotTaken>,
    ) -> Result<(u64, Option<Joined>), Error> {
        let (number, receiver) = self.0.shared.with(|core, _| match stand(&mut core.session) {
            Ok(number) => Ok((number, core.stand(number, to))),
            Err(NotTaken::Full) => Err(Error::TooMany),
            Err(not_taken) => Err(core.refusal(not_taken)),
        })?;
        // A caller that gives up before the confirmation takes the registration back.
        let mut unconfirmed = Unconfirmed { client: self, number: Some(number) };
        let joined = receiver.await.map_err(|_| gone())??;
        unconfirmed.number = None;
        Ok((number, joined))
    }

    /// Ends something that stands.
    pub(crate) fn end(&self, number: u64) {
        self.0.shared.with(|core, _| {
            core.forget(number);
            core.session.cancel(number);
        });
    }

    /// Takes one entry into the presence of a topic back.
    pub(crate) async fn leave(&self, topic: &Topic) -> Result<(), Error> {
        let asked = self.0.shared.with(|core, _| {
            let asked = core.session.leave(topic);
            asked.map(|number| core.await_answer(number))
        });
        match asked {
            Some(receiver) => answered(receiver).await.map(|_| ()),
            None => Ok(()),
        }
    }

    pub(crate) fn unlisten(&self, queue: &Arc<Queue<Event>>) {
        self.0.shared.lock().unlisten(queue);
    }
}

/// A registration that the broker has not confirmed.
struct Unconfirmed<'a> {
    client: &'a Client,
    number: Option<u64>,
}

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.client.end(number);
        }
    }
}

async fn answered(receiver: oneshot::Receiver<Result<Answer, Failure>>) -> Result<Answer, Error> {
    receiver.await.map_err(|_| gone())?.map_err(failed)
}

/// The session answers a request only with what it wants, so nobody meets this.
pub(crate) fn unexpected() -> Error {
    Error::Invalid("the answer is of another kind than the request".to_owned())
}
