//! Taking part in a group: the builder, and the stream of jobs.

use std::collections::VecDeque;
use std::future::{IntoFuture, poll_fn};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use protocol::Pattern;
use protocol::control::{self, GroupOrder, Start};
use protocol::limits::{DELAY_MS_MAX, WINDOW_MAX};
use protocol::session::client;
use tokio::time::{Instant, timeout, timeout_at};

use crate::queue::Queue;
use crate::shared::To;
use crate::{Client, Error, Job};

/// Jobs that a consumer holds at most by default.
const WINDOW: u32 = 100;
/// Jobs that may wait for their reader; more than a window and a pull together are dropped, and come
/// again.
const QUEUE_MAX: usize = 2 * WINDOW_MAX as usize;
/// How long the end of a consumer waits for what it has settled.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// What a consumer asks for; awaiting it joins the group, which is made if there is none of its name.
///
/// Order and start are decided by the first consumer of the group's name, which makes the group. Ack
/// wait and attempts are the group's too: the last consumer that names them decides. Left out, they
/// are what they are.
///
/// # Errors
/// `Refused` with GROUP_DIFFERS if the group reads another pattern or keeps another order;
/// `Refused`, `TooLarge`, `Invalid`, `Closed`.
#[derive(Clone, Debug)]
#[must_use = "nothing happens before it is awaited"]
pub struct Consume {
    client: Client,
    body: control::Consume,
    batch: u32,
}

impl Consume {
    pub(crate) fn new(client: Client, group: String, pattern: &Pattern) -> Self {
        let body = control::Consume {
            group,
            pattern: pattern.as_str().to_owned(),
            start: Start::Since(0),
            window: WINDOW,
            order: 0,
            ack_wait_ms: 0,
            attempts_max: 0,
        };
        Consume { client, body, batch: 0 }
    }

    /// Jobs that the consumer holds at most, 1 to 10,000. Default 100. Memory: this × payload.
    pub fn window(mut self, jobs: u32) -> Self {
        (self.body.window, self.batch) = (jobs.max(1), 0);
        self
    }

    /// Takes jobs in batches instead: so many are asked for when the last batch has been read, and
    /// none that nobody waits for.
    pub fn batch(mut self, jobs: u32) -> Self {
        (self.body.window, self.batch) = (0, jobs.clamp(1, WINDOW_MAX));
        self
    }

    /// Messages of one key of a topic come one after the other, the next when the last is settled.
    pub fn key_order(mut self) -> Self {
        self.body.order = GroupOrder::Key.number();
        self
    }

    /// How long a consumer may take for a job, at most a day. Default 30 s.
    pub fn ack_wait(mut self, wait: Duration) -> Self {
        let ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        self.body.ack_wait_ms = ms.clamp(1, DELAY_MS_MAX);
        self
    }

    /// How often a message is handed out before it becomes a dead letter. Default 10.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.body.attempts_max = attempts.get();
        self
    }

    /// Where a new group begins. Default: with the oldest kept message.
    pub fn start(mut self, start: Start) -> Self {
        self.body.start = start;
        self
    }

    async fn join(self) -> Result<Consumer, Error> {
        let Consume { client, body, batch } = self;
        let queue = Arc::new(Queue::new(QUEUE_MAX));
        let to = To::Consumer(queue.clone());
        let (number, _) = client.stand(to, |session| session.consume(body)).await?;
        Ok(Consumer { client, number, batch, queue, gathered: VecDeque::new() })
    }
}

impl IntoFuture for Consume {
    type Output = Result<Consumer, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.join())
    }
}

/// One of a group's consumers: a stream of jobs that survives reconnects.
///
/// The stream ends when the client is closed or the broker takes the consumer away;
/// [`Consumer::error`] tells which. What waited to be read when a connection was lost is forgotten,
/// and comes again. Dropping the consumer leaves the group: what it holds goes to others, and does
/// not count as an attempt.
#[derive(Debug)]
pub struct Consumer {
    client: Client,
    number: u64,
    batch: u32,
    queue: Arc<Queue<client::Job>>,
    /// Of a batch that is being gathered.
    gathered: VecDeque<client::Job>,
}

impl Consumer {
    /// The next job; `None` when the consumer has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Job> {
        poll_fn(|cx| self.poll_job(cx)).await
    }

    /// Waits for at least one job, then appends all that are there to `out`; answers how many, 0 when
    /// the consumer has ended. Cancel-safe.
    pub async fn next_many(&mut self, out: &mut Vec<Job>) -> usize {
        let Some(first) = self.next().await else { return 0 };
        let before = out.len();
        out.push(first);
        self.gathered.extend(self.queue.take());
        out.extend(self.hand_over(usize::MAX));
        out.len() - before
    }

    /// Waits until there are `max` jobs, at most `wait`; the jobs that are there, none when the
    /// consumer has ended. Cancel-safe. With [`Consume::batch`], `max` of them are asked for.
    pub async fn next_batch(&mut self, max: usize, wait: Duration) -> Vec<Job> {
        let until = Instant::now() + wait;
        while self.gathered.len() < max {
            let missing = u32::try_from(max - self.gathered.len()).unwrap_or(WINDOW_MAX);
            if self.batch > 0 {
                self.client.0.shared.with(|core, _| core.session.pull(self.number, missing));
            }
            match timeout_at(until, poll_fn(|cx| self.queue.poll_next(cx))).await {
                Ok(Some(job)) => self.gathered.push_back(job),
                Ok(None) | Err(_) => break,
            }
        }
        self.hand_over(max).collect()
    }

    /// Why the stream has ended, once it has.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.queue.error()
    }

    /// Waits at most 5 s for what was settled so far to be stored, then leaves the group.
    ///
    /// # Errors
    /// `Deadline` if something is not stored yet, `Closed`.
    pub async fn leave(self) -> Result<(), Error> {
        self.client.settled(FLUSH_TIMEOUT).await
    }

    /// At most `max` of what was gathered, without what the broker has taken back meanwhile.
    fn hand_over(&mut self, max: usize) -> impl Iterator<Item = Job> {
        let shared = &self.client.0.shared;
        let core = shared.lock();
        self.gathered.retain(|job| core.session.holds(&job.id));
        drop(core);
        let many = self.gathered.len().min(max);
        self.gathered.drain(..many).map(|job| Job::new(shared.clone(), job))
    }

    fn poll_job(&mut self, cx: &mut Context<'_>) -> Poll<Option<Job>> {
        if !self.gathered.is_empty() {
            let core = self.client.0.shared.lock();
            self.gathered.retain(|job| core.session.holds(&job.id));
        }
        if let Some(job) = self.gathered.pop_front() {
            return Poll::Ready(Some(Job::new(self.client.0.shared.clone(), job)));
        }
        let job = self.queue.poll_next(cx);
        if job.is_pending() && self.batch > 0 {
            self.client.0.shared.with(|core, _| {
                if core.session.credit(self.number) == 0 {
                    core.session.pull(self.number, self.batch);
                }
            });
        }
        job.map(|job| Some(Job::new(self.client.0.shared.clone(), job?)))
    }
}

impl Stream for Consumer {
    type Item = Job;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Job>> {
        self.poll_job(cx)
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.queue.abandon();
        self.client.end(self.number);
    }
}

impl Client {
    /// Takes part in a group that reads a topic or pattern: see [`Consume`].
    ///
    /// ```no_run
    /// # async fn example(client: sampan_client::Client) -> Result<(), sampan_client::Error> {
    /// # let orders = sampan_client::Pattern::parse("order.*").map_err(sampan_client::invalid)?;
    /// let mut consumer = client.consume("packers", orders).key_order().await?;
    /// while let Some(job) = consumer.next().await {
    ///     println!("attempt {} of {}", job.attempt(), job.topic());
    ///     job.ack().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn consume(&self, group: impl Into<String>, pattern: impl Into<Pattern>) -> Consume {
        Consume::new(self.clone(), group.into(), &pattern.into())
    }

    /// Waits until everything settled so far is stored.
    pub(crate) async fn settled(&self, within: Duration) -> Result<(), Error> {
        let last = self.0.shared.lock().settling.last_key_value().map_or(0, |(number, _)| *number);
        let stored = self.until(|core| {
            let first = core.settling.first_key_value().map_or(u64::MAX, |(number, _)| *number);
            (first > last).then_some(Ok(()))
        });
        match timeout(within, stored).await {
            Ok(stored) => stored,
            Err(_) => Err(Error::Deadline { may_have_happened: true }),
        }
    }
}
