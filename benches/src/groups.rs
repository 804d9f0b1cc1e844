//! Workers of a group: one publisher, and how fast and how soon its messages are worked off.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use sampan_client::{Client, Consumer, Endpoint, Job, Message, Settling, Topic};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::layout::run_id;
use crate::plan::SIZE_MIN;
use crate::report::{quantile, round};
use crate::requests::panicked;
use crate::run::until_told;
use crate::tally::{Meter, sum};
use crate::usage::{Usage, own_cpu};
use crate::{Access, Error, Target, clock};

/// Messages that may be published and not acked, beyond what the workers hold.
const AHEAD: u64 = 4096;
/// Silence after which what is not acked counts as lost.
const QUIET: Duration = Duration::from_secs(5);
/// How often the counts are looked at.
const TICK: Duration = Duration::from_millis(5);

/// One run with a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupPlan {
    /// Workers, each with a connection of its own.
    pub workers: usize,
    /// Messages that a worker holds at most.
    pub window: u32,
    /// Bytes of a payload, 8 or more: it carries the time of its publish call.
    pub size: usize,
    /// For how long messages are published.
    pub seconds: u64,
}

impl Default for GroupPlan {
    /// The numbers of the row in the table of figures.
    fn default() -> Self {
        GroupPlan { workers: 4, window: 1000, size: 128, seconds: 10 }
    }
}

impl GroupPlan {
    /// Checks the ranges of all numbers.
    ///
    /// # Errors
    /// `Invalid` names what is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
        if self.workers == 0 || self.seconds == 0 {
            return invalid("workers and seconds are 1 or more");
        }
        if !(1..=10_000).contains(&self.window) {
            return invalid("the window is 1 to 10,000 messages");
        }
        if !(SIZE_MIN..=1024 * 1024).contains(&self.size) {
            return invalid("the size is 8 to 1,048,576 bytes");
        }
        Ok(())
    }
}

/// The result of one run with a group. Serialized, it is the object that `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Messages handed to workers per second.
    pub delivered_per_s: f64,
    /// Acks stored per second.
    pub acked_per_s: f64,
    /// Median time from the publish call to the stored ack.
    pub p50_us: f64,
    /// Time that 99 of 100 messages kept.
    pub p99_us: f64,
    /// Messages that were handed out a second time or more.
    pub redelivered: u64,
    /// User and system time of the broker per message; only for a broker of the run's own.
    pub server_us_per_message: Option<f64>,
    /// User and system time of the generator per message.
    pub generator_us_per_message: f64,
    /// Messages published.
    pub published: u64,
    /// Messages handed to workers.
    pub delivered: u64,
    /// Messages acked.
    pub acked: u64,
    /// Workers.
    pub workers: usize,
    /// Messages that a worker holds at most.
    pub window: u32,
    /// Bytes of a payload.
    pub size: usize,
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupReport { workers, window, size, published, acked, redelivered, .. } = self;
        writeln!(f, "groups: {workers} workers, window {window}, {size} B")?;
        writeln!(f, "  delivered          {} /s", self.delivered_per_s)?;
        writeln!(f, "  acked              {} /s ({acked} of {published})", self.acked_per_s)?;
        writeln!(f, "  p50, p99           {} us, {} us", self.p50_us, self.p99_us)?;
        writeln!(f, "  redelivered        {redelivered}")?;
        if let Some(us) = self.server_us_per_message {
            writeln!(f, "  broker             {us} us of CPU per message")?;
        }
        write!(f, "  generator          {} us of CPU per message", self.generator_us_per_message)
    }
}

/// Carries out `plan` against `target`, as [`crate::run()`] does.
///
/// # Errors
/// `Invalid` for a plan out of range; else whatever kept the run from its result.
pub async fn run_groups(plan: &GroupPlan, target: Target) -> Result<GroupReport, Error> {
    plan.check()?;
    until_told(carry_out(plan, target)).await
}

async fn carry_out(plan: &GroupPlan, target: Target) -> Result<GroupReport, Error> {
    let (access, mut broker) = target.open_broker().await?;
    let topic =
        Topic::parse(&format!("work.bench-{}", run_id())).map_err(sampan_client::invalid)?;
    let crew = Crew::start(plan, &access, &topic).await?;
    let cpu = |of: &Option<Broker>| of.as_ref().and_then(|broker| Usage::cpu_of(broker.id()));
    let before = (cpu(&broker), own_cpu());
    publish(plan, &access, topic, &crew).await?;
    crew.drain(broker.as_mut()).await?;
    let after = (cpu(&broker), own_cpu());
    let report = crew.report(plan, before, after);
    crew.end();
    Ok(report)
}

/// What the threads of the workers have in common.
#[derive(Debug, Default)]
struct Counts {
    delivered: AtomicU64,
    redelivered: AtomicU64,
}

/// The workers at work.
struct Crew {
    meters: Vec<Arc<Meter>>,
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<Result<(), Error>>>,
    stop: watch::Sender<bool>,
    room: u64,
}

impl Crew {
    /// Starts the workers' threads, and waits until all have joined the group.
    async fn start(plan: &GroupPlan, access: &Access, topic: &Topic) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(plan.workers);
        let (stop, stopped) = watch::channel(false);
        let (tell, mut joined) = mpsc::unbounded_channel();
        let mut crew = Crew {
            meters: Vec::new(),
            counts: Arc::default(),
            threads: Vec::new(),
            stop,
            room: AHEAD + plan.workers as u64 * u64::from(plan.window),
        };
        for thread in 0..threads {
            let share = Share {
                plan: plan.clone(),
                access: access.clone(),
                topic: topic.clone(),
                workers: (plan.workers - thread).div_ceil(threads),
                meter: Arc::new(Meter::new()),
                counts: crew.counts.clone(),
                stopped: stopped.clone(),
                joined: tell.clone(),
            };
            crew.meters.push(share.meter.clone());
            let system =
                |error: std::io::Error| Error::System(format!("cannot start a thread: {error}"));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(system)?;
            let thread = std::thread::Builder::new().name("load".to_owned());
            let work = move || runtime.block_on(share.work());
            crew.threads.push(thread.spawn(work).map_err(system)?);
        }
        drop(tell);
        for _ in 0..plan.workers {
            if joined.recv().await.is_none() {
                return Err(crew.failed());
            }
        }
        Ok(crew)
    }

    fn acked(&self) -> u64 {
        sum(self.meters.iter().map(|meter| &**meter), |meter| &meter.received)
    }

    fn published(&self) -> u64 {
        sum(self.meters.iter().map(|meter| &**meter), |meter| &meter.published)
    }

    /// Waits until everything is acked, or nothing more is.
    async fn drain(&self, mut broker: Option<&mut Broker>) -> Result<(), Error> {
        let (mut acked, mut at) = (0, Instant::now());
        while at.elapsed() < QUIET && acked < self.published() {
            if let Some(broker) = &mut broker {
                broker.check()?;
            }
            tokio::time::sleep(TICK).await;
            let now = self.acked();
            if now > acked {
                (acked, at) = (now, Instant::now());
            }
        }
        Ok(())
    }

    fn report(
        &self,
        plan: &GroupPlan,
        before: (Option<Duration>, Duration),
        after: (Option<Duration>, Duration),
    ) -> GroupReport {
        let tally = Meter::merged(self.meters.iter().map(|meter| &**meter));
        let span_s = tally.last_ns.saturating_sub(tally.first_ns).max(1) as f64 / 1e9;
        let (acked, delivered) = (self.acked(), self.counts.delivered.load(Ordering::Relaxed));
        let per_message = |cpu: Duration| round(cpu.as_secs_f64() * 1e6 / acked.max(1) as f64, 3);
        let server = before.0.zip(after.0).map(|(before, after)| after.saturating_sub(before));
        GroupReport {
            delivered_per_s: round(delivered as f64 / span_s, 1),
            acked_per_s: round(acked as f64 / span_s, 1),
            p50_us: quantile(&tally.latency, 0.5),
            p99_us: quantile(&tally.latency, 0.99),
            redelivered: self.counts.redelivered.load(Ordering::Relaxed),
            server_us_per_message: server.map(per_message),
            generator_us_per_message: per_message(after.1.saturating_sub(before.1)),
            published: self.published(),
            delivered,
            acked,
            workers: plan.workers,
            window: plan.window,
            size: plan.size,
        }
    }

    /// Why a thread has ended early.
    fn failed(&mut self) -> Error {
        let ended = || Error::System("a thread of the generator ended early".to_owned());
        let failed = self.threads.drain(..).find(JoinHandle::is_finished);
        failed.and_then(|thread| thread.join().ok()).and_then(Result::err).unwrap_or_else(ended)
    }

    fn end(self) {
        self.stop.send_replace(true);
        for thread in self.threads {
            // The run is over; what a worker did not finish no longer matters.
            let _ = thread.join();
        }
    }
}

/// Publishes for as long as the plan says, at most so far ahead of the workers.
async fn publish(
    plan: &GroupPlan,
    access: &Access,
    topic: Topic,
    crew: &Crew,
) -> Result<(), Error> {
    let endpoint = Endpoint::bind(access.local(), &access.trust)?;
    let client = Client::connect(access.options(&endpoint)).await?;
    let (publisher, _) = client.publisher();
    let until = Instant::now() + Duration::from_secs(plan.seconds);
    let meter = &crew.meters[0];
    let mut published = 0;
    while Instant::now() < until {
        let turn = (crew.acked() + crew.room).saturating_sub(published).min(128);
        if turn == 0 {
            tokio::time::sleep(Duration::from_micros(200)).await;
            continue;
        }
        for _ in 0..turn {
            let now = clock::nanos();
            let mut payload = BytesMut::with_capacity(plan.size);
            payload.put_u64_le(now);
            payload.resize(plan.size, b'.');
            publisher.publish(Message::new(topic.clone(), payload)).await?;
            if published == 0 {
                meter.tally().published(now, now);
            }
            published += 1;
        }
        meter.published.store(published, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
    publisher.flush().await?;
    let (queued, acked, refused) = publisher.counts();
    if refused > 0 {
        return Err(Error::System(format!("{refused} of {queued} publishes refused, {acked} not")));
    }
    Ok(())
}

/// One thread's share of the workers.
struct Share {
    plan: GroupPlan,
    access: Access,
    topic: Topic,
    workers: usize,
    meter: Arc<Meter>,
    counts: Arc<Counts>,
    stopped: watch::Receiver<bool>,
    joined: mpsc::UnboundedSender<()>,
}

impl Share {
    async fn work(mut self) -> Result<(), Error> {
        let endpoint = Endpoint::bind(self.access.local(), &self.access.trust)?;
        let mut workers = JoinSet::new();
        let mut clients = Vec::new();
        for _ in 0..self.workers {
            let client = Client::connect(self.access.options(&endpoint)).await?;
            let group = self.topic.as_str();
            let consumer = client.consume(group, &self.topic).window(self.plan.window).await?;
            let (settle, settling) = mpsc::unbounded_channel();
            workers.spawn(take(consumer, settle, self.counts.clone()));
            workers.spawn(stored(settling, self.meter.clone()));
            clients.push(client);
            // Whoever waits for all of them may have given up.
            let _ = self.joined.send(());
        }
        drop(self.joined);
        loop {
            tokio::select! {
                changed = self.stopped.changed() => {
                    if changed.is_err() || *self.stopped.borrow() {
                        break;
                    }
                }
                Some(ended) = workers.join_next() => ended.map_err(panicked)??,
            }
        }
        workers.shutdown().await;
        for client in clients {
            let _ = client.close().await;
        }
        Ok(())
    }
}

/// Acks every job as it comes. The window bounds what waits for the broker.
async fn take(
    mut consumer: Consumer,
    settle: mpsc::UnboundedSender<(u64, Settling)>,
    counts: Arc<Counts>,
) -> Result<(), Error> {
    let mut jobs: Vec<Job> = Vec::new();
    while consumer.next_many(&mut jobs).await > 0 {
        counts.delivered.fetch_add(jobs.len() as u64, Ordering::Relaxed);
        let again = jobs.iter().filter(|job| job.attempt() > 1).count();
        counts.redelivered.fetch_add(again as u64, Ordering::Relaxed);
        for job in jobs.drain(..) {
            let sent =
                job.payload_bytes().first_chunk().map_or(0, |time| u64::from_le_bytes(*time));
            if settle.send((sent, job.ack())).is_err() {
                return Ok(());
            }
        }
    }
    consumer.error().map_or(Ok(()), |error| Err(error.into()))
}

/// Counts what is stored.
async fn stored(
    mut settling: mpsc::UnboundedReceiver<(u64, Settling)>,
    meter: Arc<Meter>,
) -> Result<(), Error> {
    while let Some((sent, settling)) = settling.recv().await {
        match settling.await {
            Ok(_) => {
                meter.tally().delivered(sent, clock::nanos());
                meter.received.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => meter.tally().refused += 1,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        let plan = GroupPlan::default();
        assert!(plan.check().is_ok());
        let cases = [
            GroupPlan { workers: 0, ..plan.clone() },
            GroupPlan { window: 0, ..plan.clone() },
            GroupPlan { window: 10_001, ..plan.clone() },
            GroupPlan { size: 7, ..plan.clone() },
            GroupPlan { seconds: 0, ..plan },
        ];
        for plan in cases {
            assert!(plan.check().is_err(), "{plan:?}");
        }
    }
}
