//! Who has shown too many bad tokens waits before the next one is looked at.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sampan_core::bucket::{Buckets, Rate};
use sampan_protocol::Code;

use crate::failure::Failure;

/// Bad tokens of one address.
const BAD_TOKENS: Rate = Rate { per_s: 1, burst: 100 };
/// Addresses that are known at a time.
const ADDRESSES_MAX: usize = 10_000;

/// The part of an address that one customer of a provider has: an IPv4 address, an IPv6 /64.
type Prefix = [u8; 8];

/// Bad tokens by address.
#[derive(Debug)]
pub(crate) struct Throttle(Mutex<Addresses>);

#[derive(Debug)]
struct Addresses {
    allowed: Buckets<Prefix>,
    /// Addresses that have to wait, and until when.
    waiting: HashMap<Prefix, Instant>,
}

impl Default for Throttle {
    fn default() -> Self {
        let allowed = Buckets::new(BAD_TOKENS, ADDRESSES_MAX);
        Throttle(Mutex::new(Addresses { allowed, waiting: HashMap::new() }))
    }
}

impl Throttle {
    /// The address has shown a bad token.
    pub(crate) fn failed(&self, now: Instant, address: IpAddr) {
        let mut addresses = self.addresses();
        let prefix = prefix(address);
        let Err(wait) = addresses.allowed.take(&prefix, now, 1) else { return };
        if addresses.waiting.len() >= ADDRESSES_MAX {
            addresses.waiting.retain(|_, until| *until > now);
        }
        if addresses.waiting.len() < ADDRESSES_MAX {
            addresses.waiting.insert(prefix, now + wait);
        }
    }

    /// Whether a token of this address is looked at.
    ///
    /// # Errors
    /// When the next one will be.
    pub(crate) fn admit(&self, now: Instant, address: IpAddr) -> Result<(), Failure> {
        let until = self.addresses().waiting.get(&prefix(address)).copied();
        let Some(wait) = until.and_then(|until| until.checked_duration_since(now)) else {
            return Ok(());
        };
        let wait = wait.max(Duration::from_millis(1));
        let retry_after_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
        let reason = "too many bad tokens came from this address";
        Err(Failure { retry_after_ms, ..Failure::new(Code::RATE_LIMITED, reason) })
    }

    fn addresses(&self) -> MutexGuard<'_, Addresses> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn prefix(address: IpAddr) -> Prefix {
    match address.to_canonical() {
        // The low part of the block ::/64 holds no public host, so the two kinds do not meet.
        IpAddr::V4(v4) => u64::from(u32::from(v4)).to_be_bytes(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bad_tokens_of_one_address_and_then_one_a_second() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let bad = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..BAD_TOKENS.burst {
            assert_eq!(throttle.admit(now, bad), Ok(()));
            throttle.failed(now, bad);
        }
        assert_eq!(throttle.admit(now, bad), Ok(()), "the last one is not yet too many");
        throttle.failed(now, bad);
        let failure = throttle.admit(now, bad).expect_err("too many");
        assert_eq!((failure.code, failure.retry_after_ms), (Code::RATE_LIMITED, 1000));
        assert_eq!(throttle.admit(now, IpAddr::from([192, 0, 2, 2])), Ok(()), "another address");
        let later = now + Duration::from_millis(1001);
        assert_eq!(throttle.admit(later, bad), Ok(()));
        throttle.failed(later, bad);
        throttle.failed(later, bad);
        assert!(throttle.admit(later, bad).is_err());
    }

    #[test]
    fn one_customer_of_a_provider_is_one_address() {
        let of = |text: &str| prefix(text.parse().expect("an address"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn no_flood_of_addresses_takes_more_than_its_share() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..2 * ADDRESSES_MAX as u64 {
            let address = IpAddr::from(std::net::Ipv6Addr::from(u128::from(n) << 64));
            for _ in 0..3 {
                throttle.failed(now, address);
            }
        }
        let addresses = throttle.addresses();
        assert!(addresses.allowed.len() <= ADDRESSES_MAX);
        assert!(addresses.waiting.len() <= ADDRESSES_MAX);
    }
}
