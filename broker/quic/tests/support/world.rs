//! The broker and its clients, stepped from one deadline to the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use sampan_core::class::Table;
use sampan_core::config::Config;
use sampan_core::grant::{Identity, Role};
use sampan_core::journal::{self, Memory};
use sampan_core::shard::{self, Output, Shard};
use sampan_protocol::session::client::{Event, Message, Options};
use sampan_protocol::{ALPN, Code, Now};
use sampan_quic::client::{self, Client, Told, Tuning};
use sampan_quic::{Arrival, Certificate, Envelope, Limits, Quic, Secret, Setup, Tls, WallClock};

use super::directory::Names;
use super::network::{Network, Packet};
use super::raw::Raw;

pub const UNIX_MS: u64 = 1_700_000_000_000;

pub struct Seat {
    pub client: Client,
    pub address: SocketAddr,
    pub heard: Vec<Event>,
    /// Whether it still receives and sends.
    pub awake: bool,
}

pub struct World {
    pub now: Now,
    pub start: Instant,
    pub broker: Quic,
    pub tls: Tls,
    pub limits: Limits,
    pub secret: Secret,
    pub seats: Vec<Seat>,
    pub raws: Vec<Raw>,
    pub network: Network,
    pub root: Vec<u8>,
    pub clock: Arc<WallClock>,
    pub client_tls: client::Tls,
    made: u8,
}

/// A self-signed certificate for `broker.test`, and its DER as a root. It is long, as a chain of
/// real ones is.
pub fn certificate() -> (Certificate, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let mut names = vec!["broker.test".to_owned()];
    names.extend((0..100).map(|n| format!("other-{n}.broker.test")));
    let params = rcgen::CertificateParams::new(names).expect("names");
    let certificate = params.self_signed(&key).expect("signed");
    let der = certificate.der().to_vec();
    (Certificate { chain: vec![der.clone()], key: key.serialize_der() }, der)
}

pub fn broker_address() -> SocketAddr {
    "192.0.2.1:3001".parse().expect("an address")
}

fn shard(now: Now) -> Shard {
    let config = Config::shipped();
    let classes = Arc::new(Table::shipped());
    Shard::new(shard::Setup {
        config,
        shard: 0,
        shards: 1,
        boot: 7,
        directory: Arc::new(Names::new(Table::shipped())),
        journal: Box::new(Memory::new(journal::Config::default(), classes)),
        topics: Vec::new(),
        now,
    })
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, Limits::default())
    }

    pub fn with(seed: u64, limits: Limits) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: UNIX_MS };
        let clock = Arc::new(WallClock::new(UNIX_MS));
        let secret = Secret::new(&[42; 32]);
        let (certificate, root) = certificate();
        let tls = Tls::new(certificate, &secret, &[1; 32], clock.clone()).expect("a certificate");
        let client_tls =
            client::Tls::new(std::slice::from_ref(&root), ALPN, clock.clone()).expect("a root");
        let setup = Setup {
            shard: shard(now),
            index: 0,
            shards: 1,
            limits: limits.clone(),
            tls: tls.clone(),
            seed: [seed as u8; 32],
        };
        World {
            now,
            start: now.mono,
            broker: Quic::new(setup, now),
            tls,
            limits,
            secret,
            seats: Vec::new(),
            raws: Vec::new(),
            network: Network::new(seed),
            root,
            clock,
            client_tls,
            made: 0,
        }
    }

    /// The broker process dies, and another one takes its place.
    pub fn restart(&mut self) {
        self.made += 1;
        let setup = Setup {
            shard: shard(self.now),
            index: 0,
            shards: 1,
            limits: self.limits.clone(),
            tls: self.tls.clone(),
            seed: [200 + self.made; 32],
        };
        self.broker = Quic::new(setup, self.now);
    }

    /// A client with this token, `user/role`; its number.
    pub fn join(&mut self, token: &str) -> usize {
        self.join_with(token, self.client_tls.clone(), Tuning::default())
    }

    pub fn join_with(&mut self, token: &str, tls: client::Tls, tuning: Tuning) -> usize {
        let number = self.seats.len();
        let seed = [u8::try_from(number % 200).expect("small") + 1; 32];
        let options = Options { token: Some(token.to_owned()), ..Options::default() };
        let mut client = Client::new(client::Setup {
            remote: broker_address(),
            server_name: "broker.test".to_owned(),
            tls,
            tuning,
            options,
            seed,
        });
        client.session().open(self.now);
        self.seats.push(Seat { client, address: address(number), heard: Vec::new(), awake: true });
        number
    }

    /// A QUIC client that speaks no protocol of its own.
    pub fn stranger(&mut self, alpn: &[u8]) -> usize {
        let number = self.raws.len();
        self.raws.push(Raw::new(self.now, &self.root, alpn, address(1000 + number)));
        number
    }

    /// Runs until every seat is live, or panics.
    pub fn all_live(&mut self) {
        let live = self.run_until(Duration::from_secs(20), |world| {
            world.seats.iter_mut().all(|seat| seat.client.session().is_live())
        });
        assert!(live, "not every client is live");
    }

    /// Runs for this long.
    pub fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Runs until `done`, for this long at most; whether it was.
    pub fn run_until(&mut self, time: Duration, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let end = self.now.mono + time;
        loop {
            self.step();
            if done(self) {
                return true;
            }
            let next = self.next().filter(|next| *next < end).unwrap_or(end);
            self.now = self.now.after(next.saturating_duration_since(self.now.mono));
            if self.now.mono >= end {
                self.step();
                return done(self);
            }
        }
    }

    /// Messages that the seat has heard.
    pub fn messages(&self, seat: usize) -> Vec<&Message> {
        let heard = self.seats[seat].heard.iter();
        heard
            .filter_map(|event| match event {
                Event::Message { message, .. } => Some(message),
                _ => None,
            })
            .collect()
    }

    pub fn elapsed(&self) -> Duration {
        self.now.mono - self.start
    }

    /// Bytes that the broker has sent.
    pub fn broker_bytes(&self) -> u64 {
        self.network.bytes_from.get(&broker_address()).copied().unwrap_or(0)
    }

    fn next(&mut self) -> Option<Instant> {
        let seats = self.seats.iter_mut().filter(|seat| seat.awake);
        let seats = seats.filter_map(|seat| seat.client.deadline());
        let raws = self.raws.iter_mut().filter_map(Raw::deadline);
        let fixed = [self.network.next(), self.broker.deadline()];
        seats.chain(raws).chain(fixed.into_iter().flatten()).min()
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(packet) = self.network.due(now.mono) {
            self.arrive(packet);
        }
        self.step_broker();
        for seat in self.seats.iter_mut().filter(|seat| seat.awake) {
            seat.client.time(now);
            seat.client.drive(now);
            while let Some(told) = seat.client.poll() {
                if let Told::Event(event) = told {
                    seat.heard.push(event);
                }
            }
            let mut outlet = self.network.outlet(now.mono, seat.address);
            assert!(seat.client.transmit(now, &mut outlet));
        }
        for raw in &mut self.raws {
            raw.time(now.mono);
            let mut outlet = self.network.outlet(now.mono, raw.address);
            raw.transmit(now.mono, &mut outlet);
        }
    }

    fn step_broker(&mut self) {
        let now = self.now;
        self.broker.time(now);
        loop {
            self.broker.settle(now);
            let mut moved = false;
            while let Some(output) = self.broker.poll(now) {
                moved = true;
                match output {
                    Output::Authenticate { key, token } => {
                        if let Some(verdict) = judge(&token) {
                            self.broker.shard_mut().verdict(now, key, verdict);
                        }
                    }
                    Output::ToShard(..) | Output::Live { .. } | Output::Managed { .. } => {
                        unreachable!("one shard")
                    }
                }
            }
            let mut outlet = self.network.outlet(now.mono, broker_address());
            assert!(self.broker.transmit(now, &mut outlet));
            if !moved {
                return;
            }
        }
    }

    fn arrive(&mut self, packet: Packet) {
        let Packet { from, to, ecn, payload } = packet;
        let payload = BytesMut::from(&payload[..]);
        let arrival = Arrival { remote: from, local_ip: None, ecn, payload };
        if to == broker_address() {
            let mut answers: Vec<(Envelope, Vec<u8>)> = Vec::new();
            self.broker.datagram(self.now, arrival, &mut |envelope, bytes| {
                answers.push((envelope, bytes.to_vec()));
            });
            for (envelope, payload) in answers {
                let (from, to) = (broker_address(), envelope.destination);
                let packet = Packet { from, to, ecn: envelope.ecn, payload };
                self.network.send(self.now.mono, packet);
            }
        } else if let Some(seat) =
            self.seats.iter_mut().find(|seat| seat.awake && seat.address == to)
        {
            seat.client.datagram(self.now, arrival);
        } else if let Some(raw) = self.raws.iter_mut().find(|raw| raw.address == to) {
            raw.datagram(self.now.mono, arrival);
        }
    }
}

fn address(number: usize) -> SocketAddr {
    let [high, low] = u16::try_from(number).expect("small").to_be_bytes();
    SocketAddr::from(([198, 51, high, low], 40_000))
}

/// The verdict on `user/role`; nothing is ever said about `silence`.
fn judge(token: &str) -> Option<Result<Identity, Code>> {
    if token == "silence" {
        return None;
    }
    let identity = token.split_once('/').and_then(|(user, role)| {
        let role: Role = role.parse().ok()?;
        let expires_ms = UNIX_MS + 24 * 3600 * 1000;
        Some(Identity { user: user.into(), role, expires_ms, issued_ms: None, token_id: None })
    });
    Some(identity.ok_or(Code::BAD_TOKEN))
}
