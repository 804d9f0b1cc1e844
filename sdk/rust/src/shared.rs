//! The session that all handles and tasks of a client share: one lock around the state machine, and
//! the routes by which its outputs reach whoever waits for them (`routes.rs` follows them).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use protocol::session::Client as Session;
use protocol::session::client::{self, Answer, Channel, Failure, Joined, NotTaken};
use protocol::{Code, Frame, Now};
use tokio::sync::{Notify, oneshot};

use crate::acks::Waiters;
use crate::authorizer::Question;
use crate::error::failed;
use crate::job::Receipt;
use crate::presence::Change;
use crate::queue::Queue;
use crate::responder::Call;
use crate::status::{Event, Status};
use crate::transport::Wire;
use crate::{Delivery, Error};

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
    pub(crate) routes: HashMap<u64, Route>,
    pub(crate) answers: HashMap<u64, oneshot::Sender<Result<Answer, Failure>>>,
    /// Who waits for which settlement; those that share one share its answer.
    pub(crate) settling: BTreeMap<u64, Vec<oneshot::Sender<Result<Receipt, Error>>>>,
    pub(crate) listeners: Vec<Arc<Queue<Event>>>,
    /// Who waits for the first session.
    pub(crate) first: Option<oneshot::Sender<Result<(), Error>>>,
    /// What ended the last attempt to connect.
    pub(crate) last_cause: Option<Error>,
    pub(crate) staged: Vec<(u64, Arc<Queue<Delivery>>, VecDeque<Delivery>)>,
    pub(crate) spare: Vec<VecDeque<Delivery>>,
    pub(crate) wake_driver: bool,
    pub(crate) wake_control: bool,
    pub(crate) wake_room: bool,
}

type ReadySender = oneshot::Sender<Result<Option<Joined>, Error>>;

/// Where the events of a standing registration go.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) ready: Option<ReadySender>,
    pub(crate) to: To,
    /// Index of its batch in `staged`.
    pub(crate) staged: Option<usize>,
}

#[derive(Debug)]
pub(crate) enum To {
    Subscription(Arc<Queue<Delivery>>),
    Responder(Arc<Queue<Call>>),
    Authorizer(Arc<Queue<Question>>),
    Watch(Arc<Queue<Change>>),
    Consumer(Arc<Queue<client::Job>>),
    Entry,
}

impl To {
    pub(crate) fn end(&self, error: Error) {
        match self {
            To::Subscription(queue) => queue.end(Some(error)),
            To::Responder(queue) => queue.end(Some(error)),
            To::Authorizer(queue) => queue.end(Some(error)),
            To::Watch(queue) => queue.end(Some(error)),
            To::Consumer(queue) => queue.end(Some(error)),
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
            settling: BTreeMap::new(),
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
        let control = std::mem::take(&mut core.wake_control) || core.session.has_settlements();
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
            NotTaken::NotLive | NotTaken::NotHeld => {
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
}

/// Both clocks.
pub(crate) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(0);
    Now { mono: Instant::now(), unix_ms }
}
