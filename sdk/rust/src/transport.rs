//! One transport connection of a client, and the driver that makes and ends connections as the
//! session says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use protocol::session::client::{Lost, State};
use protocol::{Code, link};
use tokio::sync::Notify;

use crate::endpoint::Endpoint;
use crate::link::LinkWire;
use crate::shared::{Action, Shared};
use crate::{Token, quic};

/// How connections are made.
#[derive(Clone)]
pub(crate) enum Transport {
    /// QUIC to this host and port.
    Quic { endpoint: Endpoint, host: Arc<str>, port: u16 },
    /// A broker in the same process.
    Link(Arc<dyn link::Broker>),
}

/// A connection that has been made.
#[derive(Debug)]
pub(crate) struct Wire {
    /// The number that the session gave it.
    pub(crate) number: u32,
    pub(crate) carrier: Carrier,
    closed: AtomicBool,
    /// Tasks that still write.
    writers: AtomicUsize,
    written: Notify,
}

#[derive(Debug)]
pub(crate) enum Carrier {
    Quic(quinn::Connection),
    Link(LinkWire),
}

impl Wire {
    /// A connection with so many tasks that write.
    pub(crate) fn new(number: u32, carrier: Carrier, writers: usize) -> Arc<Self> {
        Arc::new(Wire {
            number,
            carrier,
            closed: AtomicBool::new(false),
            writers: AtomicUsize::new(writers),
            written: Notify::new(),
        })
    }

    /// One of the writing tasks has ended.
    pub(crate) fn writer_done(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
        self.written.notify_waiters();
    }

    /// Waits until every writing task has ended.
    pub(crate) async fn finished(&self) {
        loop {
            let mut written = std::pin::pin!(self.written.notified());
            written.as_mut().enable();
            if self.writers.load(Ordering::Acquire) == 0 {
                return;
            }
            written.await;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn close(&self, code: Code, reason: &str) {
        self.closed.store(true, Ordering::Release);
        match &self.carrier {
            Carrier::Quic(connection) => {
                connection.close(quinn::VarInt::from_u32(code.0.into()), reason.as_bytes());
            }
            Carrier::Link(link) => link.close(),
        }
    }
}

impl Shared {
    /// Makes a connection the current one; `false` if the session no longer wants it.
    pub(crate) fn install(self: &Arc<Self>, wire: &Arc<Wire>) -> bool {
        self.with(|core, now| {
            if core.session.state() != State::Connecting {
                return false;
            }
            core.session.connected(now, wire.number);
            let wanted = core.session.state() == State::Greeting;
            if wanted {
                core.wire = Some(wire.clone());
            }
            wanted
        })
    }

    /// Reports the end of a connection.
    pub(crate) fn lost(self: &Arc<Self>, number: u32, lost: Lost) {
        self.with(|core, now| core.session.lost(now, number, lost));
        self.detach(number);
    }

    /// Ends a connection that is no longer used, and its tasks with it.
    fn detach(&self, number: u32) {
        let wire = {
            let mut core = self.lock();
            core.wire.take_if(|wire| wire.number == number)
        };
        if let Some(wire) = wire {
            wire.close(Code::CLOSED, "");
        }
        self.control_wake.notify_waiters();
        self.publish_wake.notify_waiters();
    }

    fn close_wire(&self, number: u32, code: Code, reason: &str) {
        let wire = self.lock().wire.clone().filter(|wire| wire.number == number);
        if let Some(wire) = wire {
            self.flush_link(&wire);
            wire.close(code, reason);
        }
        self.detach(number);
    }

    /// Sends what the session said last; an in-process link takes it at once or not at all.
    fn flush_link(&self, wire: &Wire) {
        if let Carrier::Link(link) = &wire.carrier {
            let frames = std::mem::take(&mut self.lock().control);
            frames.into_iter().all(|frame| link.send(frame));
        }
    }
}

/// Carries out what the session asks of its transport until it is closed.
pub(crate) async fn drive(shared: Arc<Shared>, transport: Transport, token: Token) {
    let mut dialing: Option<tokio::task::JoinHandle<()>> = None;
    loop {
        let (action, deadline, closed) = {
            let mut core = shared.lock();
            let action = core.actions.pop_front();
            let deadline = core.session.deadline();
            core.armed = if action.is_some() { None } else { deadline };
            (action, deadline, core.session.closed().is_some())
        };
        match action {
            Some(Action::Connect(number)) => {
                let dial = dial(shared.clone(), transport.clone(), number);
                if let Some(earlier) = dialing.replace(tokio::spawn(dial)) {
                    earlier.abort();
                }
            }
            Some(Action::NeedToken) => {
                tokio::spawn(fetch_token(shared.clone(), token.clone()));
            }
            Some(Action::Close { connection, code, reason }) => {
                if let Some(dialing) = dialing.take_if(|_| shared.lock().wire.is_none()) {
                    dialing.abort();
                }
                shared.close_wire(connection, code, &reason);
            }
            None if closed => break,
            None => {
                let timer = async {
                    match deadline {
                        Some(at) => tokio::time::sleep_until(at.into()).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = shared.driver_wake.notified() => {}
                    () = timer => shared.with(|core, now| core.session.timeout(now)),
                }
            }
        }
    }
    if let Some(dialing) = dialing {
        dialing.abort();
    }
    shared.room.notify_waiters();
}

async fn dial(shared: Arc<Shared>, transport: Transport, number: u32) {
    let dialed = match transport {
        Transport::Quic { endpoint, host, port } => {
            quic::dial(&shared, &endpoint, &host, port, number).await
        }
        Transport::Link(broker) => crate::link::dial(&shared, &*broker, number),
    };
    if let Err(lost) = dialed {
        shared.lost(number, lost);
    }
}

async fn fetch_token(shared: Arc<Shared>, token: Token) {
    let fetched = match token {
        Token::Static(token) => Ok(token),
        Token::Provider(provider) => provider.token().await,
    };
    shared.with(|core, now| match fetched {
        Ok(token) => core.session.token(now, token),
        Err(error) => core.session.no_token(now, format!("no token: {error}")),
    });
}
