//! A QUIC client without I/O: quinn-proto's client joined to the protocol's client session.
//!
//! Tests and the simulator drive it; the SDK uses quinn with tokio and not this. The law is the
//! broker's: give it what has arrived, then [`Client::drive`], then take everything from
//! [`Client::poll`], then [`Client::transmit`], and wait until [`Client::deadline`].

mod link;
mod settings;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use quinn_proto::{ClientConfig, ConnectionHandle, DatagramEvent, EcnCodepoint, Endpoint};
use sampan_protocol::session::client as session;
use sampan_protocol::{Code, Frame, Now};

use self::link::Link;
pub use self::settings::{Tls, Tuning};
use crate::clock::WallClock;
use crate::envelope::{Envelope, Outlet};
use crate::quic::Arrival;

/// What a client is made from.
pub struct Setup {
    /// The broker's address.
    pub remote: SocketAddr,
    /// The name that the broker's certificate must be for.
    pub server_name: String,
    /// Whom to trust.
    pub tls: Tls,
    /// Windows and timers.
    pub tuning: Tuning,
    /// Token and limits of the session.
    pub options: session::Options,
    /// Decides connection ids, packet numbers, jitter and the producer id.
    pub seed: [u8; 32],
}

/// What the client's owner is told.
#[derive(Clone, Debug)]
pub enum Told {
    /// Something happened in the session.
    Event(session::Event),
    /// A token is wanted; answer with the session's `token` or `no_token`.
    NeedToken,
}

/// What has passed between the session and its connection; see [`Client::record`].
#[derive(Clone, Debug)]
pub enum Passed {
    /// The session sent these bytes: whole frames, or on the publish stream a part of one.
    Sent(session::Channel, Bytes),
    /// This frame arrived.
    Received(session::Channel, Frame),
}

/// The record of what passes, while one is wanted.
type Record = Option<VecDeque<Passed>>;

/// A client that connects, and connects again.
pub struct Client {
    endpoint: Endpoint,
    config: ClientConfig,
    remote: SocketAddr,
    server_name: String,
    clock: Arc<WallClock>,
    session: session::Client,
    /// By the endpoint's handle: the one in use and those that still close.
    links: BTreeMap<usize, Link>,
    told: VecDeque<Told>,
    record: Record,
    scratch: Vec<u8>,
}

impl Client {
    /// A client that has not been opened.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { remote, server_name, tls, tuning, options, seed } = setup;
        let mut draw = [0; 8];
        draw.copy_from_slice(&seed[..8]);
        Client {
            endpoint: Endpoint::new(settings::endpoint(seed), None, true, None),
            config: settings::client(&tls, &tuning, seed),
            remote,
            server_name,
            clock: tls.clock,
            session: session::Client::new(options, u64::from_le_bytes(draw)),
            links: BTreeMap::new(),
            told: VecDeque::new(),
            record: None,
            scratch: Vec::new(),
        }
    }

    /// The session, for commands. Call [`Client::drive`] after them.
    pub fn session(&mut self) -> &mut session::Client {
        &mut self.session
    }

    /// Takes a received datagram.
    pub fn datagram(&mut self, now: Now, arrival: Arrival) {
        self.clock.set(now.unix_ms);
        let Arrival { remote, local_ip, ecn, payload } = arrival;
        self.scratch.clear();
        let ecn = ecn.and_then(EcnCodepoint::from_bits);
        let event =
            self.endpoint.handle(now.mono, remote, local_ip, ecn, payload, &mut self.scratch);
        // Nobody connects to a client, and what it would answer to strangers can stay unsaid.
        if let Some(DatagramEvent::ConnectionEvent(handle, event)) = event
            && let Some(link) = self.links.get_mut(&handle.0)
        {
            link.transport.handle_event(event);
        }
    }

    /// Does everything that is due.
    pub fn time(&mut self, now: Now) {
        self.clock.set(now.unix_ms);
        for link in self.links.values_mut() {
            if link.transport.poll_timeout().is_some_and(|at| at <= now.mono) {
                link.transport.handle_timeout(now.mono);
            }
        }
        if self.session.deadline().is_some_and(|at| at <= now.mono) {
            self.session.timeout(now);
        }
    }

    /// Carries everything between connections and session until nothing moves.
    pub fn drive(&mut self, now: Now) {
        loop {
            for (handle, link) in &mut self.links {
                exchange(&mut self.endpoint, *handle, link);
                link.read(now, &mut self.session, &mut self.record);
                exchange(&mut self.endpoint, *handle, link);
            }
            self.links.retain(|_, link| !link.transport.is_drained());
            let mut moved = false;
            while let Some(output) = self.session.poll_but_publishes() {
                moved = true;
                self.carry_out(now, output);
            }
            for link in self.links.values_mut() {
                link.write(now, &mut self.session, &mut self.record);
            }
            if !moved {
                return;
            }
        }
    }

    /// What the owner is to be told.
    pub fn poll(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Notes every frame from here on, for a test that compares whole conversations. What is noted
    /// must be taken with [`Client::poll_record`].
    pub fn record(&mut self) {
        self.record.get_or_insert_default();
    }

    /// The next frame that was noted.
    pub fn poll_record(&mut self) -> Option<Passed> {
        self.record.as_mut()?.pop_front()
    }

    /// Moves packets to `outlet` until it has no more room. Whether everything went out.
    pub fn transmit(&mut self, now: Now, outlet: &mut dyn Outlet) -> bool {
        self.links.values_mut().all(|link| link.flush(now.mono, outlet))
    }

    /// When [`Client::time`] must be called next.
    pub fn deadline(&mut self) -> Option<Instant> {
        let links = self.links.values_mut().filter_map(|link| link.transport.poll_timeout());
        links.chain(self.session.deadline()).min()
    }

    /// The connection in use, for tests that bend it.
    pub fn transport(&mut self) -> Option<&mut quinn_proto::Connection> {
        let link = self.links.values_mut().find(|link| link.is_open())?;
        Some(&mut link.transport)
    }

    fn carry_out(&mut self, now: Now, output: session::Output) {
        match output {
            session::Output::Connect { connection } => self.connect(now, connection),
            session::Output::NeedToken => self.told.push_back(Told::NeedToken),
            session::Output::Event(event) => self.told.push_back(Told::Event(event)),
            session::Output::Send(channel, bytes) => {
                if let Some(record) = &mut self.record {
                    record.push_back(Passed::Sent(channel, bytes.clone()));
                }
                if let Some(link) = self.links.values_mut().find(|link| link.is_open()) {
                    link.send(bytes);
                }
            }
            session::Output::Close { connection, code, reason } => {
                let named = |link: &&mut Link| link.number == connection;
                if let Some(link) = self.links.values_mut().find(named) {
                    link.close(code, reason);
                }
            }
        }
    }

    fn connect(&mut self, now: Now, number: u32) {
        let config = self.config.clone();
        match self.endpoint.connect(now.mono, config, self.remote, &self.server_name) {
            Ok((ConnectionHandle(handle), transport)) => {
                self.links.insert(handle, Link::new(number, transport));
            }
            Err(error) => {
                let reason = error.to_string();
                self.session.lost(
                    now,
                    number,
                    session::Lost { code: None, reason, hopeless: true },
                );
            }
        }
    }
}

fn exchange(endpoint: &mut Endpoint, handle: usize, link: &mut Link) {
    while let Some(event) = link.transport.poll_endpoint_events() {
        if let Some(event) = endpoint.handle_event(ConnectionHandle(handle), event) {
            link.transport.handle_event(event);
        }
    }
}

/// The code in an application close, if it is one of the protocol's.
fn code(number: u64) -> Option<Code> {
    u16::try_from(number).ok().map(Code)
}

/// Sends what a connection has. Whether there was room for all of it.
fn flush(transport: &mut quinn_proto::Connection, now: Instant, outlet: &mut dyn Outlet) -> bool {
    loop {
        let segments = outlet.segments_max().max(1);
        let mut sent = false;
        let room = outlet.lend(&mut |buffer| {
            let transmit = transport.poll_transmit(now, segments, buffer);
            sent = transmit.is_some();
            transmit.map(Envelope::from)
        });
        if !room || !sent {
            return room;
        }
    }
}
