//! What the bridge counts, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// Counts of the bridge since its start.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub(crate) $name: AtomicU64,)* }

        impl Counters {
            /// Every count: its name in metrics, what it counts, how many there are.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), $text, self.$name.load(Ordering::Relaxed))),*]
            }
        }
    };
}

counters! {
    /// HTTP requests that a session was attached for.
    bridge_http_requests: "HTTP requests that reached the broker",
    /// Messages over HTTP that were not published.
    bridge_http_publishes_refused: "Messages over HTTP that were refused",
    /// WebSockets that were opened.
    bridge_sockets_opened: "WebSockets opened",
    /// WebSockets that have ended; those that are open are the rest.
    bridge_sockets_ended: "WebSockets ended",
    /// WebSockets that were refused for want of room.
    bridge_sockets_refused: "WebSockets refused for want of room",
    /// WebSockets closed for breaking RFC 6455 (1002).
    bridge_sockets_protocol: "WebSockets closed with 1002, protocol error",
    /// WebSockets closed for binary data (1003).
    bridge_sockets_unsupported: "WebSockets closed with 1003, binary data",
    /// WebSockets closed for text that is not UTF-8 (1007).
    bridge_sockets_not_text: "WebSockets closed with 1007, not UTF-8",
    /// WebSockets closed for a flood of frames (1008).
    bridge_sockets_policy: "WebSockets closed with 1008, too many frames",
    /// WebSockets closed for a message above the limit (1009).
    bridge_sockets_too_big: "WebSockets closed with 1009, too big",
    /// WebSockets closed with a code of the protocol.
    bridge_sockets_code: "WebSockets closed with a code of the protocol",
    /// WebSockets cut off because nothing could be written for too long.
    bridge_sockets_stuck: "WebSockets cut off because the peer took nothing",
    /// Socket.IO connections that were opened.
    bridge_socketio_opened: "Socket.IO connections opened",
    /// Socket.IO connections that have ended.
    bridge_socketio_ended: "Socket.IO connections ended",
    /// Socket.IO connections that were refused for want of room.
    bridge_socketio_refused: "Socket.IO connections refused for want of room",
    /// Socket.IO connections that went from polling to a WebSocket.
    bridge_socketio_upgraded: "Socket.IO connections that went from polling to a WebSocket",
    /// Socket.IO connections closed for a packet that makes no sense.
    bridge_socketio_malformed: "Socket.IO connections closed for a packet that makes no sense",
    /// Socket.IO connections closed for a flood of packets.
    bridge_socketio_flood: "Socket.IO connections closed for too many packets",
    /// Socket.IO connections closed because a ping was not answered.
    bridge_socketio_silent: "Socket.IO connections closed because a ping was not answered",
    /// Socket.IO connections closed for being in no namespace.
    bridge_socketio_unconnected: "Socket.IO connections closed for being in no namespace",
    /// Socket.IO connections closed for attachments that did not come.
    bridge_socketio_incomplete: "Socket.IO connections closed for missing attachments",
    /// Socket.IO connections closed for polling twice at a time, or for a poll that was given up.
    bridge_socketio_polls: "Socket.IO connections closed for two polls at a time or a poll given up",
    /// Socket.IO connections closed because their session of the broker has ended.
    bridge_socketio_sessions: "Socket.IO connections closed because the broker's session has ended",
    /// Socket.IO connections cut off because the peer took nothing.
    bridge_socketio_stuck: "Socket.IO connections cut off because the peer took nothing",
    /// Streams of events that were opened.
    bridge_streams_opened: "Streams of events opened",
    /// Streams of events that have ended.
    bridge_streams_ended: "Streams of events ended",
    /// Streams of events cut off because nothing could be written for too long.
    bridge_streams_stuck: "Streams of events cut off because the peer took nothing",
    /// Attempts that were refused because of bad tokens from their address.
    bridge_addresses_throttled: "Attempts refused because of bad tokens from their address",
    /// Requests of pages from elsewhere than the allowed origins.
    bridge_origins_refused: "Requests of origins that are not allowed",
}

/// Counts one more.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
