//! Chance from a seed: the same seed gives the same faults.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A SplitMix64 generator. Not for secrets.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Chance(seed)
    }

    /// A number below `bound`; 0 if that is 0. The bias is below 2^-32 for bounds below 2^32.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).checked_rem(bound).unwrap_or(0)
    }

    /// A time within the range.
    pub(super) fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1);
        let (start, end) = (nanos(range.start()), nanos(range.end()));
        Duration::from_nanos(start + self.below(end.saturating_sub(start) + 1))
    }
}
