//! Waiting for datagrams, writability, another thread or a deadline, whichever comes first.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{self, Errno},
};

use super::{Error, Socket};

/// The shard is at work, and looks for wake-ups before it sleeps.
const AWAKE: u8 = 0;
/// The shard sleeps, or is about to: a wake-up must ring.
const ASLEEP: u8 = 1;
/// A wake-up waits to be noticed; more of them change nothing.
const WOKEN: u8 = 2;

/// The place where a shard's thread sleeps.
#[derive(Debug)]
pub struct Waiter {
    socket: OwnedFd,
    bell: Arc<Bell>,
}

/// Ends the sleep of one shard from any thread; clones wake the same shard.
#[derive(Debug, Clone)]
pub struct Waker {
    bell: Arc<Bell>,
}

/// Why a wait ended; all false if its deadline has passed or a signal arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    /// Datagrams wait to be received.
    pub readable: bool,
    /// The socket takes packets again.
    pub writable: bool,
    /// A [`Waker`] was used since the last wait that said so.
    pub woken: bool,
}

#[derive(Debug)]
struct Bell {
    state: AtomicU8,
    event: OwnedFd,
}

impl Waiter {
    /// A waiter on `socket`, and the waker that goes with it.
    ///
    /// # Errors
    ///
    /// [`Error::Wait`] if the process is out of descriptors.
    pub fn new(socket: &Socket) -> Result<(Self, Waker), Error> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let event = eventfd(0, flags).map_err(|errno| Error::Wait(errno.into()))?;
        let socket = socket.as_fd().try_clone_to_owned().map_err(Error::Wait)?;
        let bell = Arc::new(Bell { state: AtomicU8::new(AWAKE), event });
        Ok((Self { socket, bell: Arc::clone(&bell) }, Waker { bell }))
    }

    /// Sleeps until datagrams arrive, a waker is used, `deadline` passes, or, if `want_write`,
    /// the socket takes packets. Without a deadline it may sleep for ever.
    ///
    /// What a thread did before it used a [`Waker`] is visible to the caller once `woken` is
    /// told. A wait may end early with nothing to report.
    ///
    /// # Errors
    ///
    /// [`Error::Wait`] if the kernel cannot wait, for instance for lack of memory.
    pub fn wait(
        &mut self,
        deadline: Option<Instant>,
        now: Instant,
        want_write: bool,
    ) -> Result<Ready, Error> {
        let timeout = match self.bell.doze() {
            // The sockets are still looked at, so that wake-ups cannot starve them.
            State::Woken => Some(Timespec::default()),
            State::Asleep => {
                deadline.and_then(|at| at.saturating_duration_since(now).try_into().ok())
            }
        };
        let socket_events = if want_write { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut fds = [
            PollFd::new(&self.socket, socket_events),
            PollFd::new(&self.bell.event, PollFlags::IN),
        ];
        let polled = poll(&mut fds, timeout.as_ref());
        let [socket, event] = fds.map(|fd| fd.revents());
        let woken = self.bell.rise(!event.is_empty());
        match polled {
            Ok(_) => Ok(Ready {
                // An error is taken, and cleared, by the next receive.
                readable: socket.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP),
                writable: socket.contains(PollFlags::OUT),
                woken,
            }),
            Err(Errno::INTR) => Ok(Ready { woken, ..Ready::default() }),
            Err(errno) => Err(Error::Wait(errno.into())),
        }
    }
}

impl Waker {
    /// Makes the shard's current or next wait end at once.
    ///
    /// Cost: one atomic exchange; a system call only if the shard sleeps and nobody has rung yet.
    pub fn wake(&self) {
        // Every change of `state` is an exchange, so a thread that finds WOKEN knows that the
        // exchange by which the shard notices is still to come, and that it sees this one.
        if self.bell.state.swap(WOKEN, Ordering::AcqRel) == ASLEEP {
            // The count cannot overflow: one ring per sleep, and each sleep takes them all.
            let _ = io::write(&self.bell.event, &1_u64.to_ne_bytes());
        }
    }
}

enum State {
    Asleep,
    Woken,
}

impl Bell {
    fn doze(&self) -> State {
        let exchange =
            self.state.compare_exchange(AWAKE, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        if exchange.is_ok() { State::Asleep } else { State::Woken }
    }

    /// Ends a sleep; answers whether a waker was used. A ring that comes late, after its sleep
    /// has ended for another reason, only cuts the next sleep short.
    fn rise(&self, rung: bool) -> bool {
        if rung {
            let _ = io::read(&self.event, &mut [0; 8]);
        }
        self.state.swap(AWAKE, Ordering::AcqRel) == WOKEN
    }
}

#[cfg(test)]
mod tests;
