//! Sampan's wire protocol, without I/O: frames, control messages, topics, positions, codes, limits,
//! and the session state machines of both ends.
//!
//! Nothing here reads a clock, a socket or a source of randomness: time and seeds are arguments.
//! The bytes are specified in `spec/`, with vectors that the tests run both ways.

pub mod attribute;
mod class;
mod code;
pub mod control;
mod error;
pub mod frame;
pub mod limits;
pub mod link;
mod position;
pub mod session;
mod time;
pub mod topic;

pub use class::{AckLevel, Class, UnknownName};
pub use code::{Code, Reaction};
pub use error::Error;
pub use frame::{Frame, FrameReader, Header, Kind};
pub use position::{ParsePositionError, Position};
pub use time::Now;
pub use topic::{Pattern, Topic};

/// The protocol version that this crate speaks.
pub const VERSION: u16 = 1;

/// The ALPN name of the protocol on QUIC.
pub const ALPN: &[u8] = b"sampan/1";
