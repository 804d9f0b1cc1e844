//! The resume storm: every reader is cut off, misses messages, and all come back at the same moment.

mod report;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use sampan_client::{AckLevel, Client, Endpoint, Message, Topic};
use tokio::time::sleep;

use crate::broker::Broker;
use crate::crowd::{Crowd, Reader};
use crate::layout::run_id;
use crate::plan::{SIZE_MAX, SIZE_MIN};
use crate::progress::Progress;
use crate::run::until_told;
use crate::usage::{Usage, own_cpu, raise_file_limit};
use crate::{Access, Error, Target};

use report::Measured;
pub use report::ResumeReport;

/// How often the counts are looked at.
const TICK: Duration = Duration::from_millis(5);
/// Quiet after which the broker counts as idle and its memory is read.
const IDLE: Duration = Duration::from_secs(1);
/// Silence after which what is missing counts as lost.
const QUIET: Duration = Duration::from_secs(10);
/// How long the broker may take to notice that the readers are gone.
const GONE: Duration = Duration::from_secs(60);

/// One resume storm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResumePlan {
    /// Readers, each with a connection of its own. 1 or more.
    pub connections: usize,
    /// Durable topics that they are dealt out to. 1 to `connections`.
    pub rooms: usize,
    /// Messages of each room that its readers miss. 1 or more.
    pub missed: u64,
    /// Bytes of a payload, 8 or more: it carries the message's number.
    pub size: usize,
}

impl Default for ResumePlan {
    /// The numbers of the row in the table of figures.
    fn default() -> Self {
        ResumePlan { connections: 10_000, rooms: 100, missed: 100, size: 128 }
    }
}

impl ResumePlan {
    /// Checks the ranges of all numbers.
    ///
    /// # Errors
    /// `Invalid` names what is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |text: &str| Err(Error::Invalid(text.to_owned()));
        if self.rooms == 0 || self.rooms > self.connections {
            return invalid("there are 1 room or more, and as many connections as rooms or more");
        }
        if !(1..=1_000_000).contains(&self.missed) {
            return invalid("the missed messages are 1 to 1,000,000");
        }
        if !(SIZE_MIN..=SIZE_MAX).contains(&self.size) {
            return invalid("the size is 8 to 1,048,576 bytes");
        }
        Ok(())
    }

    fn expected(&self) -> u64 {
        self.connections as u64 * self.missed
    }
}

/// Carries out `plan` against `target`, as [`crate::run()`] does.
///
/// # Errors
/// `Invalid` for a plan out of range; else whatever kept the run from its result.
pub async fn run_resume(plan: &ResumePlan, target: Target) -> Result<ResumeReport, Error> {
    plan.check()?;
    until_told(carry_out(plan, target)).await
}

async fn carry_out(plan: &ResumePlan, target: Target) -> Result<ResumeReport, Error> {
    raise_file_limit();
    let (access, broker) = target.open_broker().await?;
    Storm { plan, access, broker, progress: Progress::new() }.measure().await
}

/// One run from start to end.
struct Storm<'a> {
    plan: &'a ResumePlan,
    access: Access,
    broker: Option<Broker>,
    progress: Progress,
}

impl Storm<'_> {
    async fn measure(mut self) -> Result<ResumeReport, Error> {
        let endpoint = Endpoint::bind(self.access.local(), &self.access.trust)?;
        let client = Client::connect(self.access.options(&endpoint)).await?;
        let rooms = self.open(&client).await?;

        let places = rooms.iter().cycle().take(self.plan.connections);
        let readers: Vec<Reader> = places.map(|(topic, _)| Reader::new(topic.clone())).collect();
        let mut crowd = Crowd::start(&self.access, &readers, 0)?;
        self.settle(&mut crowd).await?;
        sleep(IDLE).await;
        let connected = self.memory();

        let readers = crowd.leave().await?;
        self.until_gone().await?;
        drop(crowd);
        self.publish(&client, &rooms).await?;
        sleep(IDLE).await;
        let before = self.memory();

        let cpu = (self.cpu(), own_cpu());
        let mut crowd = Crowd::start(&self.access, &readers, self.plan.missed)?;
        let cpu_after = self.settle(&mut crowd).await?;
        // A message that comes twice has this time to do so.
        sleep(IDLE).await;
        crowd.check()?;
        let measured = Measured {
            server_cpu: cpu.0.zip(cpu_after.0).map(|(before, after)| after.saturating_sub(before)),
            generator_cpu: cpu_after.1.saturating_sub(cpu.1),
            memory: [connected, before, self.peak(), self.memory()],
        };
        let report = ResumeReport::new(self.plan, &crowd.counts, measured);
        if self.broker.is_none() {
            crowd.leave().await?;
        }
        Ok(report)
    }

    /// Opens the rooms' topics with a message each; answers its offsets.
    async fn open(&self, client: &Client) -> Result<Vec<(Topic, u64)>, Error> {
        let run = run_id();
        let mut rooms = Vec::with_capacity(self.plan.rooms);
        for number in 0..self.plan.rooms {
            let topic = Topic::parse(&format!("analytics.bench.{run}.{number}"));
            let topic = topic.map_err(sampan_client::invalid)?;
            let offset = client.publish(self.message(&topic, 0)).await?.offset;
            rooms.push((topic, offset));
        }
        Ok(rooms)
    }

    /// Publishes what the readers miss, one message of every room after the other.
    async fn publish(&self, client: &Client, rooms: &[(Topic, u64)]) -> Result<(), Error> {
        let (publisher, _) = client.publisher();
        for ordinal in 1..=self.plan.missed {
            for (topic, opened) in rooms {
                publisher.publish(self.message(topic, opened + ordinal)).await?;
            }
        }
        publisher.flush().await?;
        let (queued, acked, _) = publisher.counts();
        if acked < queued {
            return Err(Error::System(format!("{acked} of {queued} publishes were acked")));
        }
        Ok(())
    }

    fn message(&self, topic: &Topic, number: u64) -> Message {
        let mut payload = BytesMut::with_capacity(self.plan.size);
        payload.put_u64_le(number);
        payload.resize(self.plan.size, b'.');
        Message::new(topic.clone(), payload).ack(AckLevel::Synced)
    }

    /// Waits until all readers are through, or nothing more comes; answers the CPU times of broker
    /// and generator then.
    async fn settle(&mut self, crowd: &mut Crowd) -> Result<(Option<Duration>, Duration), Error> {
        let (mut seen, mut at) = (0, Instant::now());
        let mut cpu = (self.cpu(), own_cpu());
        while at.elapsed() < QUIET {
            crowd.check()?;
            if let Some(broker) = &mut self.broker {
                broker.check()?;
            }
            let meter = &crowd.counts.meter;
            let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let (connected, ready) = (count(&meter.connected), count(&meter.ready));
            let now = connected + ready + count(&meter.received);
            if now > seen {
                (seen, at) = (now, Instant::now());
                cpu = (self.cpu(), own_cpu());
            }
            if ready >= self.plan.connections as u64 {
                break;
            }
            self.progress.show(|| format!("connected {connected}, up to date {ready}"));
            sleep(TICK).await;
        }
        Ok(cpu)
    }

    /// Waits until the broker counts no connection but the publisher's. One that is not the run's
    /// own is taken at the readers' word.
    async fn until_gone(&self) -> Result<(), Error> {
        let Some(broker) = &self.broker else { return Ok(()) };
        let until = Instant::now() + GONE;
        while Instant::now() < until {
            let metrics = broker.metrics()?;
            // The counts lag: those from before the readers came are not meant.
            let came = metrics.value("sampan_sessions_opened_total") > self.plan.connections as f64;
            if came && metrics.value("sampan_connections") <= 1.0 {
                return Ok(());
            }
            sleep(TICK * 10).await;
        }
        Err(Error::Broker("the broker keeps connections that are closed".to_owned()))
    }

    fn cpu(&self) -> Option<Duration> {
        self.broker.as_ref().and_then(|broker| Usage::cpu_of(broker.id()))
    }

    fn memory(&self) -> Option<u64> {
        let usage = self.broker.as_ref().and_then(|broker| Usage::of(broker.id()));
        usage.map(|usage| usage.resident_bytes / 1024)
    }

    fn peak(&self) -> Option<u64> {
        self.broker.as_ref().and_then(|broker| Usage::peak_kib_of(broker.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        let plan = ResumePlan::default();
        assert!(plan.check().is_ok());
        let cases = [
            ResumePlan { connections: 0, ..plan.clone() },
            ResumePlan { rooms: 0, ..plan.clone() },
            ResumePlan { connections: 99, ..plan.clone() },
            ResumePlan { missed: 0, ..plan.clone() },
            ResumePlan { size: 7, ..plan },
        ];
        for plan in cases {
            assert!(plan.check().is_err(), "{plan:?}");
        }
    }
}
