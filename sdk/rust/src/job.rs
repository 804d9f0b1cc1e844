//! A job: a message that a group has handed to this client, and what is said of it.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use protocol::Code;
use protocol::session::client::{self, JobId, NotTaken, Verdict};
use tokio::sync::oneshot;

use crate::publisher::gone;
use crate::shared::Shared;
use crate::{Error, Received};

/// A message that a group has handed out to be worked on. It reads like the message that it is.
///
/// Say what became of it before the group's ack wait is over, which [`Job::extend`] moves. **A job
/// that is dropped unsettled has failed**, as if by [`Job::nak`]: so does one whose handler panics,
/// and a message that brings workers down ends as a dead letter. [`Job::release`] gives back a job
/// that was not tried, [`Job::defer`] leaves it to a later [`Job::ack_through`].
#[derive(Debug)]
pub struct Job {
    received: Received,
    id: JobId,
    attempt: u64,
    shared: Arc<Shared>,
    settled: AtomicBool,
}

impl Job {
    pub(crate) fn new(shared: Arc<Shared>, job: client::Job) -> Self {
        let client::Job { id, attempt, message } = job;
        let settled = AtomicBool::new(false);
        Job { received: Received(message), id, attempt, shared, settled }
    }

    /// How often the group has handed the message out, this time included.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// The work is done. The future resolves when the broker has stored it; dropping the future is
    /// fine.
    pub fn ack(self) -> Settling {
        self.settle(Verdict::Ack)
    }

    /// The work is done, and so is that of every job of the same topic below this one that this
    /// consumer holds. Those are kept with [`Job::defer`] until then.
    pub fn ack_through(self) -> Settling {
        self.settle(Verdict::AckThrough)
    }

    /// The attempt failed. The message comes again after `delay`, or by the group's own rule, until
    /// its attempts are used up; then it is a dead letter. The reason, at most 256 bytes, is kept.
    pub fn nak(self, delay: Option<Duration>, reason: &str) -> Settling {
        self.settle(Verdict::Nak { delay, reason })
    }

    /// It was not tried. The message goes to whoever is free, and the attempt does not count.
    pub fn release(self) -> Settling {
        self.settle(Verdict::Release)
    }

    /// The work can never succeed. The message becomes a dead letter with this reason, at most 256
    /// bytes.
    pub fn reject(self, reason: &str) -> Settling {
        self.settle(Verdict::Reject { reason })
    }

    /// Asks for more time, counted from this moment.
    pub fn extend(&self, by: Duration) -> Settling {
        self.say(Verdict::Extend { by: Some(by) })
    }

    /// Lets go of the job without a word. It is settled by a later [`Job::ack_through`] of its
    /// topic, or its attempt fails when the ack wait is over.
    pub fn defer(self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Says what became of the job, once.
    pub(crate) fn settle(&self, verdict: Verdict<'_>) -> Settling {
        self.settled.store(true, Ordering::Relaxed);
        self.say(verdict)
    }

    fn say(&self, verdict: Verdict<'_>) -> Settling {
        let (sender, receiver) = oneshot::channel();
        self.shared.with(|core, _| match core.session.settle(&self.id, verdict) {
            Ok(number) => core.settling.entry(number).or_default().push(sender),
            Err(not_taken) => {
                let error = not_settled(core.refusal(not_taken), not_taken);
                // The receiver is at hand.
                let _ = sender.send(Err(error));
            }
        });
        Settling(receiver)
    }
}

impl Deref for Job {
    type Target = Received;

    fn deref(&self) -> &Received {
        &self.received
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if !*self.settled.get_mut() {
            let panics = std::thread::panicking();
            let reason = if panics { "the handler panicked" } else { "dropped unsettled" };
            let verdict = Verdict::Nak { delay: None, reason };
            // A broker that has taken the job back needs no telling.
            let _ = self.shared.with(|core, _| core.session.settle(&self.id, verdict));
        }
    }
}

/// The error of a settlement that was not taken.
fn not_settled(error: Error, not_taken: NotTaken) -> Error {
    match not_taken {
        NotTaken::NotHeld => Error::Refused {
            code: Code::NOT_DELIVERED,
            retry_after: None,
            reason: "the broker has taken the job back".to_owned(),
            may_have_happened: false,
        },
        _ => error,
    }
}

/// What a settlement waits for: resolves when the broker has stored it at its journal's best level.
///
/// # Errors
/// `Refused` with NOT_DELIVERED if the job was taken back, `Lost` if the connection went before the
/// answer (an ack is said again by itself, unless the broker was restarted), `Full` with 65,536 of
/// them open, `Closed`.
#[derive(Debug)]
pub struct Settling(oneshot::Receiver<Result<Receipt, Error>>);

impl Future for Settling {
    type Output = Result<Receipt, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.unwrap_or_else(|_| Err(gone())))
    }
}

/// The broker has stored what became of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The job had been taken back meanwhile. A late ack still counts, but others may have done the
    /// work too; anything else that is late has no effect.
    pub late: bool,
}
