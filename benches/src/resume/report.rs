//! What a resume storm has measured.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::ResumePlan;
use crate::crowd::Counts;
use crate::report::{quantile, round};

/// The result of one storm. Serialized, it is the object that `--json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ResumeReport {
    /// Messages that reached a reader in their place, of those that the readers had missed.
    pub delivered_pct: f64,
    /// From the start to the last message of the last reader; none unless all got all.
    pub resumed_s: Option<f64>,
    /// Median time from the start to a reader's last message.
    pub p50_ms: f64,
    /// Time that 99 of 100 readers kept.
    pub p99_ms: f64,
    /// Sessions per second until all were connected again, beside the deliveries.
    pub connects_per_s: f64,
    /// User and system time of the broker per delivery, handshakes included; this and the memory
    /// only for a broker of the run's own.
    pub server_us_per_delivery: Option<f64>,
    /// Resident memory of the broker with all readers subscribed, before they are cut off.
    pub rss_connected_kib: Option<u64>,
    /// With none of them there and the missed messages stored.
    pub rss_before_kib: Option<u64>,
    /// The most of the whole run.
    pub rss_peak_kib: Option<u64>,
    /// With all readers back and idle.
    pub rss_after_kib: Option<u64>,

    /// Readers.
    pub connections: usize,
    /// Durable topics.
    pub rooms: usize,
    /// Messages of each that were missed.
    pub missed: u64,
    /// Bytes of a payload.
    pub size: usize,
    /// Readers that got to the end of what they had missed.
    pub resumed: u64,
    /// Messages received in their place.
    pub received: u64,
    /// Messages that a gap has told to be missing.
    pub lost: u64,
    /// Messages that were not the next of their reader: doubled, or out of order.
    pub misplaced: u64,
    /// User and system time of the generator per delivery.
    pub generator_us_per_delivery: f64,
}

/// What the run has measured beside the counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) server_cpu: Option<Duration>,
    pub(super) generator_cpu: Duration,
    /// Connected, before, peak and after, KiB.
    pub(super) memory: [Option<u64>; 4],
}

impl ResumeReport {
    pub(super) fn new(plan: &ResumePlan, counts: &Counts, measured: Measured) -> Self {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let tally = counts.meter.tally();
        let (received, resumed) = (count(&counts.meter.received), count(&counts.meter.ready));
        let connected = count(&counts.meter.connected) as f64;
        let us_per_delivery =
            |cpu: Duration| round(cpu.as_secs_f64() * 1e6 / received.max(1) as f64, 3);
        let ms = |share| round(quantile(&tally.latency, share) / 1e3, 1);
        let all = received == plan.expected() && resumed == plan.connections as u64;
        let [rss_connected_kib, rss_before_kib, rss_peak_kib, rss_after_kib] = measured.memory;
        ResumeReport {
            delivered_pct: round(100.0 * received as f64 / plan.expected() as f64, 4),
            resumed_s: all.then(|| round(quantile(&tally.latency, 1.0) / 1e6, 3)),
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            connects_per_s: round(connected * 1e9 / count(&counts.connected_ns).max(1) as f64, 1),
            server_us_per_delivery: measured.server_cpu.map(us_per_delivery),
            rss_connected_kib,
            rss_before_kib,
            rss_peak_kib,
            rss_after_kib,
            connections: plan.connections,
            rooms: plan.rooms,
            missed: plan.missed,
            size: plan.size,
            resumed,
            received,
            lost: tally.lost,
            misplaced: count(&counts.misplaced),
            generator_us_per_delivery: us_per_delivery(measured.generator_cpu),
        }
    }
}

impl fmt::Display for ResumeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ResumeReport { connections, rooms, missed, size, resumed, received, .. } = self;
        writeln!(f, "resume: {connections} readers, {rooms} rooms, {missed} missed, {size} B")?;
        writeln!(f, "  delivered          {} % ({received})", self.delivered_pct)?;
        match self.resumed_s {
            Some(seconds) => writeln!(f, "  all up to date     after {seconds} s")?,
            None => writeln!(f, "  up to date         {resumed} of {connections}")?,
        }
        writeln!(f, "  p50, p99           {} ms, {} ms", self.p50_ms, self.p99_ms)?;
        writeln!(f, "  connects           {} /s", self.connects_per_s)?;
        if let Some(us) = self.server_us_per_delivery {
            writeln!(f, "  broker             {us} us of CPU per delivery")?;
        }
        for (when, kib) in [
            ("connected", self.rss_connected_kib),
            ("before", self.rss_before_kib),
            ("at most", self.rss_peak_kib),
            ("after", self.rss_after_kib),
        ] {
            if let Some(kib) = kib {
                writeln!(f, "  memory {when:<11} {kib} KiB")?;
            }
        }
        write!(
            f,
            "  generator          {} us of CPU per delivery",
            self.generator_us_per_delivery
        )?;
        if self.lost + self.misplaced > 0 {
            write!(f, "\n  lost, misplaced    {}, {}", self.lost, self.misplaced)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::bump;

    #[test]
    fn a_storm_has_a_time_only_when_all_readers_got_all() {
        let plan = ResumePlan { connections: 2, rooms: 1, missed: 50, size: 8 };
        let measured = Measured {
            server_cpu: Some(Duration::from_millis(1)),
            generator_cpu: Duration::from_millis(2),
            memory: [Some(1), Some(2), Some(3), Some(4)],
        };
        let counts = Counts::new();
        for ms in [10, 20] {
            bump(&counts.meter.ready);
            bump(&counts.meter.connected);
            counts.meter.tally().delivered(0, ms * 1_000_000);
        }
        counts.connected_ns.store(5_000_000, Ordering::Relaxed);
        counts.meter.received.store(99, Ordering::Relaxed);
        let report = |counts: &Counts| {
            let report = ResumeReport::new(&plan, counts, measured);
            serde_json::to_value(&report).expect("plain values")
        };
        let partial = report(&counts);
        assert_eq!(
            (&partial["delivered_pct"], partial["resumed_s"].is_null()),
            (&99.0.into(), true)
        );
        bump(&counts.meter.received);
        let whole = report(&counts);
        for (key, value) in [
            ("delivered_pct", 100.0),
            ("connects_per_s", 400.0),
            ("server_us_per_delivery", 10.0),
            ("generator_us_per_delivery", 20.0),
        ] {
            assert_eq!(whole[key], value, "{key}");
        }
        for (key, kib) in [
            ("rss_connected_kib", 1),
            ("rss_before_kib", 2),
            ("rss_peak_kib", 3),
            ("rss_after_kib", 4),
        ] {
            assert_eq!(whole[key], kib, "{key}");
        }
        for (key, expected) in [("resumed_s", 0.02), ("p50_ms", 10.0), ("p99_ms", 20.0)] {
            let got = whole[key].as_f64().expect(key);
            assert!((got - expected).abs() <= expected / 100.0, "{key}: {got}");
        }
    }
}
