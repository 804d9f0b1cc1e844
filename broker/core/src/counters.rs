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
    /// Values of `latest` topics that storage has damaged.
    pub values_damaged: u64,
    /// What the groups of this shard have done.
    pub groups: GroupCounters,
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

/// What groups have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupCounters {
    /// Messages handed to consumers.
    pub delivered: u64,
    /// Of these, messages that had been handed out before.
    pub redelivered: u64,
    /// Jobs acknowledged.
    pub acked: u64,
    /// Jobs that a consumer failed.
    pub naked: u64,
    /// Jobs given back untried.
    pub released: u64,
    /// Jobs rejected for good.
    pub rejected: u64,
    /// Jobs that were given more time.
    pub extended: u64,
    /// Jobs whose consumer was silent for too long.
    pub timed_out: u64,
    /// Settles of jobs that their consumer no longer held.
    pub late: u64,
    /// Settles that were refused.
    pub refused: u64,
    /// Messages that became dead letters.
    pub dead: u64,
    /// Times that a message could not become one, since the group holds as many as it may.
    pub dead_refused: u64,
    /// Dead letters removed by age.
    pub dead_expired: u64,
    /// Messages that were gone before they could be handed out.
    pub skipped: u64,
    /// Topics that a group does not read, since it reads as many as it may.
    pub topics_refused: u64,
    /// Stored values that could not be read at start.
    pub values_refused: u64,
}

impl std::ops::AddAssign for GroupCounters {
    fn add_assign(&mut self, other: Self) {
        let GroupCounters {
            delivered,
            redelivered,
            acked,
            naked,
            released,
            rejected,
            extended,
            timed_out,
            late,
            refused,
            dead,
            dead_refused,
            dead_expired,
            skipped,
            topics_refused,
            values_refused,
        } = other;
        self.delivered += delivered;
        self.redelivered += redelivered;
        self.acked += acked;
        self.naked += naked;
        self.released += released;
        self.rejected += rejected;
        self.extended += extended;
        self.timed_out += timed_out;
        self.late += late;
        self.refused += refused;
        self.dead += dead;
        self.dead_refused += dead_refused;
        self.dead_expired += dead_expired;
        self.skipped += skipped;
        self.topics_refused += topics_refused;
        self.values_refused += values_refused;
    }
}
