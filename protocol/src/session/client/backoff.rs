//! The client's only randomness: a seeded generator, and the delays drawn from it.

use std::time::Duration;

/// Ceiling of the first delay.
pub const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// Ceiling of every later delay at most.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// Splitmix64: small, seeded, and good enough to spread clients over time.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Chance(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A delay from zero to `max`, evenly spread, in whole milliseconds.
    pub(super) fn within(&mut self, max: Duration) -> Duration {
        let max_ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.next() % (max_ms + 1))
    }

    /// Full jitter: evenly spread below a ceiling that doubles with every attempt.
    pub(super) fn backoff(&mut self, attempt: u32) -> Duration {
        let factor = 1u32 << attempt.min(16);
        self.within(BACKOFF_MIN.saturating_mul(factor).min(BACKOFF_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_spread_over_the_whole_range_and_never_pass_the_ceiling() {
        let mut chance = Chance::new(7);
        for (attempt, ceiling_ms) in [(0, 500), (1, 1000), (3, 4000), (6, 30_000), (40, 30_000)] {
            let drawn: Vec<_> = (0..200).map(|_| chance.backoff(attempt).as_millis()).collect();
            let (min, max) = (drawn.iter().min(), drawn.iter().max());
            assert!(max.is_some_and(|ms| *ms <= ceiling_ms && *ms > ceiling_ms * 9 / 10));
            assert!(min.is_some_and(|ms| *ms < ceiling_ms / 10));
        }
    }

    #[test]
    fn one_seed_gives_one_sequence() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            [chance.next(), chance.next(), chance.next()]
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
