//! One run from start to end: the broker, the threads, the stages and what is read in between.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::broker::Broker;
use crate::layout::deal;
use crate::progress::Progress;
use crate::report::Measured;
use crate::tally::{Meter, sum};
use crate::usage::{Usage, own_cpu, raise_file_limit};
use crate::worker::{Job, Stage, start};
use crate::{Access, Error, Plan, Report, Target};

/// How often the threads are watched.
const TICK: Duration = Duration::from_millis(100);
/// Quiet after which the broker counts as idle and its memory is read.
const IDLE: Duration = Duration::from_secs(1);
/// Time between the announcement of the load and its first publish.
const LEAD: Duration = Duration::from_millis(5);
/// How often receipts are looked at while the last ones arrive.
const DRAIN_TICK: Duration = Duration::from_millis(5);
/// Silence after which what is missing counts as lost.
const QUIET: Duration = Duration::from_secs(5);

/// Carries out `plan` against `target`. Needs a tokio runtime with time and signals; the load
/// itself runs on threads of its own.
///
/// A broker of the run's own is ended, and its data removed, whatever ends the run: also a panic,
/// a dropped future, SIGINT or SIGTERM.
///
/// # Errors
/// `Invalid` for a plan out of range; else whatever kept the run from its result.
pub async fn run(plan: &Plan, target: Target) -> Result<Report, Error> {
    plan.check()?;
    until_told(carry_out(plan, target)).await
}

/// Does the work, unless a signal ends it first.
pub(crate) async fn until_told<T>(
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let listen = |kind| {
        signal(kind).map_err(|error| Error::System(format!("cannot listen for signals: {error}")))
    };
    let (mut interrupt, mut terminate) =
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::select! {
        biased;
        _ = interrupt.recv() => Err(Error::Interrupted),
        _ = terminate.recv() => Err(Error::Interrupted),
        done = work => done,
    }
}

async fn carry_out(plan: &Plan, target: Target) -> Result<Report, Error> {
    raise_file_limit();
    plan.transport.check_target(&target)?;
    let (access, broker) = target.open().await?;
    let mut run = Run::start(plan, access, broker)?;
    let measured = run.measure().await?;
    let tally = Meter::merged(run.meters.iter().map(|meter| &**meter));
    if run.broker.is_none() {
        run.stage(Stage::Close).await?;
    }
    Ok(Report::new(plan, &tally, measured))
}

/// Everything that a run has started.
struct Run {
    meters: Vec<Arc<Meter>>,
    threads: Vec<JoinHandle<()>>,
    stage: watch::Sender<Stage>,
    done: mpsc::UnboundedReceiver<Result<(), Error>>,
    progress: Progress,
    broker: Option<Broker>,
}

impl Run {
    fn start(plan: &Plan, access: Access, broker: Option<Broker>) -> Result<Self, Error> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (stage, announced) = watch::channel(Stage::Waiting);
        let (report, done) = mpsc::unbounded_channel();
        let (meters, threads) = (Vec::new(), Vec::with_capacity(threads));
        let mut run = Run { meters, threads, stage, done, progress: Progress::new(), broker };
        for share in deal(plan, run.threads.capacity())? {
            let meter = Arc::new(Meter::new());
            run.meters.push(meter.clone());
            run.threads.push(start(Job {
                plan: plan.clone(),
                access: access.clone(),
                share,
                meter,
                stage: announced.clone(),
                done: report.clone(),
            })?);
        }
        Ok(run)
    }

    async fn measure(&mut self) -> Result<Measured, Error> {
        self.stage(Stage::Sources).await?;
        let before = self.server();
        let began = Instant::now();
        self.stage(Stage::Connect).await?;
        let connecting = began.elapsed();
        self.stage(Stage::Join).await?;
        sleep(IDLE).await;
        let idle = self.server();

        let start = (self.server_cpu(), own_cpu());
        self.stage(Stage::Load(Instant::now() + LEAD)).await?;
        let end = self.drain().await?;
        Ok(Measured {
            published: self.sum(|meter| &meter.published),
            received: self.sum(|meter| &meter.received),
            expected: self.sum(|meter| &meter.expected),
            connecting,
            server_cpu: start.0.zip(end.0).map(|(start, end)| end.saturating_sub(start)),
            generator_cpu: end.1.saturating_sub(start.1),
            grown_bytes: before
                .zip(idle)
                .map(|(before, idle)| idle.resident_bytes as f64 - before.resident_bytes as f64),
        })
    }

    /// Announces a stage and waits until every thread is through with it.
    async fn stage(&mut self, stage: Stage) -> Result<(), Error> {
        self.stage.send_replace(stage);
        let began = Instant::now();
        let mut open = self.threads.len();
        while open > 0 {
            tokio::select! {
                done = self.done.recv() => {
                    done.unwrap_or_else(|| Err(ended()))?;
                    open -= 1;
                }
                () = sleep(TICK) => self.watch(stage, began)?,
            }
        }
        Ok(())
    }

    /// Waits until everything has been received, or nothing more comes; answers the CPU times of
    /// broker and generator at the last receipt.
    async fn drain(&mut self) -> Result<(Option<Duration>, Duration), Error> {
        let began = Instant::now();
        let (mut received, mut at) = (0, Instant::now());
        let mut cpu = (self.server_cpu(), own_cpu());
        while at.elapsed() < QUIET {
            let sum = self.sum(|meter| &meter.received);
            if sum > received {
                (received, at) = (sum, Instant::now());
                cpu = (self.server_cpu(), own_cpu());
            }
            if received >= self.sum(|meter| &meter.expected) {
                break;
            }
            self.watch(Stage::Waiting, began)?;
            sleep(DRAIN_TICK).await;
        }
        Ok(cpu)
    }

    /// Shows how far the run is, and fails it if a thread or the broker has ended.
    fn watch(&mut self, stage: Stage, began: Instant) -> Result<(), Error> {
        if self.threads.iter().any(JoinHandle::is_finished) {
            return Err(ended());
        }
        if let Some(broker) = &mut self.broker {
            broker.check()?;
        }
        let (meters, seconds) = (&self.meters, began.elapsed().as_secs());
        let count = |what: fn(&Meter) -> &AtomicU64| sum(meters.iter().map(|meter| &**meter), what);
        self.progress.show(|| match stage {
            Stage::Connect => format!("connected {}", count(|meter| &meter.connected)),
            Stage::Join => format!("subscribed {}", count(|meter| &meter.ready)),
            Stage::Load(_) => {
                let published = count(|meter| &meter.published);
                format!("{seconds} s: published {published}, received {}", count(|m| &m.received))
            }
            _ => format!("received {}", count(|meter| &meter.received)),
        });
        Ok(())
    }

    fn sum(&self, count: fn(&Meter) -> &AtomicU64) -> u64 {
        sum(self.meters.iter().map(|meter| &**meter), count)
    }

    fn server(&self) -> Option<Usage> {
        self.broker.as_ref().and_then(|broker| Usage::of(broker.id()))
    }

    fn server_cpu(&self) -> Option<Duration> {
        self.broker.as_ref().and_then(|broker| Usage::cpu_of(broker.id()))
    }
}

fn ended() -> Error {
    Error::System("a thread of the generator ended early".to_owned())
}
