//! The network: datagrams between the broker's address and the clients', in the weather of each
//! client's path. It does no I/O and knows no clock but the time that it is told.

mod outlet;
#[cfg(test)]
mod tests;
mod way;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

pub(crate) use self::outlet::Out;
pub(crate) use self::way::{Fate, Pipe, Way, Weather};
use crate::chance::Chance;

/// Where the broker is.
pub(crate) const BROKER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), 3001);

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) ecn: Option<u8>,
    pub(crate) payload: Vec<u8>,
}

/// Direction of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Broker,
    Client,
}

/// What has been counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counters {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: u64,
    pub(crate) flipped: u64,
    pub(crate) doubled: u64,
}

#[derive(Debug)]
struct Path {
    address: SocketAddr,
    up: Way,
    down: Way,
}

/// What was decided about one datagram, for the trace.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision {
    pub(crate) seat: u32,
    pub(crate) to: To,
    pub(crate) bytes: usize,
    pub(crate) fate: Fate,
}

#[derive(Debug)]
pub(crate) struct Net {
    seed: u64,
    paths: Vec<Path>,
    seats: BTreeMap<SocketAddr, u32>,
    addresses: u32,
    /// By arrival, then in the order of sending.
    flight: BTreeMap<(Instant, u64), Packet>,
    put: u64,
    pub(crate) counters: Counters,
    /// Decisions that the trace has not taken; empty unless it is wanted.
    pub(crate) decisions: Option<Vec<Decision>>,
}

impl Net {
    pub(crate) fn new(seed: u64) -> Self {
        Net {
            seed,
            paths: Vec::new(),
            seats: BTreeMap::new(),
            addresses: 0,
            flight: BTreeMap::new(),
            put: 0,
            counters: Counters::default(),
            decisions: None,
        }
    }

    /// Connects the next client; its number is the seat's.
    pub(crate) fn connect(&mut self, weather: &Weather) -> u32 {
        let seat = u32::try_from(self.paths.len()).expect("few clients");
        let number = u64::from(seat);
        let up = Way::new(weather.clone(), Chance::of(self.seed, "up", number));
        let down = Way::new(weather.clone(), Chance::of(self.seed, "down", number));
        let address = self.fresh_address();
        self.paths.push(Path { address, up, down });
        self.seats.insert(address, seat);
        seat
    }

    /// The client's address changes, and what is on its way to the old one goes astray.
    pub(crate) fn rebind(&mut self, seat: u32) {
        let address = self.fresh_address();
        let path = &mut self.paths[seat as usize];
        self.seats.remove(&std::mem::replace(&mut path.address, address));
        self.seats.insert(address, seat);
    }

    /// A way of a client, to change what it does.
    pub(crate) fn way(&mut self, seat: u32, to: To) -> &mut Way {
        let path = &mut self.paths[seat as usize];
        match to {
            To::Broker => &mut path.up,
            To::Client => &mut path.down,
        }
    }

    /// Cuts or heals both ways of a client.
    pub(crate) fn cut(&mut self, seat: u32, cut: bool) {
        self.way(seat, To::Broker).cut = cut;
        self.way(seat, To::Client).cut = cut;
    }

    /// Changes the weather on both ways of a client.
    pub(crate) fn set_weather(&mut self, seat: u32, weather: &Weather) {
        self.way(seat, To::Broker).weather = weather.clone();
        self.way(seat, To::Client).weather = weather.clone();
    }

    /// Where datagrams of a client leave.
    pub(crate) fn client_outlet(&mut self, now: Instant, seat: u32) -> Out<'_> {
        let from = self.paths[seat as usize].address;
        Out::new(self, now, from)
    }

    /// Where datagrams of the broker leave.
    pub(crate) fn broker_outlet(&mut self, now: Instant) -> Out<'_> {
        Out::new(self, now, BROKER)
    }

    pub(crate) fn send(&mut self, now: Instant, packet: Packet) {
        self.counters.packets += 1;
        self.counters.bytes += packet.payload.len() as u64;
        let (address, to) =
            if packet.to == BROKER { (packet.from, To::Broker) } else { (packet.to, To::Client) };
        // Nobody lives at an address that was left.
        let Some(&seat) = self.seats.get(&address) else {
            self.counters.dropped += 1;
            return;
        };
        let bytes = packet.payload.len();
        let fate = self.way(seat, to).fate(now, bytes);
        if let Some(decisions) = &mut self.decisions {
            decisions.push(Decision { seat, to, bytes, fate });
        }
        match fate {
            Fate::Lost(_) => self.counters.dropped += 1,
            Fate::Arrives { at, again, flip } => {
                if let Some(again) = again {
                    self.counters.doubled += 1;
                    self.put(again, packet.clone());
                }
                let mut packet = packet;
                if let Some(flip) = flip {
                    self.counters.flipped += 1;
                    flip_bit(&mut packet.payload, flip);
                }
                self.put(at, packet);
            }
        }
    }

    /// When the next datagram arrives.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.flight.keys().next().map(|(at, _)| *at)
    }

    /// A datagram that has arrived, and the client that it is for, if not for the broker.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(Packet, Option<u32>)> {
        loop {
            let first = self.flight.first_entry().filter(|first| first.key().0 <= now)?;
            let packet = first.remove();
            if packet.to == BROKER {
                return Some((packet, None));
            }
            match self.seats.get(&packet.to) {
                Some(&seat) => return Some((packet, Some(seat))),
                None => self.counters.dropped += 1,
            }
        }
    }

    fn put(&mut self, at: Instant, packet: Packet) {
        self.put += 1;
        self.flight.insert((at, self.put), packet);
    }

    /// One host per client, so that limits per address see each alone; the port moves on.
    fn fresh_address(&mut self) -> SocketAddr {
        self.addresses += 1;
        let [a, b, c] = [self.addresses >> 16, self.addresses >> 8, self.addresses]
            .map(|part| u8::try_from(part & 0xff).expect("a byte"));
        SocketAddr::from(([10, a, b, c], 40_000))
    }
}

/// Flips the bit at this share of the bits.
fn flip_bit(payload: &mut [u8], share: u32) {
    let bits = payload.len() as u64 * 8;
    let bit = usize::try_from((bits * u64::from(share)) >> 32).expect("an index");
    if let Some(byte) = payload.get_mut(bit / 8) {
        *byte ^= 1 << (bit % 8);
    }
}
