//! How subscribers reach what is loaded.

use sampan_client::Topic;

use crate::stamp::Stamp;
use crate::{Error, Target, Work};

/// What the subscribers of a run speak. Publishers come over QUIC whatever it is, except to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// The broker's own protocol over QUIC, with TLS.
    #[default]
    Quic,
    /// The bridge's JSON on a WebSocket, without TLS.
    WebSocket,
    /// Socket.IO on a WebSocket, without TLS.
    SocketIo,
    /// Server-sent events over HTTP, without TLS.
    ServerSentEvents,
}

impl Transport {
    /// The name that the command line gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Transport::Quic => "quic",
            Transport::WebSocket => "ws",
            Transport::SocketIo => "socketio",
            Transport::ServerSentEvents => "sse",
        }
    }

    /// Whether subscribers come through the bridge.
    pub(crate) fn is_bridge(self) -> bool {
        self != Transport::Quic
    }

    /// How a payload carries the time of its publish call.
    pub(crate) fn stamp(self) -> Stamp {
        if self.is_bridge() { Stamp::Text } else { Stamp::Binary }
    }

    /// The topic of the room with this id: one that is not kept, or what the event that joins a
    /// room stands for.
    pub(crate) fn topic(self, id: &str) -> Result<Topic, Error> {
        let name = match self {
            Transport::SocketIo => format!("order.{id}"),
            _ => format!("bench.{id}"),
        };
        Topic::parse(&name).map_err(|error| sampan_client::invalid(error).into())
    }

    /// An error for work that it cannot carry.
    pub(crate) fn check(self, work: Work) -> Result<(), Error> {
        if self.is_bridge() && work == Work::Requests {
            return Err(Error::Invalid(format!("no requests over {}", self.name())));
        }
        Ok(())
    }

    /// An error for a target that does not speak it.
    pub(crate) fn check_target(self, target: &Target) -> Result<(), Error> {
        if matches!(target, Target::Peer { .. }) && self != Transport::SocketIo {
            return Err(Error::Invalid("a peer speaks socketio".to_owned()));
        }
        Ok(())
    }
}
