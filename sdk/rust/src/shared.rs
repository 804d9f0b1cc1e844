//! The session that all handles and tasks of a client share: one lock around the state machine, and
//! the routes by which its outputs reach whoever waits for them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use protocol::session::Client as Session;
use protocol::session::client::{self, Answer, Channel, Failure, Joined, NotTaken, Output};
use protocol::{Code, Frame, Now};
use tokio::sync::{Notify, oneshot};

use crate::acks::Waiters;
use crate::authorizer::Question;
use crate::error::failed;
use crate::presence::Change;
use crate::queue::Queue;
use crate::responder::Call;
use crate::status::{Event, Status};
use crate::transport::Wire;
use crate::{Delivery, Error, Gap, Received};

/// What a client's handles and tasks have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// The driver has something to do, or its deadline has moved.
    pub(crate) driver_wake: Notify,
    /// There are bytes for the control stream, or the connection has changed.
    pub(crate) control_wake: Notify,
    /// There are bytes for the publish stream, or the connection has changed.
    pub(crate) publish_wake: Notify,
    /// Publishes were settled, or the client was closed.
    pub(crate) room: Notify,
}

/// What the driver must do.
#[derive(Debug)]
pub(crate) enum Action {
    Connect(u32),
    NeedToken,
    Close { connection: u32, code: Code, reason: String },
}

/// Everything under the lock.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) session: Session,
    /// Frames for the control stream of the current connection.
    pub(crate) control: Vec<Bytes>,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) waiters: Waiters,
    /// The current connection, once it is made.
    pub(crate) wire: Option<Arc<Wire>>,
    /// What the driver waits for at the moment.
    pub(crate) armed: Option<Instant>,
    /// No more is sent after what is queued: the client is being closed.
    pub(crate) finishing: bool,
    pub(crate) status: Status,
    routes: HashMap<u64, Route>,
    answers: HashMap<u64, oneshot::Sender<Result<Answer, Failure>>>,
    listeners: Vec<Arc<Queue<Event>>>,
    /// Who waits for the first session.
    first: Option<oneshot::Sender<Result<(), Error>>>,
    /// What ended the last attempt to connect.
    last_cause: Option<Error>,
    staged: Vec<(u64, Arc<Queue<Delivery>>, VecDeque<Delivery>)>,
    spare: Vec<VecDeque<Delivery>>,
    wake_driver: bool,
    wake_control: bool,
    wake_room: bool,
}

type ReadySender = oneshot::Sender<Result<Option<Joined>, Error>>;

/// Where the events of a standing registration go.
#[derive(Debug)]
struct Route {
    ready: Option<ReadySender>,
    to: To,
    /// Index of its batch in `staged`.
    staged: Option<usize>,
}

#[derive(Debug)]
pub(crate) enum To {
    Subscription(Arc<Queue<Delivery>>),
    Responder(Arc<Queue<Call>>),
    Authorizer(Arc<Queue<Question>>),
    Watch(Arc<Queue<Change>>),
    Entry,
}

impl To {
    fn end(&self, error: Error) {
        match self {
            To::Subscription(queue) => queue.end(Some(error)),
            To::Responder(queue) => queue.end(Some(error)),
            To::Authorizer(queue) => queue.end(Some(error)),
            To::Watch(queue) => queue.end(Some(error)),
            To::Entry => {}
        }
    }
}

impl Shared {
    pub(crate) fn new(session: Session, first: oneshot::Sender<Result<(), Error>>) -> Arc<Self> {
        let core = Core {
            session,
            control: Vec::new(),
            actions: VecDeque::new(),
            waiters: Waiters::default(),
            wire: None,
            armed: None,
            finishing: false,
            status: Status::default(),
            routes: HashMap::new(),
            answers: HashMap::new(),
            listeners: Vec::new(),
            first: Some(first),
            last_cause: None,
            staged: Vec::new(),
            spare: Vec::new(),
            wake_driver: false,
            wake_control: false,
            wake_room: false,
        };
        Arc::new(Shared {
            core: Mutex::new(core),
            driver_wake: Notify::new(),
            control_wake: Notify::new(),
            publish_wake: Notify::new(),
            room: Notify::new(),
        })
    }

    /// The lock, for what changes nothing that has outputs.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the session once and routes what follows from it.
    pub(crate) fn with<R>(self: &Arc<Self>, change: impl FnOnce(&mut Core, Now) -> R) -> R {
        let mut core = self.lock();
        let result = change(&mut core, now());
        core.route(self);
        let _ = core.flush_staged();
        self.unlock(core);
        result
    }

    /// Hands frames of one channel to the session under one lock. Answers the queues that are over
    /// their bound; the caller waits for them before it reads on.
    pub(crate) fn frames(
        self: &Arc<Self>,
        connection: u32,
        channel: Channel,
        frames: &mut Vec<Frame>,
    ) -> Vec<Arc<Queue<Delivery>>> {
        let mut core = self.lock();
        let now = now();
        for frame in frames.drain(..) {
            core.session.frame(now, connection, channel, frame);
            core.route(self);
        }
        let full = if channel == Channel::Datagram {
            core.drop_staged_for_full();
            core.flush_staged();
            Vec::new()
        } else {
            core.flush_staged()
        };
        self.unlock(core);
        full
    }

    /// Releases the lock and wakes whoever has something to do.
    fn unlock(&self, mut core: MutexGuard<'_, Core>) {
        let deadline = core.session.deadline();
        let earlier = deadline.is_some_and(|at| core.armed.is_none_or(|armed| at < armed));
        let driver = std::mem::take(&mut core.wake_driver) || earlier;
        let control = std::mem::take(&mut core.wake_control);
        let room = std::mem::take(&mut core.wake_room);
        let publish = core.session.has_publishes();
        drop(core);
        if driver {
            self.driver_wake.notify_one();
        }
        if control {
            self.control_wake.notify_one();
        }
        if publish {
            self.publish_wake.notify_one();
        }
        if room {
            self.room.notify_waiters();
        }
    }
}

impl Core {
    /// Whether a connection is the one in use.
    pub(crate) fn is_current(&self, wire: &Wire) -> bool {
        self.wire.as_ref().is_some_and(|current| current.number == wire.number)
    }

    /// Registers something that stands, under the number that the session gave it.
    pub(crate) fn stand(
        &mut self,
        number: u64,
        to: To,
    ) -> oneshot::Receiver<Result<Option<Joined>, Error>> {
        let (ready, receiver) = oneshot::channel();
        self.routes.insert(number, Route { ready: Some(ready), to, staged: None });
        receiver
    }

    pub(crate) fn forget(&mut self, number: u64) {
        self.routes.remove(&number);
    }

    /// Waits for the answer to a request of the session.
    pub(crate) fn await_answer(
        &mut self,
        number: u64,
    ) -> oneshot::Receiver<Result<Answer, Failure>> {
        let (sender, receiver) = oneshot::channel();
        self.answers.insert(number, sender);
        receiver
    }

    pub(crate) fn listen(&mut self, queue: Arc<Queue<Event>>) {
        self.listeners.push(queue);
    }

    pub(crate) fn unlisten(&mut self, queue: &Arc<Queue<Event>>) {
        self.listeners.retain(|listener| !Arc::ptr_eq(listener, queue));
    }

    /// Why no session came about, for an attempt that ran out of time.
    pub(crate) fn last_cause(&mut self) -> Option<Error> {
        self.last_cause.take()
    }

    /// Why nothing can be asked for any more.
    pub(crate) fn refusal(&self, not_taken: NotTaken) -> Error {
        match not_taken {
            NotTaken::Full => Error::Full,
            NotTaken::TooLarge { field, max, had } => Error::TooLarge { field, max, had },
            NotTaken::Invalid { field } => Error::Invalid(format!("{field} is not valid")),
            NotTaken::NotLive => {
                let reason = "there is no session at the moment".to_owned();
                Error::Lost { reason, may_have_happened: false }
            }
            NotTaken::Closed => self.session.closed().map_or(
                Error::Closed {
                    code: Code::CLOSED,
                    reason: String::new(),
                    may_have_happened: false,
                },
                |failure| failed(failure.clone()),
            ),
        }
    }

    fn route(&mut self, shared: &Arc<Shared>) {
        while let Some(output) = self.session.poll_but_publishes() {
            match output {
                Output::Event(client::Event::Message { subscription, message }) => {
                    self.stage(subscription, Delivery::Message(Received(message)));
                }
                Output::Event(event) => self.event(shared, event),
                Output::Send(_, bytes) => {
                    self.control.push(bytes);
                    self.wake_control = true;
                }
                Output::Connect { connection } => {
                    // Frames for an earlier connection have nowhere to go.
                    self.control.clear();
                    self.actions.push_back(Action::Connect(connection));
                    self.wake_driver = true;
                }
                Output::NeedToken => {
                    self.actions.push_back(Action::NeedToken);
                    self.wake_driver = true;
                }
                Output::Close { connection, code, reason } => {
                    self.actions.push_back(Action::Close { connection, code, reason });
                    self.wake_driver = true;
                }
            }
        }
    }

    fn stage(&mut self, subscription: u64, delivery: Delivery) {
        let Some(route) = self.routes.get_mut(&subscription) else { return };
        let To::Subscription(queue) = &route.to else { return };
        if let Some((_, _, items)) = route.staged.and_then(|at| self.staged.get_mut(at)) {
            items.push_back(delivery);
            return;
        }
        let mut items = self.spare.pop().unwrap_or_default();
        items.push_back(delivery);
        route.staged = Some(self.staged.len());
        self.staged.push((subscription, queue.clone(), items));
    }

    /// Hands staged deliveries over; the queues that are over their bound after that.
    fn flush_staged(&mut self) -> Vec<Arc<Queue<Delivery>>> {
        let mut full = Vec::new();
        for (number, queue, mut items) in self.staged.drain(..) {
            if let Some(route) = self.routes.get_mut(&number) {
                route.staged = None;
            }
            if !queue.append(&mut items) {
                full.push(queue);
            }
            if self.spare.is_empty() {
                self.spare.push(items);
            }
        }
        full
    }

    /// Datagrams are not held back: what a full queue cannot take is dropped and counted.
    fn drop_staged_for_full(&mut self) {
        for (_, queue, items) in &mut self.staged {
            if queue.is_full() {
                self.status.dropped += items.len() as u64;
                items.clear();
            }
        }
    }

    fn event(&mut self, shared: &Arc<Shared>, event: client::Event) {
        use client::Event as E;
        match event {
            E::Gap { subscription, topic, epoch, from, to, reason } => {
                self.stage(subscription, Delivery::Gap(Gap { topic, epoch, from, to, reason }));
            }
            E::Published(run) => {
                self.waiters.acked(&run);
                self.wake_room = true;
            }
            E::PublishRefused { sequence, failure } => {
                self.waiters.refused(sequence, failed(failure));
                self.wake_room = true;
            }
            E::Answered { number, result } => {
                if let Some(sender) = self.answers.remove(&number) {
                    let _ = sender.send(result);
                }
            }
            E::Ready { number, joined } => {
                let route = self.routes.get_mut(&number);
                let entry = route.as_ref().is_some_and(|route| matches!(route.to, To::Entry));
                let ready = route.and_then(|route| route.ready.take());
                if entry {
                    self.routes.remove(&number);
                }
                if let Some(ready) = ready {
                    let _ = ready.send(Ok(joined));
                }
            }
            E::Ended { number, failure } => {
                if let Some(route) = self.routes.remove(&number) {
                    let error = failed(failure);
                    route.to.end(error.clone());
                    if let Some(ready) = route.ready {
                        let _ = ready.send(Err(error));
                    }
                }
            }
            E::Call(call) => self.called(shared, *call),
            E::Question(question) => self.questioned(shared, *question),
            E::Members { watch, members } => {
                if let Some(Route { to: To::Watch(queue), .. }) = self.routes.get(&watch) {
                    queue.replace(Change::All(members));
                }
            }
            E::MembersChanged { watch, change } => {
                if let Some(Route { to: To::Watch(queue), .. }) = self.routes.get(&watch) {
                    let changed = Change::Changed {
                        count: change.count,
                        joined: change.joined,
                        left: change.left,
                    };
                    // A reader that lags is given the whole list again instead of the changes.
                    if queue.try_push(changed).is_err() {
                        self.session.watch_again(watch);
                    }
                }
            }
            other => self.connection_event(other),
        }
    }

    fn called(&mut self, shared: &Arc<Shared>, call: client::Call) {
        let id = call.id;
        let taken = match self.routes.get(&call.offer).map(|route| &route.to) {
            Some(To::Responder(queue)) => queue.try_push(Call::new(shared.clone(), call)).is_ok(),
            _ => false,
        };
        if !taken {
            self.session.fail(id, Code::BUSY, "the responder's queue is full");
        }
    }

    fn questioned(&mut self, shared: &Arc<Shared>, question: client::Question) {
        let id = question.id;
        let taken = match self.routes.get(&question.offer).map(|route| &route.to) {
            Some(To::Authorizer(queue)) => {
                queue.try_push(Question::new(shared.clone(), question)).is_ok()
            }
            _ => false,
        };
        if !taken {
            self.session.answer(id, false, std::time::Duration::ZERO);
        }
    }

    fn connection_event(&mut self, event: client::Event) {
        use client::Event as E;
        let event = match event {
            E::Live(live) => {
                let resumed = live.resumed;
                self.status.live(*live);
                self.last_cause = None;
                if let Some(first) = self.first.take() {
                    let _ = first.send(Ok(()));
                }
                Event::Live { resumed }
            }
            E::Draining { renew_in } => Event::Draining { renew_in },
            E::Waiting { retry_in, cause } => {
                let cause = failed(cause);
                self.last_cause = Some(cause.clone());
                Event::Waiting { retry_in, cause }
            }
            E::Expiring { expires_ms } => Event::Expiring { expires_ms },
            E::Closed(failure) => {
                let error = failed(failure);
                self.waiters.close(&error, self.status.session != 0);
                self.wake_room = true;
                self.wake_driver = true;
                if let Some(first) = self.first.take() {
                    let _ = first.send(Err(error.clone()));
                }
                Event::Closed(error)
            }
            _ => return,
        };
        let closed = matches!(event, Event::Closed(_));
        for listener in &self.listeners {
            listener.push_newest(event.clone());
            if closed {
                listener.end(None);
            }
        }
    }
}

/// Both clocks.
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(0);
    Now { mono: Instant::now(), unix_ms }
}
