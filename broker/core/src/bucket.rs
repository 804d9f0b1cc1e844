//! Token buckets: how often something may happen, and when it may happen again.
//!
//! Integers only: a bucket's level is counted in billionths of a token, so that a nanosecond adds
//! exactly `per_s` of them and no rate is ever rounded.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

/// Billionths per token, and nanoseconds per second.
const UNIT: i64 = 1_000_000_000;

/// How fast a bucket fills and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens added per second; 0 means no limit at all.
    pub per_s: u32,
    /// Tokens that the bucket holds; it starts full.
    pub burst: u32,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Rate = Rate { per_s: 0, burst: 0 };

    /// What the bucket holds, in billionths.
    fn capacity(self) -> i64 {
        i64::from(self.burst) * UNIT
    }
}

/// One token bucket.
///
/// A cost above the burst (also every cost, if the burst is 0) needs a full bucket and leaves it in
/// debt, so that single large costs get through and the average still holds.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    /// Billionths of a token at `at`; negative while in debt.
    level: i64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate, now: Instant) -> Self {
        Bucket { rate, level: rate.capacity(), at: now }
    }

    /// Takes `cost` tokens.
    ///
    /// A `now` before an earlier one counts as that earlier one.
    ///
    /// # Errors
    /// How long to wait until the same call can succeed, if nothing else is taken until then.
    pub fn take(&mut self, now: Instant, cost: u32) -> Result<(), Duration> {
        if self.rate.per_s == 0 {
            return Ok(());
        }
        self.fill(now);
        let cost = i64::from(cost) * UNIT;
        let missing = cost.min(self.rate.capacity()).saturating_sub(self.level);
        if missing > 0 {
            return Err(self.filling(missing));
        }
        self.level -= cost;
        Ok(())
    }

    /// When the bucket is full again, if nothing is taken until then.
    fn full_at(&self) -> Instant {
        match self.rate.per_s {
            0 => self.at,
            _ => self.at + self.filling(self.rate.capacity() - self.level),
        }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at);
        let added = passed.as_nanos().saturating_mul(u128::from(self.rate.per_s));
        let added = i64::try_from(added).unwrap_or(i64::MAX);
        self.level = self.level.saturating_add(added).min(self.rate.capacity());
        self.at = self.at.max(now);
    }

    /// How long it takes to add so many billionths, rounded up.
    fn filling(&self, billionths: i64) -> Duration {
        let billionths = u64::try_from(billionths).unwrap_or(0);
        Duration::from_nanos(billionths.div_ceil(u64::from(self.rate.per_s)))
    }
}

/// A bucket per key, for at most so many keys.
///
/// A bucket that is full again says no more than a new one, so it is the one that makes room for a
/// new key. When none is full, keys without a bucket share one: a flood of keys slows itself down
/// and not those that were here before. Memory is `keys_max` times a bucket and three keys.
#[derive(Debug)]
pub struct Buckets<K> {
    rate: Rate,
    keys_max: usize,
    buckets: BTreeMap<K, Bucket>,
    /// For each key with a bucket, a time before which its bucket is not full.
    full: BinaryHeap<Reverse<(Instant, K)>>,
    overflow: Option<Bucket>,
}

impl<K: Ord + Clone> Buckets<K> {
    /// No buckets yet; each will have this rate.
    #[must_use]
    pub fn new(rate: Rate, keys_max: usize) -> Self {
        Buckets {
            rate,
            keys_max,
            buckets: BTreeMap::new(),
            full: BinaryHeap::new(),
            overflow: None,
        }
    }

    /// Keys that have a bucket of their own.
    #[must_use]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no key has a bucket.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// Takes `cost` tokens from the bucket of `key`.
    ///
    /// # Errors
    /// How long to wait, as for [`Bucket::take`].
    pub fn take(&mut self, key: &K, now: Instant, cost: u32) -> Result<(), Duration> {
        if self.rate.per_s == 0 {
            return Ok(());
        }
        if let Some(bucket) = self.buckets.get_mut(key) {
            return bucket.take(now, cost);
        }
        if self.buckets.len() >= self.keys_max {
            self.evict(now);
        }
        if self.buckets.len() >= self.keys_max {
            return self.overflow.get_or_insert(Bucket::new(self.rate, now)).take(now, cost);
        }
        let mut bucket = Bucket::new(self.rate, now);
        let taken = bucket.take(now, cost);
        self.full.push(Reverse((bucket.full_at(), key.clone())));
        self.buckets.insert(key.clone(), bucket);
        taken
    }

    /// Drops one bucket that is full again, if there is one.
    fn evict(&mut self, now: Instant) {
        while let Some(mut earliest) = self.full.peek_mut() {
            let Reverse((at, key)) = &mut *earliest;
            if *at > now {
                return;
            }
            match self.buckets.get(key).map(Bucket::full_at) {
                // Taken from since the entry was made: it moves to its new place in the heap.
                Some(full_at) if full_at > now => *at = full_at,
                _ => {
                    self.buckets.remove(key);
                    std::collections::binary_heap::PeekMut::pop(earliest);
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_burst_passes_and_the_rest_waits_for_its_token() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate { per_s: 10, burst: 3 }, now);
        assert_eq!(
            [1, 1, 1, 1].map(|cost| bucket.take(now, cost).is_ok()),
            [true, true, true, false]
        );
        assert_eq!(bucket.take(now, 1), Err(100 * MS));
        assert_eq!(bucket.take(now + 40 * MS, 1), Err(60 * MS));
        assert_eq!(bucket.take(now + 100 * MS, 1), Ok(()));
        assert_eq!(bucket.take(now + 100 * MS, 2), Err(200 * MS));
    }

    #[test]
    fn zero_per_second_is_no_limit() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate::UNLIMITED, now);
        assert!((0..1000).all(|_| bucket.take(now, u32::MAX).is_ok()));
        let mut buckets = Buckets::new(Rate::UNLIMITED, 1);
        assert!((0..1000).all(|key| buckets.take(&key, now, u32::MAX).is_ok()));
        assert!(buckets.is_empty());
    }

    #[test]
    fn a_cost_above_the_burst_needs_a_full_bucket_and_is_paid_back() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate { per_s: 100, burst: 10 }, now);
        assert_eq!(bucket.take(now, 50), Ok(()));
        assert_eq!(bucket.take(now, 50), Err(500 * MS));
        assert_eq!(bucket.take(now, 1), Err(410 * MS));
        assert_eq!(bucket.take(now + 500 * MS, 50), Ok(()));
        let mut paced = Bucket::new(Rate { per_s: 4, burst: 0 }, now);
        assert_eq!(paced.take(now, 1), Ok(()));
        assert_eq!(paced.take(now, 1), Err(250 * MS));
    }

    #[test]
    fn the_largest_numbers_neither_overflow_nor_panic() {
        let now = Instant::now();
        let mut bucket = Bucket::new(Rate { per_s: 1, burst: u32::MAX }, now);
        assert_eq!(bucket.take(now, u32::MAX), Ok(()));
        assert_eq!(bucket.take(now, u32::MAX), Err(Duration::from_secs(u32::MAX.into())));
        let mut debt = Bucket::new(Rate { per_s: 1, burst: 0 }, now);
        assert_eq!(debt.take(now, u32::MAX), Ok(()));
        assert!(debt.take(now, u32::MAX).is_err());
        assert!(
            Bucket::new(Rate { per_s: u32::MAX, burst: u32::MAX }, now)
                .take(now + Duration::from_secs(1 << 40), 1)
                .is_ok()
        );
    }

    #[test]
    fn a_full_bucket_makes_room_and_a_used_one_does_not() {
        let now = Instant::now();
        let mut buckets = Buckets::new(Rate { per_s: 1, burst: 1 }, 2);
        assert_eq!(buckets.take(&'a', now, 1), Ok(()));
        assert_eq!(buckets.take(&'b', now, 1), Ok(()));
        assert_eq!(buckets.take(&'c', now, 1), Ok(()), "the shared bucket starts full");
        assert!(buckets.take(&'d', now, 1).is_err(), "and is shared");
        assert!(buckets.take(&'a', now, 1).is_err());
        let later = now + 1000 * MS;
        assert_eq!(buckets.take(&'a', later, 1), Ok(()), "kept its place");
        assert_eq!(buckets.take(&'e', later, 1), Ok(()), "took the place of b");
        assert!(!buckets.buckets.contains_key(&'b'));
        assert!(buckets.take(&'a', later, 1).is_err(), "was not reset");
        assert_eq!((buckets.len(), buckets.full.len()), (2, 2));
    }

    proptest! {
        #[test]
        fn no_more_passes_than_burst_and_rate_allow(
            per_s in 1u32..5000, burst in 1u32..100,
            takes in prop::collection::vec((0u64..400_000_000, 1u32..20), 1..200),
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(Rate { per_s, burst }, start);
            let (mut now, mut passed) = (start, 0u128);
            for (nanos, cost) in takes {
                now += Duration::from_nanos(nanos);
                let cost = cost.min(burst);
                match bucket.take(now, cost) {
                    Ok(()) => passed += u128::from(cost),
                    Err(wait) => {
                        let before = wait.saturating_sub(Duration::from_nanos(1));
                        prop_assert!(bucket.clone().take(now + before, cost).is_err());
                        prop_assert!(bucket.clone().take(now + wait, cost).is_ok());
                    }
                }
                let allowed = u128::from(burst) * 1_000_000_000
                    + (now - start).as_nanos() * u128::from(per_s);
                prop_assert!(passed * 1_000_000_000 <= allowed);
            }
        }

        #[test]
        fn keys_stay_within_their_bound_and_are_limited_all_the_same(
            takes in prop::collection::vec((0u64..300, 0u8..12), 1..300)
        ) {
            let rate = Rate { per_s: 2, burst: 2 };
            let (mut now, mut buckets) = (Instant::now(), Buckets::new(rate, 4));
            let mut own: BTreeMap<u8, Bucket> = BTreeMap::new();
            for (ms, key) in takes {
                now += Duration::from_millis(ms);
                let had = buckets.buckets.contains_key(&key);
                let taken = buckets.take(&key, now, 1);
                prop_assert!(buckets.len() <= 4 && buckets.full.len() == buckets.len());
                if buckets.buckets.contains_key(&key) {
                    let fresh = || Bucket::new(rate, now);
                    let alone = own.entry(key).or_insert_with(fresh);
                    if !had {
                        *alone = fresh();
                    }
                    prop_assert_eq!(taken, alone.take(now, 1));
                }
            }
        }
    }
}
