//! One shard's socket: a batch in, a batch out, and what it counted.

use std::{
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::io::Errno;

use super::{
    BufferSizes, Counters, Error, RecvBatch, SendBatch, Sent, addr::Family, packet::SEGMENTS_MAX,
    recv::Intake, sys,
};

/// Receive errors passed over in one call; what is left shows in the next wait.
const ERRORS_PASSED_MAX: usize = 64;

/// A bound, non-blocking UDP socket that receives the datagrams of one shard.
///
/// Owned by one thread at a time; [`Waiter`](super::Waiter) keeps a second handle on it, so the
/// port is free once both are gone.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    local: SocketAddr,
    shard: usize,
    shards: usize,
    buffers: BufferSizes,
    receives_runs: bool,
    segments_max: usize,
    counters: Counters,
}

/// What [`bind_group`](super::bind_group) found out while it bound a socket.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) fd: OwnedFd,
    pub(super) local: SocketAddr,
    pub(super) shard: usize,
    pub(super) shards: usize,
    pub(super) buffers: BufferSizes,
}

impl Socket {
    pub(super) fn new(bound: Bound) -> Self {
        let Bound { fd, local, shard, shards, buffers } = bound;
        // A run may hold datagrams of several connections of one peer, and the kernel steers it
        // by the first alone. Only a group of one shard can take runs.
        let receives_runs =
            shards == 1 && sys::set_int(fd.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1).is_ok();
        // Zero, the default, changes nothing where segmentation exists.
        let segments = sys::set_int(fd.as_fd(), libc::SOL_UDP, libc::UDP_SEGMENT, 0).is_ok();
        let segments_max = if segments { SEGMENTS_MAX } else { 1 };
        let counters = Counters::default();
        Self { fd, local, shard, shards, buffers, receives_runs, segments_max, counters }
    }

    /// The address it is bound to, with the port the kernel chose if that was left open.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Its place in its group, from 0.
    pub fn shard(&self) -> usize {
        self.shard
    }

    /// The buffer sizes in force; smaller than asked for where the system caps them.
    pub fn buffer_sizes(&self) -> BufferSizes {
        self.buffers
    }

    /// Datagrams that one packet may hold at most: 32, or 1 where the kernel does not segment.
    ///
    /// It may fall to 1 while the socket is in use, when the kernel refuses; packets already
    /// written with more are then sent one datagram at a time.
    pub fn max_gso_segments(&self) -> usize {
        self.segments_max
    }

    /// What it has counted since it was bound.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Buffers that suit [`recv`](Self::recv) on this socket.
    pub fn recv_batch(&self) -> RecvBatch {
        if self.receives_runs { RecvBatch::of_runs() } else { RecvBatch::of_datagrams() }
    }

    /// A batch that suits [`send`](Self::send) on this socket.
    pub fn send_batch(&self) -> SendBatch {
        SendBatch::new(Family::of(self.local), self.bound_ip())
    }

    /// Replaces the contents of `batch` by what has arrived, with one system call, and answers
    /// how many datagrams that is; 0 if nothing waits.
    ///
    /// Truncated and misdirected datagrams and reflected ICMP errors are counted and passed over.
    ///
    /// # Errors
    ///
    /// [`Error::Receive`] if the socket is unusable.
    pub fn recv(&mut self, batch: &mut RecvBatch) -> Result<usize, Error> {
        let bound_ip = self.bound_ip();
        let Self { fd, shard, shards, counters, .. } = self;
        let intake = Intake { shard: *shard, shards: *shards, bound_ip };
        for _ in 0..ERRORS_PASSED_MAX {
            counters.recv_calls += 1;
            match batch.fill(intake, counters, |storage, stride, arrivals| {
                sys::receive(fd.as_fd(), storage, stride, arrivals)
            }) {
                Ok(datagrams) => return Ok(datagrams),
                Err(Errno::AGAIN) => return Ok(0),
                Err(Errno::INTR) => {}
                Err(errno @ (Errno::BADF | Errno::NOTSOCK | Errno::FAULT | Errno::INVAL)) => {
                    return Err(Error::Receive(errno.into()));
                }
                Err(_) => counters.recv_errors += 1,
            }
        }
        Ok(0)
    }

    /// Sends everything in `batch`, in order, 64 messages to a system call.
    ///
    /// A packet whose destination, source or size the kernel refuses is dropped and counted, and
    /// the rest goes on.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the socket is unusable; what was not sent stays in the batch.
    pub fn send(&mut self, batch: &mut SendBatch) -> Result<Sent, Error> {
        let fd = self.fd.as_fd();
        batch
            .flush(&mut self.segments_max, &mut self.counters, |messages| sys::send(fd, messages))
            .map_err(|errno| Error::Send(errno.into()))
    }

    fn bound_ip(&self) -> Option<IpAddr> {
        Some(self.local.ip()).filter(|ip| !ip.is_unspecified())
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
