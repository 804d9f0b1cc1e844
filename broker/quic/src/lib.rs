//! quinn-proto joined to the sessions of sampan-core: datagrams in, datagrams out, deadlines.
//!
//! Nothing here opens a socket, starts a thread or reads a clock: time and seeds are arguments, so
//! the same code runs in the broker and in a simulator. Start reading at [`Quic`].

pub mod client;
mod clock;
mod connection;
mod counters;
mod envelope;
mod gate;
mod handshake;
mod heap;
mod id;
mod inbound;
mod limits;
mod noise;
mod outbound;
mod quic;
mod secret;
mod settings;
mod ticket;
mod tls;

pub use clock::WallClock;
pub use counters::Counters;
pub use envelope::{Envelope, Outlet};
pub use limits::Limits;
pub use quic::{Arrival, Quic, Setup};
pub use secret::{SECRET_BYTES, Secret};
pub use tls::{Certificate, Error, Tls};
