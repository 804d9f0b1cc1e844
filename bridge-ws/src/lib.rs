//! The bridge: what browsers and plain HTTP speak, translated to the protocol's frames and back.
//!
//! Every client of the bridge is a session of the broker like any other, attached by
//! [`sampan_protocol::link`]: tokens, grants, rates, slow readers and gaps are the broker's matter.
//! The bridge neither stores nor routes. Translation (`session`, `conversation`, `stream`, `socketio`,
//! `json`) is free of I/O; `web` is the shell around it. What clients see is specified in `spec/bridge.md`.

mod attached;
mod bridge;
mod conversation;
mod counters;
mod events;
mod failure;
mod forward;
mod inbox;
mod inflate;
mod json;
mod newest;
mod origins;
mod parameter;
mod session;
mod socketio;
mod stream;
mod throttle;
mod tickets;
mod web;

pub use bridge::Settings;
pub use counters::Counters;
pub use forward::Forward;
pub use origins::{NotAnOrigin, Origins};
pub use parameter::Parameter;
pub use web::{Heard, Socket, Unwritten, Web, web};
