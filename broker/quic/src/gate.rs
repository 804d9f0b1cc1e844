//! Who may begin a handshake.
//!
//! A handshake costs the broker a signature and 20 KiB for some seconds, so first packets are
//! judged before either is spent: by how many handshakes are under way, and by how many their
//! address has begun.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use sampan_core::bucket::Buckets;

use crate::limits::Limits;

/// What becomes of a first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The handshake begins.
    Accept,
    /// The peer must show that it receives what is sent to its address.
    Retry,
    /// The peer is told to stay away.
    Refuse(&'static str),
    /// Nothing is answered: even a refusal would cost too much.
    Ignore(&'static str),
}

/// What is known of a first packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) address: IpAddr,
    /// The peer has answered a retry.
    pub(crate) proven: bool,
    /// Connections that are not authenticated.
    pub(crate) half_open: usize,
    /// All connections.
    pub(crate) connections: usize,
}

/// Judges first packets.
#[derive(Debug)]
pub(crate) struct Gate {
    unproven: Buckets<u64>,
    proven: Buckets<u64>,
    half_open_retry: usize,
    half_open_max: usize,
    connections_max: usize,
    shut: bool,
}

impl Gate {
    pub(crate) fn new(limits: &Limits) -> Self {
        Gate {
            unproven: Buckets::new(limits.address_rate, limits.addresses_max),
            proven: Buckets::new(limits.proven_rate, limits.addresses_max),
            half_open_retry: limits.half_open_retry,
            half_open_max: limits.half_open_max,
            connections_max: limits.connections_max,
            shut: false,
        }
    }

    /// Refuses everybody from here on.
    pub(crate) fn shut(&mut self) {
        self.shut = true;
    }

    pub(crate) fn judge(&mut self, now: Instant, attempt: Attempt) -> Admission {
        if self.shut {
            return Admission::Refuse("draining");
        }
        if attempt.half_open >= self.half_open_max {
            return Admission::Ignore("half_open");
        }
        if attempt.connections >= self.connections_max {
            return Admission::Refuse("full");
        }
        // The bench, the tests and every service on this host share the loopback address.
        let local = attempt.address.is_loopback();
        let key = prefix(attempt.address);
        if attempt.proven {
            let admitted = local || self.proven.take(&key, now, 1).is_ok();
            return if admitted { Admission::Accept } else { Admission::Refuse("address_rate") };
        }
        let crowded = attempt.half_open >= self.half_open_retry;
        if crowded || !(local || self.unproven.take(&key, now, 1).is_ok()) {
            return Admission::Retry;
        }
        Admission::Accept
    }
}

/// The part of an address that one customer of a provider has: an IPv4 address, an IPv6 /64.
fn prefix(address: IpAddr) -> u64 {
    match address {
        // The low part of the block ::/64 holds no public host, so the two kinds do not meet.
        IpAddr::V4(v4) => u64::from(u32::from(v4)),
        IpAddr::V6(v6) => half(v6),
    }
}

fn half(address: Ipv6Addr) -> u64 {
    u64::try_from(u128::from(address) >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use sampan_core::bucket::Rate;

    use super::*;

    fn gate() -> Gate {
        Gate::new(&Limits {
            half_open_retry: 10,
            half_open_max: 20,
            connections_max: 100,
            address_rate: Rate { per_s: 1, burst: 2 },
            proven_rate: Rate { per_s: 1, burst: 3 },
            ..Limits::default()
        })
    }

    fn attempt(address: &str) -> Attempt {
        let address = address.parse().expect("an address");
        Attempt { address, proven: false, half_open: 0, connections: 0 }
    }

    #[test]
    fn a_crowd_of_handshakes_brings_retries_and_then_silence() {
        let (mut gate, now) = (gate(), Instant::now());
        let at = |half_open| Attempt { half_open, ..attempt("127.0.0.1") };
        assert_eq!(gate.judge(now, at(9)), Admission::Accept);
        assert_eq!(gate.judge(now, at(10)), Admission::Retry);
        assert_eq!(gate.judge(now, Attempt { proven: true, ..at(10) }), Admission::Accept);
        assert_eq!(gate.judge(now, at(20)), Admission::Ignore("half_open"));
    }

    #[test]
    fn one_address_is_asked_for_proof_and_then_refused() {
        let (mut gate, now) = (gate(), Instant::now());
        let one = attempt("192.0.2.1");
        let verdicts: Vec<_> = (0..3).map(|_| gate.judge(now, one)).collect();
        assert_eq!(verdicts, [Admission::Accept, Admission::Accept, Admission::Retry]);
        let proven = Attempt { proven: true, ..one };
        for _ in 0..3 {
            assert_eq!(gate.judge(now, proven), Admission::Accept);
        }
        assert_eq!(gate.judge(now, proven), Admission::Refuse("address_rate"));
        assert_eq!(gate.judge(now, attempt("192.0.2.2")), Admission::Accept);
    }

    #[test]
    fn hosts_of_one_ipv6_network_count_together() {
        let (mut gate, now) = (gate(), Instant::now());
        assert_eq!(gate.judge(now, attempt("2001:db8::1")), Admission::Accept);
        assert_eq!(gate.judge(now, attempt("2001:db8::2")), Admission::Accept);
        assert_eq!(gate.judge(now, attempt("2001:db8::3")), Admission::Retry);
        assert_eq!(gate.judge(now, attempt("2001:db8:0:1::3")), Admission::Accept);
    }

    #[test]
    fn a_full_shard_refuses() {
        let full = Attempt { connections: 100, ..attempt("127.0.0.1") };
        assert_eq!(gate().judge(Instant::now(), full), Admission::Refuse("full"));
    }
}
