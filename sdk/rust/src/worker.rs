//! Typed handlers: a consumer's jobs, decoded and worked on by an async function.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use protocol::session::client::Verdict;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::publisher::gone;
use crate::{Consumer, Error, Job};

/// Why a handler has not done its work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// It may succeed later: the attempt counts, and the message comes again.
    Retry {
        /// When; by the group's own rule if it is left out.
        after: Option<Duration>,
        /// Why, for people.
        reason: String,
    },
    /// It can never succeed: the message becomes a dead letter.
    Reject {
        /// Why, for people.
        reason: String,
    },
}

impl Failure {
    /// A failure after which the message comes again by the group's own rule.
    pub fn retry(reason: impl std::fmt::Display) -> Self {
        Failure::Retry { after: None, reason: reason.to_string() }
    }

    /// A failure after which the message comes again when so much time has passed.
    pub fn retry_after(after: Duration, reason: impl std::fmt::Display) -> Self {
        Failure::Retry { after: Some(after), reason: reason.to_string() }
    }

    /// A failure that makes the message a dead letter.
    pub fn reject(reason: impl std::fmt::Display) -> Self {
        Failure::Reject { reason: reason.to_string() }
    }

    fn verdict(&self) -> Verdict<'_> {
        match self {
            Failure::Retry { after, reason } => Verdict::Nak { delay: *after, reason },
            Failure::Reject { reason } => Verdict::Reject { reason },
        }
    }
}

impl Consumer {
    /// Works on jobs whose payload is JSON, at most `concurrency` at the same time, each in a task
    /// of its own, until the worker is stopped.
    ///
    /// `Ok` acks. A payload that is not a `T` is rejected; a handler that panics has failed. The
    /// handler may ask for more time with [`Job::extend`].
    ///
    /// ```no_run
    /// # use sampan_client::{Consumer, Failure};
    /// # #[derive(serde::Deserialize)]
    /// # struct Order { id: u64 }
    /// # async fn pack(_: u64) -> Result<(), std::io::Error> { Ok(()) }
    /// # fn example(consumer: Consumer) {
    /// let worker = consumer.handle(8, |_job, order: Order| async move {
    ///     pack(order.id).await.map_err(Failure::retry)
    /// });
    /// # }
    /// ```
    pub fn handle<T, H, R>(self, concurrency: usize, handler: H) -> Worker
    where
        T: DeserializeOwned + Send + 'static,
        H: Fn(Arc<Job>, T) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let work = work(self, concurrency.max(1), Arc::new(handler), stopped);
        Worker { task: tokio::spawn(work), stop: Some(stop) }
    }
}

/// A handler at work. Dropping it ends it at once: what it works on has failed, what it has not
/// begun goes to others.
#[derive(Debug)]
#[must_use = "dropping it ends the handler"]
pub struct Worker {
    task: JoinHandle<Result<(), Error>>,
    stop: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// Begins nothing more, sees to its end what is being worked on, and leaves the group: what was
    /// not begun then goes to others, and does not count as an attempt, unless the group's ack wait
    /// was over before.
    ///
    /// # Errors
    /// Why it had ended before; `Deadline` if something that was settled is not stored after 5 s.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.stop.take());
        self.ended().await
    }

    /// Waits until the worker ends, which it does by itself only with its consumer.
    ///
    /// # Errors
    /// Why it has ended.
    pub async fn ended(&mut self) -> Result<(), Error> {
        (&mut self.task).await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn work<T, H, R>(
    mut consumer: Consumer,
    concurrency: usize,
    handler: Arc<H>,
    mut stopped: oneshot::Receiver<()>,
) -> Result<(), Error>
where
    T: DeserializeOwned + Send + 'static,
    H: Fn(Arc<Job>, T) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut running = JoinSet::new();
    loop {
        let has_room = running.len() < concurrency;
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            // A task that has panicked has failed its job on the way.
            Some(_) = running.join_next() => {}
            job = consumer.next(), if has_room => match job {
                Some(job) => drop(running.spawn(attempt(Arc::new(job), handler.clone()))),
                None => break,
            },
        }
    }
    while running.join_next().await.is_some() {}
    match consumer.error() {
        Some(error) => Err(error),
        None => consumer.leave().await,
    }
}

/// One attempt at a job, and what is said of it.
async fn attempt<T, H, R>(job: Arc<Job>, handler: Arc<H>)
where
    T: DeserializeOwned,
    H: Fn(Arc<Job>, T) -> R,
    R: Future<Output = Result<(), Failure>>,
{
    let decoded = serde_json::from_slice(job.payload_bytes());
    let done = match decoded {
        Ok(value) => handler(job.clone(), value).await,
        Err(error) => Err(Failure::reject(format_args!("the payload is not understood: {error}"))),
    };
    let verdict = done.as_ref().map_or_else(Failure::verdict, |()| Verdict::Ack);
    // The worker waits for what is stored once, at its end.
    drop(job.settle(verdict));
}
