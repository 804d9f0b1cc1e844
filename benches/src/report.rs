//! What a run has measured.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Plan;
use crate::tally::Tally;

/// The result of one run. Serialized, it is the object that `sampan bench --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Deliveries received, of those that the publishes should have caused.
    pub delivered_pct: f64,
    /// Deliveries (or replies) per second, from the first publish to the last receipt.
    pub deliveries_per_s: f64,
    /// Median time from the publish call to the receiving callback.
    pub p50_us: f64,
    /// Time that 99 of 100 deliveries kept.
    pub p99_us: f64,
    /// Time that 999 of 1,000 deliveries kept.
    pub p999_us: f64,
    /// User and system time of the broker per delivery; only for a broker of the run's own.
    pub server_us_per_delivery: Option<f64>,
    /// Growth of the broker's resident memory from before the connections to all subscribed and
    /// idle, per connection; only for a broker of the run's own.
    pub kib_per_connection: Option<f64>,
    /// Sessions per second while all connected.
    pub connects_per_s: f64,

    /// What was measured.
    pub work: &'static str,
    /// What the subscribers spoke.
    pub transport: &'static str,
    /// Subscribers, or askers.
    pub connections: usize,
    /// Rooms.
    pub rooms: usize,
    /// Bytes of a payload.
    pub size: usize,
    /// Messages (or requests) published.
    pub published: u64,
    /// Deliveries (or replies) received.
    pub received: u64,
    /// Deliveries that the broker told to be lost.
    pub lost: u64,
    /// Publishes or requests that were refused or not answered.
    pub refused: u64,
    /// How much later than planned 99 of 100 publish calls were made.
    pub late_p99_us: f64,
    /// Share of one core that the broker used.
    pub server_cpu_pct: Option<f64>,
    /// User and system time of the generator per delivery.
    pub generator_us_per_delivery: f64,
}

/// What the run has measured beside the tally.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) published: u64,
    pub(crate) received: u64,
    pub(crate) expected: u64,
    /// From the first connect call to the last welcome.
    pub(crate) connecting: Duration,
    /// CPU time of broker and generator from the first publish to the last receipt.
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) generator_cpu: Duration,
    /// Growth of the broker's memory, bytes.
    pub(crate) grown_bytes: Option<f64>,
}

impl Report {
    pub(crate) fn new(plan: &Plan, tally: &Tally, measured: Measured) -> Self {
        let span_ns = tally.last_ns.saturating_sub(tally.first_ns).max(1);
        let span_s = span_ns as f64 / 1e9;
        let received = measured.received as f64;
        let us_per_delivery = |cpu: Duration| round(cpu.as_secs_f64() * 1e6 / received.max(1.0), 3);
        let connections = plan.connections as f64;
        Report {
            delivered_pct: round(100.0 * received / (measured.expected.max(1) as f64), 4),
            deliveries_per_s: round(received / span_s, 1),
            p50_us: quantile(&tally.latency, 0.5),
            p99_us: quantile(&tally.latency, 0.99),
            p999_us: quantile(&tally.latency, 0.999),
            server_us_per_delivery: measured.server_cpu.map(us_per_delivery),
            kib_per_connection: measured
                .grown_bytes
                .map(|bytes| round(bytes / 1024.0 / connections, 2)),
            connects_per_s: round(connections / measured.connecting.as_secs_f64().max(1e-9), 1),
            work: plan.work.name(),
            transport: plan.transport.name(),
            connections: plan.connections,
            rooms: plan.rooms,
            size: plan.size,
            published: measured.published,
            received: measured.received,
            lost: tally.lost,
            refused: tally.refused,
            late_p99_us: quantile(&tally.late, 0.99),
            server_cpu_pct: measured
                .server_cpu
                .map(|cpu| round(100.0 * cpu.as_secs_f64() / span_s, 1)),
            generator_us_per_delivery: us_per_delivery(measured.generator_cpu),
        }
    }
}

/// Microseconds within which this share of the times lies.
pub(crate) fn quantile(times: &Histogram<u64>, share: f64) -> f64 {
    round(times.value_at_quantile(share) as f64 / 1e3, 1)
}

pub(crate) fn round(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { work, transport, connections, rooms, size, published, received, .. } = self;
        writeln!(f, "{work}: {connections} connections ({transport}), {rooms} rooms, {size} B")?;
        writeln!(
            f,
            "  delivered          {} % ({received} of {published} published)",
            self.delivered_pct
        )?;
        writeln!(f, "  deliveries         {} /s", self.deliveries_per_s)?;
        writeln!(
            f,
            "  p50, p99, p99.9    {} us, {} us, {} us",
            self.p50_us, self.p99_us, self.p999_us
        )?;
        if let (Some(us), Some(pct)) = (self.server_us_per_delivery, self.server_cpu_pct) {
            writeln!(f, "  broker             {us} us of CPU per delivery, {pct} % of a core")?;
        }
        if let Some(kib) = self.kib_per_connection {
            writeln!(f, "  memory             {kib} KiB per connection")?;
        }
        writeln!(f, "  connects           {} /s", self.connects_per_s)?;
        write!(
            f,
            "  generator          {} us of CPU per delivery",
            self.generator_us_per_delivery
        )?;
        if self.lost + self.refused > 0 {
            write!(f, "\n  lost, refused      {}, {}", self.lost, self.refused)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Work;
    use crate::tally::Meter;

    #[test]
    fn the_object_has_the_keys_that_scripts_rely_on() {
        let meter = Meter::new();
        meter.tally().published(0, 0);
        (1..=1000).for_each(|at: u64| meter.tally().delivered(0, at * 1000));
        let plan = Plan { connections: 4, ..Plan::new(Work::Latency) };
        let measured = Measured {
            published: 500,
            received: 1000,
            expected: 2000,
            connecting: Duration::from_millis(2),
            server_cpu: Some(Duration::from_millis(5)),
            generator_cpu: Duration::from_millis(1),
            grown_bytes: Some(8192.0),
        };
        let report = Report::new(&plan, &meter.tally(), measured);
        let json = serde_json::to_value(&report).expect("plain values");
        for (key, value) in [
            ("delivered_pct", 50.0),
            ("deliveries_per_s", 1e6),
            ("server_us_per_delivery", 5.0),
            ("kib_per_connection", 2.0),
            ("connects_per_s", 2000.0),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
        for (key, us) in [("p50_us", 500.0), ("p99_us", 990.0), ("p999_us", 999.0)] {
            let got = json[key].as_f64().expect(key);
            assert!((got - us).abs() < us / 500.0, "{key}: {got}");
        }
    }
}
