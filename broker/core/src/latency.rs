//! A histogram of durations with fixed bounds.

use std::time::Duration;

/// Upper bounds of the buckets, ascending; one more bucket holds what is above.
pub const BOUNDS: [Duration; 12] = [
    Duration::from_micros(100),
    Duration::from_micros(250),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_millis(2_500),
];

/// How many durations fell into each bucket, and their sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Per bucket; not cumulative. The last one is for what is above every bound.
    pub counts: [u64; BOUNDS.len() + 1],
    /// Sum of all durations.
    pub sum: Duration,
}

impl Latency {
    /// Counts `duration` `times` times.
    pub fn observe(&mut self, duration: Duration, times: u64) {
        let bucket = BOUNDS.partition_point(|bound| *bound < duration);
        self.counts[bucket] += times;
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.sum = self.sum.saturating_add(Duration::from_nanos(nanos.saturating_mul(times)));
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Latency) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_counted_in_the_bucket_whose_bound_it_does_not_exceed() {
        let mut latency = Latency::default();
        latency.observe(Duration::ZERO, 2);
        latency.observe(BOUNDS[3], 1);
        latency.observe(BOUNDS[3] + Duration::from_nanos(1), 1);
        latency.observe(Duration::from_secs(9), 3);
        assert_eq!((latency.counts[0], latency.counts[3], latency.counts[4]), (2, 1, 1));
        assert_eq!(latency.counts[BOUNDS.len()], 3);
        let mut sum = latency;
        sum.add(&latency);
        assert_eq!(sum.sum, latency.sum * 2);
    }
}
