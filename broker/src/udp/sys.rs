//! The system calls that no safe wrapper covers: batched datagrams, and two kinds of option.
//!
//! All the unsafe code of the module, and nothing else: callers hand over slices and get counts.

#![allow(unsafe_code)]

use std::{
    io,
    mem::{MaybeUninit, zeroed},
    os::fd::{AsRawFd, BorrowedFd},
    ptr,
};

use rustix::io::Errno;

use super::{BATCH_MAX, addr::NAME_BYTES, cmsg::CONTROL_BYTES};

/// One message to send, borrowed for the length of the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// The destination in the kernel's layout.
    pub(super) name: &'a [u8],
    /// The payload: one datagram, or several of one segment size.
    pub(super) payload: &'a [u8],
    /// Control messages in the kernel's layout.
    pub(super) control: &'a [u8],
}

/// Where the kernel writes everything about a received message but its payload.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    name: [u8; NAME_BYTES],
    name_bytes: usize,
    control: [u8; CONTROL_BYTES],
    control_bytes: usize,
    /// Bytes of payload that were kept.
    pub(super) bytes: usize,
    /// Whether payload was cut off.
    pub(super) truncated: bool,
}

impl Arrival {
    /// Room for one message.
    pub(super) const EMPTY: Self = Self {
        name: [0; NAME_BYTES],
        name_bytes: 0,
        control: [0; CONTROL_BYTES],
        control_bytes: 0,
        bytes: 0,
        truncated: false,
    };

    /// The sender in the kernel's layout.
    pub(super) fn name(&self) -> &[u8] {
        &self.name[..self.name_bytes.min(NAME_BYTES)]
    }

    /// The control messages in the kernel's layout.
    pub(super) fn control(&self) -> &[u8] {
        &self.control[..self.control_bytes.min(CONTROL_BYTES)]
    }
}

/// Sets an option whose value is an integer.
pub(super) fn set_int(fd: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let result = unsafe {
        let len = size_of_val(&value) as libc::socklen_t;
        libc::setsockopt(fd.as_raw_fd(), level, option, ptr::from_ref(&value).cast(), len)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `filter` choose the socket, within the group that `fd` belongs to.
pub(super) fn attach_filter(fd: BorrowedFd<'_>, filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: the pointer and length describe `program`, which points to `filter.len()`
    // instructions; both outlive the call, and the kernel copies them without writing.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_REUSEPORT_CBPF,
            ptr::from_ref(&program).cast(),
            size_of_val(&program) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives up to [`BATCH_MAX`] messages without waiting, the n-th into the n-th `stride` bytes of
/// `storage` and the n-th of `arrivals`; answers how many.
pub(super) fn receive(
    fd: BorrowedFd<'_>,
    storage: &mut [u8],
    stride: usize,
    arrivals: &mut [Arrival],
) -> Result<usize, Errno> {
    // The kernel's view lives on the stack for one call, so that a batch holds no pointers.
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH_MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH_MAX];
    let mut count = 0;
    let places = storage.chunks_exact_mut(stride).zip(arrivals.iter_mut());
    for ((payload, arrival), (vector, header)) in
        places.zip(vectors.iter_mut().zip(headers.iter_mut()))
    {
        let vector = vector
            .write(libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: payload.len() });
        // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
        let header = &mut header.write(unsafe { zeroed() }).msg_hdr;
        header.msg_name = arrival.name.as_mut_ptr().cast();
        header.msg_namelen = NAME_BYTES as _;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_control = arrival.control.as_mut_ptr().cast();
        header.msg_controllen = CONTROL_BYTES as _;
        count += 1;
    }
    // SAFETY: the first `count` headers are initialised; each points to a vector, a name, a
    // control buffer and a payload of its own with their true lengths, and all outlive the call.
    let received = unsafe {
        libc::recvmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr().cast(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| last_errno())?;
    for (arrival, header) in arrivals.iter_mut().zip(&headers).take(received) {
        // SAFETY: the kernel answers at most `count`, and that many headers are initialised.
        let header = unsafe { header.assume_init_ref() };
        arrival.name_bytes = header.msg_hdr.msg_namelen as usize;
        arrival.control_bytes = header.msg_hdr.msg_controllen as _;
        arrival.bytes = (header.msg_len as usize).min(stride);
        arrival.truncated = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
    }
    Ok(received)
}

/// Sends up to [`BATCH_MAX`] messages without waiting, in order; answers how many the kernel took.
/// An error concerns the first message.
pub(super) fn send<'a>(
    fd: BorrowedFd<'_>,
    messages: impl Iterator<Item = Outgoing<'a>>,
) -> Result<usize, Errno> {
    let mut vectors = [const { MaybeUninit::<libc::iovec>::uninit() }; BATCH_MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; BATCH_MAX];
    let mut count = 0;
    for ((vector, header), message) in vectors.iter_mut().zip(headers.iter_mut()).zip(messages) {
        let vector = vector.write(libc::iovec {
            iov_base: message.payload.as_ptr().cast_mut().cast(),
            iov_len: message.payload.len(),
        });
        // SAFETY: all-zero bytes are a valid `mmsghdr`: null pointers and zero lengths.
        let header = &mut header.write(unsafe { zeroed() }).msg_hdr;
        header.msg_name = message.name.as_ptr().cast_mut().cast();
        header.msg_namelen = message.name.len() as _;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        if !message.control.is_empty() {
            header.msg_control = message.control.as_ptr().cast_mut().cast();
            header.msg_controllen = message.control.len() as _;
        }
        count += 1;
    }
    // SAFETY: the first `count` headers are initialised and point to slices that live for `'a`
    // with their true lengths; the kernel reads them and writes only each header's `msg_len`.
    let sent = unsafe {
        libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr().cast(), count, libc::MSG_DONTWAIT as _)
    };
    usize::try_from(sent).map_err(|_| last_errno())
}

fn last_errno() -> Errno {
    Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)
}
