//! What a socket has moved, lost and refused since it was bound.

/// Totals of one [`Socket`](super::Socket), written by its shard alone and never reset.
///
/// Plain integers: the shard copies them out when it reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Datagrams handed to the shard, after GRO runs are split.
    pub datagrams_in: u64,
    /// Payload bytes of `datagrams_in`.
    pub bytes_in: u64,
    /// `recvmmsg` calls, empty ones included.
    pub recv_calls: u64,
    /// Receive errors that the socket outlives, such as a reflected ICMP message.
    pub recv_errors: u64,
    /// Messages dropped because they were longer than their buffer.
    pub truncated: u64,
    /// Datagrams dropped because their connection id names another shard.
    ///
    /// They arrive while a group is being bound, and when a peer on this host sends segments of
    /// several connections in one call. QUIC sends their contents again.
    pub misdirected: u64,
    /// Datagrams the kernel took, after segmentation.
    pub datagrams_out: u64,
    /// Payload bytes of `datagrams_out`.
    pub bytes_out: u64,
    /// `sendmmsg` calls, refused ones included.
    pub send_calls: u64,
    /// Sends refused because the socket's buffer was full; their packets stay in the batch.
    pub send_blocked: u64,
    /// Datagrams dropped because the kernel refused their destination, source or size.
    ///
    /// Probes beyond the path's MTU end here too, as they should.
    pub send_dropped: u64,
}
