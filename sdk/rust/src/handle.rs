//! What [`Client`] and the handles that it gives out have in common: queueing publishes, asking,
//! registering, waiting.

use std::sync::Arc;

use protocol::session::Client as Session;
use protocol::session::client::{self, Answer, Failure, Joined, NotTaken};
use protocol::{Now, Topic};
use tokio::sync::oneshot;

use crate::acks::Waiter;
use crate::error::failed;
use crate::publisher::gone;
use crate::queue::Queue;
use crate::shared::{Core, Shared, To};
use crate::{Client, Endpoint, Error, Event, PendingAck};

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

/// What the other handles of the session are made of.
impl Client {
    pub(crate) fn new(handle: Handle) -> Self {
        Client(Arc::new(handle))
    }

    pub(crate) fn queue(&self, message: client::Publish) -> Result<PendingAck, Error> {
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
    pub(crate) async fn until<R>(
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
