//! One shard's transport: a QUIC endpoint and its connections, joined to the shard that they serve.

mod admission;
mod drive;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use quinn_proto::{ConnectionHandle, DatagramEvent, EcnCodepoint, Endpoint, ServerConfig};
use sampan_core::session::SessionKey;
use sampan_core::shard::{Output, Shard};
use sampan_protocol::{Code, Now};

use crate::clock::WallClock;
use crate::connection::Connection;
use crate::counters::Counters;
use crate::envelope::{Envelope, Outlet};
use crate::gate::Gate;
use crate::heap::Deadlines;
use crate::id::Ids;
use crate::limits::Limits;
use crate::settings;
use crate::tls::Tls;

/// No connection.
const NONE: u32 = u32::MAX;

/// What a shard's transport is made from.
pub struct Setup {
    /// The shard that the connections serve.
    pub shard: Shard,
    /// Its number.
    pub index: u8,
    /// How many shards share the address.
    pub shards: u8,
    /// Bounds.
    pub limits: Limits,
    /// Certificate and keys.
    pub tls: Tls,
    /// Fresh randomness of this process; the same for all shards.
    pub seed: [u8; 32],
}

/// A received datagram, as the socket tells of it.
#[derive(Debug)]
pub struct Arrival {
    /// Who sent it.
    pub remote: SocketAddr,
    /// The local address it was sent to.
    pub local_ip: Option<IpAddr>,
    /// The ECN codepoint.
    pub ecn: Option<u8>,
    /// The payload.
    pub payload: BytesMut,
}

/// A QUIC endpoint and the shard behind it, as one state machine.
///
/// The law: give it what has arrived ([`Quic::datagram`], [`Quic::time`], inputs of the shard),
/// then [`Quic::settle`], then take everything from [`Quic::poll`], then let it
/// [`Quic::transmit`]; repeat while any of these brings something, and wait until
/// [`Quic::deadline`].
pub struct Quic {
    endpoint: Endpoint,
    shard: Shard,
    limits: Limits,
    gate: Gate,
    clock: Arc<WallClock>,
    counters: Counters,
    /// By the endpoint's handle. Boxed, so that growth moves pointers and not connections.
    connections: Vec<Option<Box<Connection>>>,
    /// The connection of each session, by the session's index.
    sessions: Vec<u32>,
    deadlines: Deadlines,
    /// Connections that may have packets to send.
    dirty: VecDeque<u32>,
    /// Connections with more to read.
    unread: VecDeque<u32>,
    /// Sessions without a connection of ours that have something to send.
    linked: VecDeque<SessionKey>,
    /// The connection that got the last datagram. It is read when another one's turn comes, so
    /// that a run of its datagrams is read at once.
    current: u32,
    now: Instant,
    scratch: Vec<u8>,
}

impl Quic {
    /// A transport without connections.
    #[must_use]
    pub fn new(setup: Setup, now: Now) -> Self {
        let Setup { shard, index, shards, limits, tls, mut seed } = setup;
        seed[31] ^= index;
        tls.clock.set(now.unix_ms);
        let ids = Ids::new(tls.secret.id_key(), seed, index, shards);
        let config = Arc::new(settings::endpoint(&limits, &tls, ids, seed));
        let server = settings::server(&limits, &tls);
        Quic {
            endpoint: Endpoint::new(config, Some(server), true, None),
            shard,
            gate: Gate::new(&limits),
            limits,
            clock: Arc::clone(&tls.clock),
            counters: Counters::default(),
            connections: Vec::new(),
            sessions: Vec::new(),
            deadlines: Deadlines::default(),
            dirty: VecDeque::new(),
            unread: VecDeque::new(),
            linked: VecDeque::new(),
            current: NONE,
            now: now.mono,
            scratch: Vec::new(),
        }
    }

    /// The shard behind the connections.
    #[must_use]
    pub fn shard(&self) -> &Shard {
        &self.shard
    }

    /// The shard, to give it inputs that come by other ways.
    pub fn shard_mut(&mut self) -> &mut Shard {
        &mut self.shard
    }

    /// What the transport has counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Shows another certificate to connections that begin from here on.
    pub fn set_tls(&mut self, tls: &Tls) {
        let server: Arc<ServerConfig> = settings::server(&self.limits, tls);
        self.endpoint.set_server_config(Some(server));
    }

    /// Lets no new connection in, for a broker that drains.
    pub fn shut(&mut self) {
        self.gate.shut();
    }

    /// Takes a received datagram. Answers that belong to no connection go to `respond`.
    pub fn datagram(
        &mut self,
        now: Now,
        arrival: Arrival,
        respond: &mut dyn FnMut(Envelope, &[u8]),
    ) {
        self.set_time(now);
        let Arrival { remote, local_ip, ecn, payload } = arrival;
        self.scratch.clear();
        let ecn = ecn.and_then(EcnCodepoint::from_bits);
        let event =
            self.endpoint.handle(now.mono, remote, local_ip, ecn, payload, &mut self.scratch);
        match event {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                let index = number(handle);
                self.turn_to(now, index);
                let Some(connection) = self.connections.get_mut(handle.0).and_then(Option::as_mut)
                else {
                    return;
                };
                connection.transport.handle_event(event);
                if connection.noise.packet(&connection.transport, now.mono, &self.limits) {
                    self.with(now, index, |connection, env| {
                        connection.fail(env, Code::ABUSE, "packets without content");
                    });
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.incoming(now, incoming, respond),
            Some(DatagramEvent::Response(transmit)) => self.respond(transmit, respond),
            None => {}
        }
    }

    /// Does everything that is due.
    pub fn time(&mut self, now: Now) {
        self.set_time(now);
        while let Some(index) = self.deadlines.due(now.mono) {
            self.with(now, index, |connection, env| connection.time(env));
            self.drive(now, index);
        }
        self.shard.time(now);
    }

    /// Ends a batch of inputs: reads what is left to read, and lets the shard do what it does
    /// once per batch.
    pub fn settle(&mut self, now: Now) {
        self.set_time(now);
        self.turn_to(now, NONE);
        for _ in 0..self.unread.len() {
            let Some(index) = self.unread.pop_front() else { break };
            if let Some(connection) = self.connection(index) {
                connection.unread = false;
            }
            self.drive(now, index);
        }
        self.shard.settle(now);
    }

    /// What the shard wants done. Sessions that became live are handled here, apart from those
    /// that have no connection of ours.
    pub fn poll(&mut self, now: Now) -> Option<Output> {
        loop {
            let output = self.shard.poll()?;
            let Output::Live { key } = output else { return Some(output) };
            let Some(index) = self.index_of(key) else { return Some(output) };
            self.with(now, index, |connection, env| connection.go_live(env));
            self.mark(index);
        }
    }

    /// A session without a connection of ours that has something to send.
    pub fn next_linked(&mut self) -> Option<SessionKey> {
        self.linked.pop_front()
    }

    /// Moves what the shard has for clients into their connections, and packets to `outlet` until
    /// it has no more room. Whether everything went out.
    pub fn transmit(&mut self, now: Now, outlet: &mut dyn Outlet) -> bool {
        self.set_time(now);
        while let Some(key) = self.shard.next_ready() {
            match self.index_of(key) {
                Some(index) => {
                    if let Some(connection) = self.connection(index) {
                        connection.ready = true;
                    }
                    self.mark(index);
                }
                None => self.linked.push_back(key),
            }
        }
        while let Some(&index) = self.dirty.front() {
            if !self.send(now, index, outlet) {
                return false;
            }
            self.dirty.pop_front();
        }
        true
    }

    /// When [`Quic::time`], [`Quic::settle`] and [`Quic::transmit`] must be called next. What
    /// waits for room in the outlet is not counted.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let more = !self.unread.is_empty() || self.shard.is_unsettled();
        let more = more.then_some(self.now);
        let all = [self.shard.deadline(), self.deadlines.next(), more];
        all.into_iter().flatten().min()
    }

    /// Closes every connection with `code`, for a broker that stops.
    pub fn close_all(&mut self, now: Now, code: Code) {
        for index in 0..self.connections.len() {
            let index = u32::try_from(index).unwrap_or(NONE);
            self.with(now, index, |connection, env| connection.fail(env, code, code.text()));
            self.mark(index);
        }
    }

    fn set_time(&mut self, now: Now) {
        self.now = now.mono;
        self.clock.set(now.unix_ms);
    }
}

fn number(handle: ConnectionHandle) -> u32 {
    u32::try_from(handle.0).unwrap_or(NONE)
}
