//! What a shard counts. The shell reads and exports the numbers; names there carry units.

use std::collections::BTreeMap;

use crate::latency::Latency;

/// Counts since the shard was made; all only rise, but the gauges at the end.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Sessions opened.
    pub sessions_opened: u64,
    /// Sessions closed, by code.
    pub sessions_closed: BTreeMap<u16, u64>,
    /// Requests and publishes refused, by code.
    pub refused: BTreeMap<u16, u64>,
    /// Frames that could not be decoded.
    pub malformed: u64,
    /// Messages published (ordered by this shard).
    pub published: u64,
    /// Publishes that were duplicates.
    pub duplicates: u64,
    /// Publishes of `latest` values that were stale.
    pub stale: u64,
    /// Messages handed to sessions.
    pub deliveries: u64,
    /// Payload bytes and headers handed to sessions.
    pub delivery_bytes: u64,
    /// GAP frames sent, by reason number.
    pub gaps: BTreeMap<u8, u64>,
    /// Messages dropped for slow readers of ephemeral topics.
    pub dropped: u64,
    /// Datagrams dropped in an outbox.
    pub datagrams_dropped: u64,
    /// Times that a feed was detached to a catch-up reader.
    pub detached: u64,
    /// Times that a feed caught up again.
    pub reattached: u64,
    /// Requests passed to responders.
    pub requests: u64,
    /// Authorization questions asked.
    pub asks: u64,
    /// From a message's ordering to its ack.
    pub ack_latency: Latency,
    /// Appends that the journal failed.
    pub journal_failures: u64,
    /// Gauge: sessions that are live.
    pub sessions_live: u64,
    /// Gauge: bytes that wait in outboxes.
    pub outbox_bytes: u64,
    /// Gauge: rooms that this shard owns.
    pub rooms: u64,
    /// Gauge: topics with subscribers on this shard.
    pub audiences: u64,
    /// Gauge: bytes kept for `latest` topics.
    pub latest_bytes: u64,
}
