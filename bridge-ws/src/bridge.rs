//! What all connections of the bridge share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use sampan_protocol::Code;
use sampan_protocol::link::Broker;
use tokio::sync::Semaphore;

use crate::counters::{Counters, count};
use crate::failure::Failure;
use crate::json::Cache;
use crate::origins::Origins;
use crate::socketio::Shared;
use crate::throttle::Throttle;
use crate::tickets::Tickets;

/// How the bridge is set up.
pub struct Settings {
    /// The broker that sessions are attached to.
    pub broker: Arc<dyn Broker>,
    /// Where pages that use the bridge may come from.
    pub origins: Origins,
    /// WebSockets and streams of events at a time.
    pub sockets_max: usize,
    /// Whether a proxy stands in front, whose `X-Forwarded-For` names the peer.
    pub behind_proxy: bool,
    /// Seals what Socket.IO clients are recovered by; without it they are not.
    pub recovery_key: Option<[u8; 32]>,
    /// Routes that the broker or a service answers by request and reply.
    pub forwards: Vec<crate::Forward>,
}

/// What all connections share.
pub(crate) struct Bridge {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) origins: Origins,
    pub(crate) cache: Cache,
    pub(crate) socketio: Arc<Shared>,
    pub(crate) tickets: Tickets,
    pub(crate) throttle: Arc<Throttle>,
    /// Room for WebSockets and streams of events.
    pub(crate) sockets: Arc<Semaphore>,
    pub(crate) counters: Arc<Counters>,
}

impl Bridge {
    /// Whether a token from this address is looked at.
    ///
    /// # Errors
    /// When too many bad ones came from there.
    pub(crate) fn admit(&self, address: IpAddr) -> Result<(), Failure> {
        let admitted = self.throttle.admit(Instant::now(), address);
        if admitted.is_err() {
            count(&self.counters.bridge_addresses_throttled);
        }
        admitted
    }
}

/// Random bytes of the system, fit for secrets.
///
/// # Errors
/// When the system gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Failure::new(Code::RESTARTED, "the system gives no random bytes")),
    }
}
