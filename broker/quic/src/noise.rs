//! Clients that send packets in which they say nothing: floods of pings, acks and challenges.

use std::time::{Duration, Instant};

use quinn_proto::Connection as Transport;

use crate::limits::Limits;

/// A window of packets that took longer than this is no flood, whatever it held. Keep-alives of an
/// idle client are noise, one in ten seconds.
const FLOOD: Duration = Duration::from_secs(30);

/// Counts a client's packets and looks into them once per window.
#[derive(Debug)]
pub(crate) struct Noise {
    packets: u64,
    useful: u64,
    since: Instant,
}

impl Noise {
    pub(crate) fn new(now: Instant) -> Self {
        Noise { packets: 0, useful: 0, since: now }
    }

    /// Counts one packet; whether the client is flooding.
    pub(crate) fn packet(&mut self, transport: &Transport, now: Instant, limits: &Limits) -> bool {
        self.packets += 1;
        if !self.packets.is_multiple_of(limits.noise_window.max(1)) {
            return false;
        }
        let stats = transport.stats();
        // Data either way is useful, and so is one packet of acks for each of ours.
        let useful = stats.frame_rx.stream
            + stats.frame_rx.datagram
            + stats.frame_tx.stream
            + stats.frame_tx.datagram;
        let noise = limits.noise_window.saturating_sub(useful.saturating_sub(self.useful));
        let flood = noise > limits.noise_max && now.duration_since(self.since) < FLOOD;
        (self.useful, self.since) = (useful, now);
        flood
    }
}
