//! UDP sockets for shard threads: batched receive and send, steering by connection id, waiting.
//!
//! A shard owns one [`Socket`] of a group bound to one port by [`bind_group`], and runs one loop:
//! [`Waiter::wait`], [`Socket::recv`], its own work, [`Socket::send`]. Nothing here allocates or
//! enters the kernel per packet once the batches are warm.
//!
//! It targets Linux (4.18 for segmentation, 5.0 for GRO; both are optional): `recvmmsg`,
//! `sendmmsg`, `SO_REUSEPORT` groups and `ppoll` have no portable form. It knows nothing of QUIC
//! beyond the place of a connection id's first byte, and never reads a clock.

mod addr;
mod cmsg;
mod counters;
mod error;
mod group;
mod packet;
mod recv;
mod send;
mod socket;
mod steer;
mod sys;
#[cfg(test)]
mod tests;
mod wait;

pub use counters::Counters;
pub use error::Error;
pub use group::{BufferSizes, bind_group};
pub use recv::{Datagram, RecvBatch};
pub use send::{Envelope, SendBatch, Sent, Slot};
pub use socket::Socket;
pub use steer::{SHARDS_MAX, shard_of};
pub use wait::{Ready, Waiter, Waker};

/// Messages that one system call moves at most, in either direction.
pub const BATCH_MAX: usize = 64;
