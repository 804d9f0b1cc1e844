//! What the transport of one shard counts.

use std::collections::BTreeMap;

use quinn_proto::ConnectionError;

/// Counts since the shard was made; all only rise, but the gauges at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Handshakes begun.
    pub handshakes_started: u64,
    /// Handshakes completed.
    pub handshakes_completed: u64,
    /// Handshakes that came to nothing, by cause; those that took too long are in `closed`.
    pub handshakes_failed: BTreeMap<&'static str, u64>,
    /// Connection attempts that were not let in, by cause.
    pub turned_away: BTreeMap<&'static str, u64>,
    /// Retries asked for.
    pub retries: u64,
    /// Established connections that ended, by cause.
    pub lost: BTreeMap<&'static str, u64>,
    /// Connections that the transport itself closed, by code.
    pub closed: BTreeMap<u16, u64>,
    /// Publish streams opened by clients.
    pub streams: u64,
    /// Streams that clients gave up.
    pub streams_reset: u64,
    /// Datagram frames received.
    pub datagrams_in: u64,
    /// Datagram frames sent.
    pub datagrams_out: u64,
    /// Datagram frames dropped, either way.
    pub datagrams_dropped: u64,
    /// Bytes read from streams.
    pub stream_bytes_in: u64,
    /// Bytes written to streams.
    pub stream_bytes_out: u64,
    /// Stateless answers: resets, version negotiation, refusals.
    pub responses: u64,
    /// Gauge: connections that the transport holds.
    pub connections: u64,
    /// Gauge: connections whose client is not authenticated.
    pub half_open: u64,
    /// Gauge: bytes of frames that clients have begun and not finished sending.
    pub partial_bytes: u64,
}

/// The name of a connection's end in metrics.
pub(crate) fn cause(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::VersionMismatch => "version",
        ConnectionError::TransportError(_) => "transport_error",
        ConnectionError::ConnectionClosed(_) => "peer_error",
        ConnectionError::ApplicationClosed(_) => "peer_closed",
        ConnectionError::Reset => "peer_reset",
        ConnectionError::TimedOut => "idle",
        ConnectionError::LocallyClosed => "closed",
        ConnectionError::CidsExhausted => "ids_exhausted",
    }
}
