//! Every bound of the transport, with its unit and default.

use std::time::Duration;

use sampan_core::bucket::Rate;

/// Bounds of one shard's transport.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one payload that a client may send. Default 1 MiB.
    pub payload_bytes_max: usize,
    /// Handshakes that may be under way before new addresses must prove themselves by a retry.
    /// Default 512.
    pub half_open_retry: usize,
    /// Handshakes that may be under way at all; beyond it first packets are ignored. Default 4,096.
    pub half_open_max: usize,
    /// Connections of the shard; beyond it new ones are refused. Default 100,000.
    pub connections_max: usize,
    /// Handshakes from one address (an IPv6 /64) before it must prove itself by a retry. Loopback
    /// is not limited. Default 200/s with a burst of 2,000.
    pub address_rate: Rate,
    /// Handshakes from one proven address; beyond it they are refused. Default 1,000/s with a
    /// burst of 10,000, since a carrier puts thousands of phones behind one address.
    pub proven_rate: Rate,
    /// Addresses for which the two rates are kept. Default 16,384.
    pub addresses_max: usize,
    /// How long a handshake may take from its first packet. The session's own greeting time
    /// follows. Default 5 s.
    pub handshake_timeout: Duration,
    /// How long a peer may be silent. Default 30 s.
    pub idle_timeout: Duration,
    /// How long the last control frames may wait to be acknowledged before the connection is
    /// closed. Default 1 s.
    pub linger: Duration,
    /// How long a frame may be on its way once its first bytes are there, beside the time it takes
    /// at `frame_bytes_per_s`. Default 30 s.
    pub frame_timeout: Duration,
    /// The slowest upload that is worth a buffer. Default 4 KiB/s.
    pub frame_bytes_per_s: usize,
    /// Bytes of frames that all clients of the shard may have begun and not finished; beyond it the
    /// client with most of them is sent away. Default 128 MiB.
    pub partial_bytes_max: u64,
    /// Bytes read from one connection before others have their turn. Default 64 KiB.
    pub read_bytes_per_turn: usize,
    /// Bytes that a client may have in flight before it is authenticated. Default 64 KiB.
    pub greeting_window: u32,
    /// Bytes that an authenticated client may have in flight. Default 1 MiB.
    pub receive_window: u32,
    /// Bytes that one stream may have in flight. Default 256 KiB.
    pub stream_window: u32,
    /// Bytes handed to the transport for one client and not yet acknowledged. What has not been
    /// handed over can still be conflated or dropped. Default 512 KiB.
    pub send_window: u64,
    /// Publish streams of an authenticated client at a time. Default 8.
    pub publish_streams: u32,
    /// Streams that may end, or be reset, without one whole frame. Default 10/s with a burst of 100.
    pub barren_streams: Rate,
    /// Bytes of received datagrams that may wait, and of datagrams to be sent. Default 64 KiB.
    pub datagram_bytes: usize,
    /// Packets in which a client says nothing, in a row of `noise_window`, before it is thrown
    /// out. Default 3,000.
    pub noise_max: u64,
    /// Packets of a client after which their content is judged. Default 4,096.
    pub noise_window: u64,
    /// UDP payload that every path is taken to carry. Default 1,200, the least that QUIC allows.
    pub mtu_initial: u16,
    /// UDP payload that path discovery tries at most. Default 1,452.
    pub mtu_max: u16,
    /// Least time between two stateless resets. Default 100 us, so that a restart under ten
    /// thousand clients tells them all within a second.
    pub reset_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            payload_bytes_max: sampan_protocol::limits::PAYLOAD_BYTES_MAX,
            half_open_retry: 512,
            half_open_max: 4096,
            connections_max: 100_000,
            address_rate: Rate { per_s: 200, burst: 2000 },
            proven_rate: Rate { per_s: 1000, burst: 10_000 },
            addresses_max: 16_384,
            handshake_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(30),
            linger: Duration::from_secs(1),
            frame_timeout: Duration::from_secs(30),
            frame_bytes_per_s: 4096,
            partial_bytes_max: 128 * 1024 * 1024,
            read_bytes_per_turn: 64 * 1024,
            greeting_window: 64 * 1024,
            receive_window: 1024 * 1024,
            stream_window: 256 * 1024,
            send_window: 512 * 1024,
            publish_streams: 8,
            barren_streams: Rate { per_s: 10, burst: 100 },
            datagram_bytes: 64 * 1024,
            noise_max: 3000,
            noise_window: 4096,
            mtu_initial: 1200,
            mtu_max: 1452,
            reset_interval: Duration::from_micros(100),
        }
    }
}
