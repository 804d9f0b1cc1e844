//! The contract by which a session outside a shard is attached to a broker in the same process.
//!
//! Both ways carry whole frames, exactly those of the QUIC streams, in one ordered stream each.
//! In-process clients and the browser bridge are attached this way.

use bytes::Bytes;

use crate::code::Code;

/// A broker that sessions can be attached to.
pub trait Broker: Send + Sync {
    /// Attaches a session that speaks the protocol from HELLO on. `address` names the peer for
    /// limits and logs.
    ///
    /// # Errors
    /// The code to react to, when the broker takes no more sessions.
    fn attach(&self, address: &str, sink: Box<dyn Sink>) -> Result<Box<dyn Link>, Code>;
}

/// Where the broker puts what it has for the session. Called on a shard thread: must not block.
pub trait Sink: Send {
    /// Offers one chunk of one or more whole frames. `false` means that there is no room: the
    /// chunk was not taken, and the broker offers it again after [`Link::ready`].
    fn offer(&mut self, chunk: &Bytes) -> bool;

    /// The broker is done with the session; nothing follows.
    fn closed(&mut self, code: Code);
}

/// What the session's owner does towards the broker. Dropping it ends the session.
pub trait Link: Send + Sync {
    /// Sends whole frames. `false` means that the broker's mailbox is full: nothing was taken, try
    /// again a little later.
    fn send(&self, frames: Bytes) -> bool;

    /// Tells that the sink has room again.
    fn ready(&self);
}
