//! Binding one socket per shard to one port, and making sure that nobody else is on it.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{self, AddressFamily, SocketFlags, SocketType, sockopt},
};

use super::{
    Error, Socket,
    socket::Bound,
    steer::{SHARDS_MAX, filter},
    sys,
};

/// Bytes of kernel buffer per socket and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferSizes {
    /// What may wait to be received; beyond it the kernel drops datagrams. Default 4 MiB.
    pub recv: usize,
    /// What may wait to be sent; beyond it a flush is blocked. Default 4 MiB.
    pub send: usize,
}

impl Default for BufferSizes {
    fn default() -> Self {
        Self { recv: 4 << 20, send: 4 << 20 }
    }
}

/// Binds `shards` sockets to `addr`, the n-th of which receives the datagrams of shard n.
///
/// Port 0 lets the kernel choose one port for all. An IPv6 wildcard serves IPv4 as well. The
/// rule that names a datagram's shard is [`shard_of`](super::shard_of), and the kernel applies it.
/// Memory: `shards` × the sum of `buffers`, in the kernel, when they fill up.
///
/// # Errors
///
/// [`Error::AddressInUse`] if anyone else receives on the address, other brokers included: the
/// port is taken alone before it is shared, so two brokers that start at once cannot mix.
/// [`Error::Shards`], [`Error::Bind`] and [`Error::Steering`] as their names say.
pub fn bind_group(
    addr: SocketAddr,
    shards: usize,
    buffers: BufferSizes,
) -> Result<Vec<Socket>, Error> {
    if !(1..=SHARDS_MAX).contains(&shards) {
        return Err(Error::Shards(shards));
    }
    let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
    let failed = |source: io::Error| Error::Bind { addr, source };
    let first = open(addr).map_err(failed)?;
    bind(&first, addr)?;
    let local = local_addr(&first).map_err(failed)?;
    let mut fds = vec![first];
    if shards > 1 {
        share(&mut fds, local, shards)?;
        attach_rule(&fds[0], shards).map_err(Error::Steering)?;
    }
    let sockets = fds.into_iter().enumerate().map(|(shard, fd)| {
        let buffers = size_buffers(fd.as_fd(), buffers).map_err(failed)?;
        Ok(Socket::new(Bound { fd, local, shard, shards, buffers }))
    });
    sockets.collect()
}

fn open(addr: SocketAddr) -> io::Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let fd = net::socket_with(family, SocketType::DGRAM, flags, None)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, false)?;
    }
    set_optional(fd.as_fd(), addr);
    Ok(fd)
}

/// Asks for unfragmented sends, and for what is known beside a received payload.
///
/// All of it improves the service and none of it is needed, so a refusal is passed over.
fn set_optional(fd: BorrowedFd<'_>, addr: SocketAddr) {
    let v4 = [
        (libc::IPPROTO_IP, libc::IP_RECVTOS, 1),
        // QUIC forbids fragments, and does its own path MTU discovery.
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE),
    ];
    let v6 = [
        (libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1),
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE),
    ];
    // A socket bound to one address knows where its datagrams arrive.
    let arrival = match addr {
        _ if !addr.ip().is_unspecified() => None,
        SocketAddr::V4(_) => Some((libc::IPPROTO_IP, libc::IP_PKTINFO, 1)),
        SocketAddr::V6(_) => Some((libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)),
    };
    let v6 = v6.into_iter().filter(|_| addr.is_ipv6());
    for (level, option, value) in v4.into_iter().chain(v6).chain(arrival) {
        let _ = sys::set_int(fd, level, option, value);
    }
}

fn bind(fd: &OwnedFd, addr: SocketAddr) -> Result<(), Error> {
    net::bind(fd, &addr).map_err(|errno| match errno {
        Errno::ADDRINUSE => Error::AddressInUse(addr),
        errno => Error::Bind { addr, source: errno.into() },
    })
}

fn local_addr(fd: &OwnedFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(net::getsockname(fd)?)?)
}

/// Lets the other shards' sockets join the first, in shard order.
///
/// The first is bound alone, and `SO_REUSEPORT` set on it afterwards: so every broker's first
/// socket collides with any group there is, and there is no moment at which two may mix.
fn share(fds: &mut Vec<OwnedFd>, local: SocketAddr, shards: usize) -> Result<(), Error> {
    let failed = |source: io::Error| Error::Bind { addr: local, source };
    sockopt::set_socket_reuseport(&fds[0], true).map_err(|errno| failed(errno.into()))?;
    while fds.len() < shards {
        let fd = open(local).map_err(failed)?;
        sockopt::set_socket_reuseport(&fd, true).map_err(|errno| failed(errno.into()))?;
        bind(&fd, local)?;
        fds.push(fd);
    }
    Ok(())
}

fn attach_rule(fd: &OwnedFd, shards: usize) -> io::Result<()> {
    let shards = u32::try_from(shards).map_err(io::Error::other)?;
    sys::attach_filter(fd.as_fd(), &filter(shards))
}

/// Sets both buffers, past the system's cap where the process may, and answers what is in force.
fn size_buffers(fd: BorrowedFd<'_>, wanted: BufferSizes) -> io::Result<BufferSizes> {
    let recv = wanted.recv.min(i32::MAX as usize / 2);
    let send = wanted.send.min(i32::MAX as usize / 2);
    sockopt::set_socket_recv_buffer_size_force(fd, recv)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(fd, recv))?;
    sockopt::set_socket_send_buffer_size_force(fd, send)
        .or_else(|_| sockopt::set_socket_send_buffer_size(fd, send))?;
    // The kernel doubles what it is asked for, to cover its own overhead, and reports the double.
    Ok(BufferSizes {
        recv: sockopt::socket_recv_buffer_size(fd)? / 2,
        send: sockopt::socket_send_buffer_size(fd)? / 2,
    })
}
