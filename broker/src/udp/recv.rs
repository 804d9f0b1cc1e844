//! A batch of received datagrams: the buffers the kernel fills, and the datagrams found in them.

use std::net::{IpAddr, SocketAddr};

use super::{BATCH_MAX, Counters, addr, cmsg::Notes, steer::shard_of, sys::Arrival};

/// Bytes of a buffer for one datagram; QUIC peers are told to stay under 1,500.
const DATAGRAM_BYTES: usize = 2048;
/// Bytes of a buffer for a GRO run, which the kernel ends at IP's own limit.
const RUN_BYTES: usize = 65_536;
/// Buffers when each holds a run: a full batch is already 2 MiB.
const RUNS_MAX: usize = 32;

/// Buffers for one `recvmmsg` call, made by [`Socket::recv_batch`](super::Socket::recv_batch) and
/// used again for every call.
///
/// Memory: 64 × 2 KiB, or with GRO 32 × 64 KiB of which the kernel maps only what has once been
/// filled; and about 20 KiB for addresses and control messages.
#[derive(Debug)]
pub struct RecvBatch {
    storage: Box<[u8]>,
    stride: usize,
    arrivals: Box<[Arrival]>,
    runs: Vec<Run>,
    full: bool,
}

/// One received datagram, borrowed from its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it; an IPv4 peer is an IPv4 address on an IPv6 socket too.
    pub remote: SocketAddr,
    /// The local address it was sent to, if the kernel tells.
    pub local_ip: Option<IpAddr>,
    /// The ECN codepoint, 1 to 3; `None` if the path does not mark or the kernel does not tell.
    pub ecn: Option<u8>,
    /// Its payload, never empty.
    pub payload: &'a [u8],
}

/// Whose datagrams a socket takes, and what it already knows of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Intake {
    /// The socket's place in its group.
    pub(super) shard: usize,
    /// The group's size.
    pub(super) shards: usize,
    /// The address the socket is bound to, unless that is a wildcard.
    pub(super) bound_ip: Option<IpAddr>,
}

/// One message: a datagram, or with GRO several of one peer and one length.
#[derive(Debug, Clone, Copy)]
struct Run {
    start: usize,
    bytes: usize,
    segment: usize,
    remote: SocketAddr,
    local_ip: Option<IpAddr>,
    ecn: Option<u8>,
}

impl RecvBatch {
    /// Buffers for single datagrams.
    pub(super) fn of_datagrams() -> Self {
        Self::new(BATCH_MAX, DATAGRAM_BYTES)
    }

    /// Buffers for GRO runs.
    pub(super) fn of_runs() -> Self {
        Self::new(RUNS_MAX, RUN_BYTES)
    }

    fn new(messages: usize, stride: usize) -> Self {
        Self {
            storage: vec![0; messages * stride].into(),
            stride,
            arrivals: vec![Arrival::EMPTY; messages].into(),
            runs: Vec::with_capacity(messages),
            full: false,
        }
    }

    /// The datagrams of the last receive, in the order of their arrival.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        self.runs.iter().flat_map(|run| {
            let &Run { start, bytes, segment, remote, local_ip, ecn } = run;
            let payloads = self.storage[start..start + bytes].chunks(segment);
            payloads.map(move |payload| Datagram { remote, local_ip, ecn, payload })
        })
    }

    /// Whether the last receive used every buffer, so that more datagrams probably wait.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Forgets the last receive and lends the buffers to `receive`, which answers how many it
    /// filled; answers how many datagrams they hold.
    pub(super) fn fill<E>(
        &mut self,
        intake: Intake,
        counters: &mut Counters,
        receive: impl FnOnce(&mut [u8], usize, &mut [Arrival]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        self.runs.clear();
        self.full = false;
        let received = receive(&mut self.storage, self.stride, &mut self.arrivals)?;
        self.full = received == self.arrivals.len();
        let before = counters.datagrams_in;
        for (arrival, start) in self.arrivals.iter().zip((0..).step_by(self.stride)).take(received)
        {
            let payload = &self.storage[start..start + arrival.bytes];
            self.runs
                .extend(accept(arrival, payload, intake, counters).map(|run| Run { start, ..run }));
        }
        Ok((counters.datagrams_in - before) as usize)
    }
}

fn accept(
    arrival: &Arrival,
    payload: &[u8],
    intake: Intake,
    counters: &mut Counters,
) -> Option<Run> {
    if arrival.truncated {
        counters.truncated += 1;
        return None;
    }
    // Only the first datagram of a run is looked at: sockets of larger groups receive no runs.
    if shard_of(payload, intake.shards) != intake.shard {
        counters.misdirected += 1;
        return None;
    }
    let remote = addr::decode(arrival.name())?;
    let notes = Notes::read(arrival.control());
    let segment = notes.segment.unwrap_or(payload.len()).max(1);
    counters.datagrams_in += payload.len().div_ceil(segment) as u64;
    counters.bytes_in += payload.len() as u64;
    let local_ip = intake.bound_ip.or(notes.local_ip);
    Some(Run { start: 0, bytes: payload.len(), segment, remote, local_ip, ecn: notes.ecn })
}
