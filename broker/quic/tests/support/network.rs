//! Datagrams on their way, with the weather they travel in.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use sampan_quic::{Envelope, Outlet};

/// What happens to datagrams.
#[derive(Clone, Debug)]
pub struct Weather {
    pub delay: RangeInclusive<Duration>,
    pub loss_ppm: u64,
    pub duplicate_ppm: u64,
}

impl Default for Weather {
    fn default() -> Self {
        let delay = Duration::from_millis(5)..=Duration::from_millis(5);
        Weather { delay, loss_ppm: 0, duplicate_ppm: 0 }
    }
}

pub struct Packet {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub ecn: Option<u8>,
    pub payload: Vec<u8>,
}

pub struct Network {
    pub weather: Weather,
    random: u64,
    sent: u64,
    flight: BTreeMap<(Instant, u64), Packet>,
    pub bytes_from: BTreeMap<SocketAddr, u64>,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Network {
            weather: Weather::default(),
            random: seed,
            sent: 0,
            flight: BTreeMap::new(),
            bytes_from: BTreeMap::new(),
        }
    }

    pub fn next(&self) -> Option<Instant> {
        self.flight.keys().next().map(|(at, _)| *at)
    }

    pub fn due(&mut self, now: Instant) -> Option<Packet> {
        let first = self.flight.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub fn send(&mut self, now: Instant, packet: Packet) {
        *self.bytes_from.entry(packet.from).or_default() += packet.payload.len() as u64;
        if self.draw(1_000_000) < self.weather.loss_ppm {
            return;
        }
        if self.draw(1_000_000) < self.weather.duplicate_ppm {
            let Packet { from, to, ecn, payload } = &packet;
            let copy = Packet { from: *from, to: *to, ecn: *ecn, payload: payload.clone() };
            self.put(now, copy);
        }
        self.put(now, packet);
    }

    pub fn outlet(&mut self, now: Instant, from: SocketAddr) -> Out<'_> {
        Out { network: self, now, from, buffer: Vec::new() }
    }

    fn put(&mut self, now: Instant, packet: Packet) {
        let (least, most) = (*self.weather.delay.start(), *self.weather.delay.end());
        let spread = u64::try_from((most - least).as_micros()).expect("short");
        let delay = least + Duration::from_micros(self.draw(spread + 1));
        self.sent += 1;
        self.flight.insert((now + delay, self.sent), packet);
    }

    fn draw(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }
}

pub struct Out<'a> {
    network: &'a mut Network,
    now: Instant,
    from: SocketAddr,
    buffer: Vec<u8>,
}

impl Outlet for Out<'_> {
    fn segments_max(&self) -> usize {
        4
    }

    fn lend(&mut self, write: &mut dyn FnMut(&mut Vec<u8>) -> Option<Envelope>) -> bool {
        self.buffer.clear();
        if let Some(envelope) = write(&mut self.buffer) {
            let size = envelope.segment_size.unwrap_or(self.buffer.len()).max(1);
            for payload in self.buffer.chunks(size) {
                let packet = Packet {
                    from: self.from,
                    to: envelope.destination,
                    ecn: envelope.ecn,
                    payload: payload.to_vec(),
                };
                self.network.send(self.now, packet);
            }
        }
        true
    }
}
