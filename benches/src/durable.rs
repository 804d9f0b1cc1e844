//! Publishing to durable topics: how many messages a broker acknowledges, how fast, and what it
//! writes for them.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_client::{AckLevel, Client, Endpoint, Message, Topic};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::broker::{Broker, Metrics};
use crate::layout::run_id;
use crate::report::{quantile, round};
use crate::requests::panicked;
use crate::run::until_told;
use crate::tally::Tally;
use crate::usage::{Usage, own_cpu, raise_file_limit};
use crate::{Access, Error, Target, clock, thread};

/// Syncs whose median is the measure of the disk.
const SYNCS: usize = 300;
/// Bytes of each.
const SYNC_BYTES: usize = 4096;
/// Slots for send times per message of the window; acks of a topic come in order.
const SLOTS_PER_MESSAGE: usize = 4;

/// One run of publishes to durable topics.
#[derive(Clone, Debug, PartialEq)]
pub struct Durable {
    /// Publishers, each with a connection and a topic of its own.
    pub publishers: usize,
    /// Messages of a publisher that wait for their acks at most.
    pub window: usize,
    /// Bytes of a payload.
    pub size: usize,
    /// For how long messages are published.
    pub seconds: u64,
    /// The ack that is asked for.
    pub ack: AckLevel,
}

impl Default for Durable {
    fn default() -> Self {
        Durable { publishers: 8, window: 64, size: 128, seconds: 10, ack: AckLevel::Synced }
    }
}

/// The result of one run. Serialized, it is the object that `sampan bench durable --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DurableReport {
    /// Messages acked per second, from the first publish to the last ack.
    pub acked_per_s: f64,
    /// Median time from the publish call to the ack.
    pub p50_us: f64,
    /// Time that 99 of 100 acks kept.
    pub p99_us: f64,
    /// Messages per sync of the journal; this and the following only for a broker of the run's own.
    pub acks_per_fsync: Option<f64>,
    /// User and system time of the broker per message.
    pub server_us_per_message: Option<f64>,
    /// Bytes written to segments per byte of payload.
    pub bytes_written_per_payload: Option<f64>,
    /// Median time of one fdatasync after an overwrite of 4 KiB in the same directory, before the
    /// load.
    pub fdatasync_p50_us: Option<f64>,

    /// Publishers.
    pub publishers: usize,
    /// Messages of each that wait at most.
    pub window: usize,
    /// Bytes of a payload.
    pub size: usize,
    /// The ack that was asked for.
    pub ack: &'static str,
    /// Messages acked.
    pub acked: u64,
    /// Messages refused.
    pub refused: u64,
    /// Share of one core that the broker used.
    pub server_cpu_pct: Option<f64>,
    /// User and system time of the generator per message.
    pub generator_us_per_message: f64,
}

/// Carries out `plan` against `target`, as [`run`](crate::run()) does.
///
/// # Errors
/// `Invalid` for a plan out of range; else whatever kept the run from its result.
pub async fn durable(plan: &Durable, target: Target) -> Result<DurableReport, Error> {
    if plan.publishers == 0 || plan.window == 0 || plan.seconds == 0 {
        return Err(Error::Invalid("publishers, window and seconds are 1 or more".to_owned()));
    }
    if plan.size > 1024 * 1024 {
        return Err(Error::Invalid("the size is 0 to 1048576 bytes".to_owned()));
    }
    until_told(carry_out(plan, target)).await
}

async fn carry_out(plan: &Durable, target: Target) -> Result<DurableReport, Error> {
    raise_file_limit();
    let (access, broker) = target.open_broker().await?;
    measure(plan, &access, broker.as_ref()).await
}

async fn measure(
    plan: &Durable,
    access: &Access,
    broker: Option<&Broker>,
) -> Result<DurableReport, Error> {
    let fdatasync_p50_us = broker.map(|broker| fdatasync_us(broker.data())).transpose()?;
    let cpu = || broker.and_then(|broker| Usage::cpu_of(broker.id()));
    let counts = || broker.map(|broker| broker.metrics().map(|text| Counts::of(&text))).transpose();
    let (cpu_before, own_before, before) = (cpu(), own_cpu(), counts()?);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(plan.publishers);
    let mut results = Vec::new();
    for number in 0..threads {
        let numbers: Vec<usize> = (number..plan.publishers).step_by(threads).collect();
        let (plan, access): (Durable, Access) = (plan.clone(), access.clone());
        results.push(thread::start(move |tell| publishers(plan, access, numbers, tell))?);
    }
    let (mut tally, mut acked) = (Tally::new(), 0);
    for result in results {
        let (part, count) = result.await.map_err(|_| thread::ended())??;
        tally.add(&part);
        acked += count;
    }
    let (cpu_after, own_after, after) = (cpu(), own_cpu(), counts()?);
    let span_s = tally.last_ns.saturating_sub(tally.first_ns).max(1) as f64 / 1e9;
    let server = cpu_before.zip(cpu_after).map(|(before, after)| (after - before).as_secs_f64());
    let written = before.zip(after).map(|(before, after)| after.since(before));
    let messages = (acked as f64).max(1.0);
    Ok(DurableReport {
        acked_per_s: round(acked as f64 / span_s, 1),
        p50_us: quantile(&tally.latency, 0.5),
        p99_us: quantile(&tally.latency, 0.99),
        acks_per_fsync: written.map(|counts| round(messages / counts.syncs.max(1.0), 1)),
        server_us_per_message: server.map(|cpu| round(cpu * 1e6 / messages, 3)),
        bytes_written_per_payload: written
            .map(|counts| round(counts.written_bytes / (messages * plan.size.max(1) as f64), 3)),
        fdatasync_p50_us,
        publishers: plan.publishers,
        window: plan.window,
        size: plan.size,
        ack: plan.ack.name(),
        acked,
        refused: tally.refused,
        server_cpu_pct: server.map(|cpu| round(100.0 * cpu / span_s, 1)),
        generator_us_per_message: round((own_after - own_before).as_secs_f64() * 1e6 / messages, 3),
    })
}

type Outcome = Result<(Tally, u64), Error>;

/// The work of one thread: the publishers of these numbers.
async fn publishers(
    plan: Durable,
    access: Access,
    numbers: Vec<usize>,
    tell: oneshot::Sender<Outcome>,
) {
    // Nobody listens to a run that was given up.
    let _ = tell.send(work(&plan, &access, &numbers).await);
}

async fn work(plan: &Durable, access: &Access, numbers: &[usize]) -> Outcome {
    let endpoint = Endpoint::bind(access.local(), &access.trust)?;
    let (mut clients, run) = (Vec::new(), run_id());
    for number in numbers {
        let client = Client::connect(access.options(&endpoint)).await?;
        let topic = Topic::parse(&format!("demo.bench.{run}.{number}"));
        let topic = topic.map_err(sampan_client::invalid)?;
        // It shows that the token may, and opens the topic.
        client.publish(message(&topic, plan, &vec![b'.'; plan.size].into())).await?;
        clients.push((client, topic));
    }
    let until = Instant::now() + Duration::from_secs(plan.seconds);
    let mut tasks = JoinSet::new();
    for (client, topic) in clients {
        tasks.spawn(publish(plan.clone(), client, topic, until));
    }
    let (mut tally, mut acked) = (Tally::new(), 0);
    while let Some(ended) = tasks.join_next().await {
        let (part, count) = ended.map_err(panicked)??;
        tally.add(&part);
        acked += count;
    }
    Ok((tally, acked))
}

fn message(topic: &Topic, plan: &Durable, payload: &Bytes) -> Message {
    Message::new(topic.clone(), payload.clone()).ack(plan.ack)
}

/// Publishes until `until` with at most a window of messages on their way, and waits for their acks.
async fn publish(plan: Durable, client: Client, topic: Topic, until: Instant) -> Outcome {
    let payload: Bytes = vec![b'.'; plan.size].into();
    let (publisher, mut acks) = client.publisher();
    let (mut tally, mut acked, mut open) = (Tally::new(), 0, 0);
    let mut sent = vec![0; plan.window * SLOTS_PER_MESSAGE];
    let slots = sent.len() as u64;
    let mut settled = Vec::new();
    loop {
        let goes_on = Instant::now() < until;
        while goes_on && open < plan.window {
            let now = clock::nanos();
            let ordinal = publisher.publish(message(&topic, &plan, &payload)).await?;
            sent[(ordinal % slots) as usize] = now;
            tally.published(now, now);
            open += 1;
        }
        if open == 0 {
            break;
        }
        acks.next_many(&mut settled).await;
        let now = clock::nanos();
        for settled in settled.drain(..) {
            open -= 1;
            match settled.result {
                Ok(_) => {
                    tally.delivered(sent[(settled.ordinal % slots) as usize], now);
                    acked += 1;
                }
                Err(error @ sampan_client::Error::Closed { .. }) => return Err(error.into()),
                Err(_) => tally.refused += 1,
            }
        }
    }
    Ok((tally, acked))
}

/// Counts of the broker's journals.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    written_bytes: f64,
    syncs: f64,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        Counts {
            written_bytes: metrics.value("sampan_journal_written_bytes_total"),
            syncs: metrics.value("sampan_journal_syncs_total"),
        }
    }

    fn since(self, before: Self) -> Self {
        let written_bytes = self.written_bytes - before.written_bytes;
        Counts { written_bytes, syncs: self.syncs - before.syncs }
    }
}

/// Median time of one fdatasync after an overwrite.
fn fdatasync_us(directory: &Path) -> Result<f64, Error> {
    let failed = |error: std::io::Error| Error::System(format!("cannot measure the disk: {error}"));
    let path = directory.join("bench-sync");
    let measured = || -> std::io::Result<Vec<Duration>> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        let block = [0x5A; SYNC_BYTES];
        file.write_all_at(&block, 0)?;
        file.sync_all()?;
        let one = |_| {
            let began = Instant::now();
            file.write_all_at(&block, 0)?;
            file.sync_data()?;
            Ok(began.elapsed())
        };
        let times = (0..SYNCS).map(one).collect();
        std::fs::remove_file(&path)?;
        times
    };
    let mut times = measured().map_err(failed)?;
    times.sort_unstable();
    Ok(round(times[times.len() / 2].as_secs_f64() * 1e6, 1))
}

impl fmt::Display for DurableReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DurableReport { publishers, window, size, ack, acked, refused, .. } = self;
        writeln!(f, "durable: {publishers} publishers, {window} in flight each, {size} B, {ack}")?;
        writeln!(f, "{:.0} acked/s ({acked} acked, {refused} refused)", self.acked_per_s)?;
        write!(f, "ack p50 {:.0} us, p99 {:.0} us", self.p50_us, self.p99_us)?;
        if let Some(us) = self.fdatasync_p50_us {
            write!(f, "; one fdatasync p50 {us:.0} us")?;
        }
        if let (Some(acks), Some(us)) = (self.acks_per_fsync, self.server_us_per_message) {
            write!(f, "\n{acks:.1} acks per fsync, broker {us:.2} us per message")?;
        }
        if let Some(written) = self.bytes_written_per_payload {
            write!(f, ", {written:.2} bytes written per byte of payload")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_among_the_metrics() {
        let text = "# TYPE x counter\nsampan_journal_syncs_total 7\nsampan_journal_written_bytes_total 9\n";
        let counts = Counts::of(&Metrics(text.to_owned()));
        assert_eq!(counts, Counts { written_bytes: 9.0, syncs: 7.0 });
        assert_eq!(counts.since(Counts { written_bytes: 4.0, syncs: 2.0 }).syncs, 5.0);
        assert_eq!(Counts::of(&Metrics(String::new())), Counts::default());
    }

    #[test]
    fn the_disk_is_measured_and_left_as_it_was() {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(fdatasync_us(directory.path()).expect("measured") > 0.0);
        assert_eq!(std::fs::read_dir(directory.path()).expect("listed").count(), 0);
    }
}
