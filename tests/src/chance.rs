//! Chance from a seed: everything that a proof decides by lot comes from here.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A SplitMix64 generator. Not for secrets.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// A generator that gives the same numbers for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Chance(seed)
    }

    /// A generator of its own for one purpose, so that what one part draws does not move another.
    #[must_use]
    pub fn of(seed: u64, purpose: &str, number: u64) -> Self {
        let mix = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let name = purpose.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        let mut chance = Chance(seed ^ name);
        let start = chance.bits();
        Chance(start ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.bits().checked_rem(bound).unwrap_or(0)
    }

    /// Whether something happens that does so this often in a million times.
    pub fn hits(&mut self, ppm: u32) -> bool {
        self.below(1_000_000) < u64::from(ppm)
    }

    /// A number within the range.
    pub fn between(&mut self, range: &RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A time within the range, in whole microseconds.
    pub fn within(&mut self, range: &RangeInclusive<Duration>) -> Duration {
        let micros = |time: &Duration| u64::try_from(time.as_micros()).expect("a short time");
        let range = micros(range.start())..=micros(range.end());
        Duration::from_micros(self.between(&range))
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = usize::try_from(self.below(of.len() as u64)).expect("an index");
        &of[at]
    }

    /// Bytes for a seed of somebody else.
    pub fn bytes(&mut self) -> [u8; 32] {
        let mut out = [0; 32];
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&self.bits().to_le_bytes());
        }
        out
    }

    /// Puts the list into another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).expect("an index");
            list.swap(last, other);
        }
    }
}
