//! The broker's counts as Prometheus text. Names carry units; every label has few values.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use sampan_client::{Code, GapReason};
use sampan_core::latency::{BOUNDS, Latency};
use sampan_journal::front::Report;

use crate::scaling::{Decision, Standing};
use crate::shard::Counters;

/// What is read at each scrape.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// One per shard.
    pub shards: Vec<Arc<Counters>>,
    /// One per journal.
    pub journals: Vec<Report>,
    /// Topics that the broker knows.
    pub topics: u64,
    /// Tokens accepted.
    pub tokens_accepted: u64,
    /// Tokens refused, by reason.
    pub tokens_refused: Vec<(&'static str, u64)>,
    /// Keys that tokens are checked with.
    pub auth_keys: u64,
    /// Key sets that could not be read or fetched.
    pub auth_key_failures: u64,
    /// Revocations in force.
    pub revocations: u64,
    /// Whether the services work, if there are any.
    pub services_up: Option<u64>,
    /// Whether there should be more processes, or fewer.
    pub scaling: Standing,
    /// What the bridge and the services count: name, help, count.
    pub beside: Vec<(&'static str, &'static str, u64)>,
}

/// How long the broker's own probe takes on its way; one message a second, through a session like
/// any client's.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// From the publish to its ack.
    pub ack_seconds: Histogram,
    /// From the publish to its delivery.
    pub delivery_seconds: Histogram,
}

impl Default for Latencies {
    fn default() -> Self {
        // 25 us to 3.3 s by doublings.
        let buckets = || (0..18).map(|step| 25e-6 * f64::from(1_u32 << step));
        Latencies {
            ack_seconds: Histogram::new(buckets()),
            delivery_seconds: Histogram::new(buckets()),
        }
    }
}

/// What `/metrics` shows.
#[derive(Debug)]
pub struct Metrics(Registry);

impl Metrics {
    /// The content type of [`Metrics::encode`].
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Metrics that are read by `read` at each scrape.
    pub fn new(latencies: &Latencies, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let mut registry = Registry::with_prefix("sampan");
        let Latencies { ack_seconds, delivery_seconds } = latencies.clone();
        registry.register(
            "probe_ack_seconds",
            "Time from the broker's own probe to its ack",
            ack_seconds,
        );
        registry.register(
            "probe_delivery_seconds",
            "Time from the broker's own probe to its delivery",
            delivery_seconds,
        );
        registry.register_collector(Box::new(Source(Box::new(read))));
        Metrics(registry)
    }

    /// The metrics at this moment.
    ///
    /// # Errors
    /// Only if the text cannot be put together, which is a fault of this program.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

struct Source(Box<dyn Fn() -> Reading + Send + Sync>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

impl Collector for Source {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let reading = (self.0)();
        let mut page = Page { encoder, shards: &reading.shards, journals: &reading.journals };
        page.sessions()?;
        page.value("topics", "Topics known, which limits.topics_max bounds", reading.topics)?;
        page.messages()?;
        page.groups()?;
        page.transport()?;
        page.udp()?;
        page.journal()?;
        page.total("tokens_accepted", "Tokens accepted", reading.tokens_accepted)?;
        let refused = reading.tokens_refused.iter().copied();
        page.labelled("tokens_refused", "Tokens refused", "reason", refused)?;
        page.value("auth_keys", "Keys that tokens are checked with", reading.auth_keys)?;
        if let Some(up) = reading.services_up {
            page.value("services_up", "Whether the services work", up)?;
        }
        for (name, help, count) in &reading.beside {
            page.total(name, help, *count)?;
        }
        page.scaling(&reading.scaling)?;
        page.value("revocations", "Revocations in force", reading.revocations)?;
        page.total(
            "auth_key_failures",
            "Key sets that could not be read or fetched",
            reading.auth_key_failures,
        )
    }
}

/// One scrape: sums over the shards.
struct Page<'e, 's> {
    encoder: DescriptorEncoder<'e>,
    shards: &'s [Arc<Counters>],
    journals: &'s [Report],
}

impl Page<'_, '_> {
    fn sessions(&mut self) -> fmt::Result {
        self.value("shards", "Shard threads", self.shards.len() as u64)?;
        let busy: f64 = self.shards.iter().map(|shard| shard.busy.as_secs_f64()).sum();
        self.metric("shards_busy_seconds", "Time shards were at work", &ConstCounter::new(busy))?;
        self.gauge("sessions", "Live sessions", |s| s.core.sessions_live)?;
        self.gauge("sessions_linked", "Of these in this process", |s| s.linked)?;
        self.count("sessions_opened", "Sessions opened", |s| s.core.sessions_opened)?;
        self.by("sessions_closed", "Sessions closed", "code", code, |s| &s.core.sessions_closed)?;
        self.by("refusals", "Requests and publishes refused", "code", code, |s| &s.core.refused)?;
        self.count("frames_malformed", "Frames not decoded", |s| s.core.malformed)?;
        self.gauge("outbox_bytes", "Bytes that wait for clients", |s| s.core.outbox_bytes)?;
        self.gauge("rooms", "Topics with live state", |s| s.core.rooms)?;
        self.gauge("audiences", "Topics with subscribers, per shard", |s| s.core.audiences)?;
        self.gauge("latest_bytes", "Bytes kept for latest topics", |s| s.core.latest_bytes)
    }

    /// What `/scaling` tells.
    fn scaling(&mut self, standing: &Standing) -> fmt::Result {
        let Standing { decision, number, load, .. } = standing;
        let cpu = ConstGauge::new(load.cpu_percent);
        self.metric("scaling_cpu_percent", "Percent of its processors in use", &cpu)?;
        let memory = ConstGauge::new(load.memory_percent);
        self.metric("scaling_memory_percent", "Percent of its memory in use", &memory)?;
        self.value("scaling_connections", "Connections of clients", load.connections)?;
        self.total("scaling_decisions", "Decisions for more processes or fewer", *number)?;
        let wanted = ConstGauge::new(match decision {
            Decision::Out => 1_i64,
            Decision::In => -1,
            Decision::Hold => 0,
        });
        self.metric("scaling_wanted", "Processes more, by the last decision", &wanted)
    }

    fn messages(&mut self) -> fmt::Result {
        self.count("messages_published", "Messages ordered", |s| s.core.published)?;
        self.count("publishes_duplicate", "Publishes done before", |s| s.core.duplicates)?;
        let mut acks = Latency::default();
        for shard in self.shards {
            acks.add(&shard.core.ack_latency);
        }
        self.metric("ack_seconds", "From a message's ordering to its ack", &Durations(acks))?;
        self.count("publishes_stale", "Publishes of an old version", |s| s.core.stale)?;
        self.count("deliveries", "Messages handed to sessions", |s| s.core.deliveries)?;
        self.count("delivered_bytes", "Bytes handed to sessions", |s| s.core.delivery_bytes)?;
        self.by("gaps", "Gaps told to readers", "reason", reason, |s| &s.core.gaps)?;
        let dropped = [
            ("slow_reader", self.sum(|s| s.core.dropped)),
            ("datagram_outbox", self.sum(|s| s.core.datagrams_dropped)),
            ("datagram_transport", self.sum(|s| s.quic.datagrams_dropped)),
        ];
        self.labelled("messages_dropped", "Messages dropped", "reason", dropped)?;
        self.count("feeds_detached", "Feeds that fell behind", |s| s.core.detached)?;
        self.count("feeds_reattached", "Feeds that caught up", |s| s.core.reattached)?;
        self.count("requests", "Requests passed to responders", |s| s.core.requests)?;
        self.count("authorizer_questions", "Authorizers asked", |s| s.core.asks)?;
        self.count("values_damaged", "Values lost to damage", |s| s.core.values_damaged)?;
        self.count("journal_failures", "Appends that failed", |s| s.core.journal_failures)
    }

    fn groups(&mut self) -> fmt::Result {
        self.count("group_deliveries", "Jobs handed out", |s| s.core.groups.delivered)?;
        self.count("group_redeliveries", "Of these again", |s| s.core.groups.redelivered)?;
        let settlements = [
            ("ack", self.sum(|s| s.core.groups.acked)),
            ("nak", self.sum(|s| s.core.groups.naked)),
            ("release", self.sum(|s| s.core.groups.released)),
            ("reject", self.sum(|s| s.core.groups.rejected)),
            ("extend", self.sum(|s| s.core.groups.extended)),
        ];
        self.labelled("group_settlements", "Said of jobs", "settlement", settlements)?;
        self.count("group_timeouts", "Jobs nobody spoke of", |s| s.core.groups.timed_out)?;
        self.count("group_settles_late", "Of jobs lost before", |s| s.core.groups.late)?;
        self.count("group_settles_refused", "Not taken", |s| s.core.groups.refused)?;
        self.count("dead_letters", "Messages given up", |s| s.core.groups.dead)?;
        self.count("dead_letters_refused", "No room for", |s| s.core.groups.dead_refused)?;
        self.count("dead_letters_expired", "Removed by age", |s| s.core.groups.dead_expired)?;
        self.count("group_skipped", "Messages gone before", |s| s.core.groups.skipped)?;
        self.count("group_topics_refused", "Not read", |s| s.core.groups.topics_refused)?;
        self.count("group_values_refused", "Not readable", |s| s.core.groups.values_refused)
    }

    fn transport(&mut self) -> fmt::Result {
        self.gauge("connections", "QUIC connections", |s| s.quic.connections)?;
        self.gauge("connections_half_open", "Of these without a token", |s| s.quic.half_open)?;
        self.gauge("frames_partial_bytes", "Bytes of unfinished frames", |s| s.quic.partial_bytes)?;
        self.count("handshakes_started", "Handshakes begun", |s| s.quic.handshakes_started)?;
        self.count("handshakes_completed", "Handshakes done", |s| s.quic.handshakes_completed)?;
        let cause = |cause: &&'static str| (*cause).to_owned();
        self.by("handshakes_failed", "Handshakes not done", "cause", cause, |s| {
            &s.quic.handshakes_failed
        })?;
        self.by("connections_turned_away", "Attempts not let in", "cause", cause, |s| {
            &s.quic.turned_away
        })?;
        self.by("connections_lost", "Connections ended", "cause", cause, |s| &s.quic.lost)?;
        self.by("connections_closed", "Closed by the broker", "code", code, |s| &s.quic.closed)?;
        self.count("retries", "Retries asked of new addresses", |s| s.quic.retries)?;
        self.count("stateless_responses", "Answers without a connection", |s| s.quic.responses)?;
        self.count("stream_received_bytes", "Bytes read", |s| s.quic.stream_bytes_in)?;
        self.count("stream_sent_bytes", "Bytes written", |s| s.quic.stream_bytes_out)
    }

    fn udp(&mut self) -> fmt::Result {
        self.count("udp_received", "Datagrams received", |s| s.udp.datagrams_in)?;
        self.count("udp_received_bytes", "Bytes received", |s| s.udp.bytes_in)?;
        self.count("udp_receive_calls", "Calls of recvmmsg", |s| s.udp.recv_calls)?;
        self.count("udp_receive_errors", "Receives that failed", |s| s.udp.recv_errors)?;
        self.count("udp_truncated", "Datagrams too long", |s| s.udp.truncated)?;
        self.count("udp_misdirected", "Datagrams of other shards", |s| s.udp.misdirected)?;
        self.count("udp_sent", "Datagrams sent", |s| s.udp.datagrams_out)?;
        self.count("udp_sent_bytes", "Bytes sent", |s| s.udp.bytes_out)?;
        self.count("udp_send_calls", "Calls of sendmmsg", |s| s.udp.send_calls)?;
        self.count("udp_send_blocked", "Sends held up by a full buffer", |s| s.udp.send_blocked)?;
        self.count("udp_send_dropped", "Datagrams the system refused", |s| s.udp.send_dropped)
    }

    fn journal(&mut self) -> fmt::Result {
        let sum = |of: fn(&Report) -> u64| self.journals.iter().map(of).sum();
        let totals: [(&str, &str, u64); 8] = [
            ("journal_written_bytes", "Bytes written to segments", sum(|j| j.log.written_bytes)),
            ("journal_payload_bytes", "Of these frames and values", sum(|j| j.log.payload_bytes)),
            ("journal_messages", "Messages synced", sum(|j| j.messages)),
            ("journal_commits", "Blocks written", sum(|j| j.log.commits)),
            ("journal_syncs", "Syncs of segments", sum(|j| j.log.syncs)),
            ("journal_refused", "Requests that were not taken", sum(|j| j.refused)),
            ("journal_damaged", "Damaged places found", sum(|j| j.log.damaged)),
            ("journal_fenced", "Journals that have failed", sum(|j| j.fenced.into())),
        ];
        let values: [(&str, &str, u64); 6] = [
            ("journal_queue_bytes", "Bytes that wait to be written", sum(|j| j.queue_bytes)),
            ("journal_segments", "Segments", sum(|j| j.log.segments)),
            ("journal_stored_bytes", "Bytes of segments", sum(|j| j.log.stored_bytes)),
            ("journal_values", "Values kept by key", sum(|j| j.log.values)),
            ("journal_full", "Journals without space for messages", sum(|j| j.full.into())),
            ("journal_indexed", "Journals whose index is kept up", sum(|j| j.indexed.into())),
        ];
        for (name, help, count) in totals {
            self.total(name, help, count)?;
        }
        for (name, help, value) in values {
            self.value(name, help, value)?;
        }
        let mut commits = Latency::default();
        for journal in self.journals {
            commits.add(&journal.commit_latency);
        }
        let help = "From the start of a write to the end of its sync";
        self.metric("journal_commit_seconds", help, &Durations(commits))
    }

    fn sum(&self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.shards.iter().map(|shard| of(shard)).sum()
    }

    fn count(&mut self, name: &str, help: &str, of: impl Fn(&Counters) -> u64) -> fmt::Result {
        self.total(name, help, self.sum(of))
    }

    fn gauge(&mut self, name: &str, help: &str, of: impl Fn(&Counters) -> u64) -> fmt::Result {
        self.value(name, help, self.sum(of))
    }

    fn total(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, &ConstCounter::new(value))
    }

    fn value(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.metric(name, help, &ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)))
    }

    fn metric(&mut self, name: &str, help: &str, metric: &impl EncodeMetric) -> fmt::Result {
        let encoder = self.encoder.encode_descriptor(name, help, None, metric.metric_type())?;
        metric.encode(encoder)
    }

    /// A counter by label, from maps that each shard keeps.
    fn by<K>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        text: impl Fn(&K) -> String,
        of: impl Fn(&Counters) -> &BTreeMap<K, u64>,
    ) -> fmt::Result {
        let mut sums = BTreeMap::<String, u64>::new();
        for (key, count) in self.shards.iter().flat_map(|shard| of(shard)) {
            *sums.entry(text(key)).or_default() += count;
        }
        self.labelled(name, help, label, sums)
    }

    fn labelled<T: AsRef<str>>(
        &mut self,
        name: &str,
        help: &str,
        label: &'static str,
        counts: impl IntoIterator<Item = (T, u64)>,
    ) -> fmt::Result {
        let zero = ConstCounter::new(0_u64);
        let mut encoder = self.encoder.encode_descriptor(name, help, None, zero.metric_type())?;
        for (text, count) in counts {
            let labels = [(label, text.as_ref())];
            ConstCounter::new(count).encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

/// A histogram as a scrape shows it: cumulative counts below each bound.
struct Durations(Latency);

impl EncodeMetric for Durations {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let bounds = BOUNDS.iter().map(Duration::as_secs_f64).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(self.0.counts).collect();
        let count = self.0.counts.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(self.0.sum.as_secs_f64(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

/// A code's number; one that peers made up is not given a series of its own.
fn code(number: &u16) -> String {
    let is_ours = Code::ALL.iter().any(|(code, ..)| code.0 == *number);
    if is_ours { number.to_string() } else { "other".to_owned() }
}

fn reason(number: &u8) -> String {
    GapReason::from_number(*number).map_or("other", GapReason::name).to_owned()
}
