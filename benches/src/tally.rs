//! What one thread has counted, and how the threads are watched while they work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;

/// Longest time that is told apart, nanoseconds; longer ones count as this.
const LATENCY_NS_MAX: u64 = 10 * 60 * 1_000_000_000;
/// Decimal digits that are kept of a time.
const DIGITS: u8 = 3;

/// Counts and times of one thread.
#[derive(Debug)]
pub(crate) struct Tally {
    /// From publish call to receipt, or from request to reply, nanoseconds.
    pub(crate) latency: Histogram<u64>,
    /// How much later than planned publish calls were made, nanoseconds.
    pub(crate) late: Histogram<u64>,
    /// Messages that a gap has told to be missing.
    pub(crate) lost: u64,
    /// Publishes or requests that were refused or got no answer.
    pub(crate) refused: u64,
    /// When the first message was published and the last one received, by [`crate::clock`].
    pub(crate) first_ns: u64,
    pub(crate) last_ns: u64,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LATENCY_NS_MAX, DIGITS).expect("the bounds are constants")
        };
        let (latency, late) = (histogram(), histogram());
        Tally { latency, late, lost: 0, refused: 0, first_ns: u64::MAX, last_ns: 0 }
    }

    /// Counts one delivery that was published at `sent_ns`.
    pub(crate) fn delivered(&mut self, sent_ns: u64, now_ns: u64) {
        self.latency.saturating_record(now_ns.saturating_sub(sent_ns));
        self.last_ns = now_ns;
    }

    /// Counts one publish call that was planned for `due_ns`.
    pub(crate) fn published(&mut self, due_ns: u64, now_ns: u64) {
        self.late.saturating_record(now_ns.saturating_sub(due_ns));
        self.first_ns = self.first_ns.min(now_ns);
    }

    /// Adds what another thread has counted.
    pub(crate) fn add(&mut self, other: &Tally) {
        // Both have the same bounds, for which adding cannot fail.
        let _ = self.latency.add(&other.latency);
        let _ = self.late.add(&other.late);
        self.lost += other.lost;
        self.refused += other.refused;
        self.first_ns = self.first_ns.min(other.first_ns);
        self.last_ns = self.last_ns.max(other.last_ns);
    }
}

/// One thread's tally, and the counts that others may watch. The lock is taken once per batch, by
/// tasks of one thread, so it is never contended before the end.
#[derive(Debug)]
pub(crate) struct Meter {
    tally: Mutex<Tally>,
    /// Clients that are connected, and those that are ready for their work too.
    pub(crate) connected: AtomicU64,
    pub(crate) ready: AtomicU64,
    pub(crate) published: AtomicU64,
    /// Deliveries that the publishes should cause.
    pub(crate) expected: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Meter {
            tally: Mutex::new(Tally::new()),
            connected: AtomicU64::new(0),
            ready: AtomicU64::new(0),
            published: AtomicU64::new(0),
            expected: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    pub(crate) fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that these meters have counted, as one tally.
    pub(crate) fn merged<'a>(meters: impl IntoIterator<Item = &'a Meter>) -> Tally {
        meters.into_iter().fold(Tally::new(), |mut all, meter| {
            all.add(&meter.tally());
            all
        })
    }
}

/// Adds one to a watched count.
pub(crate) fn bump(count: &AtomicU64) {
    count.fetch_add(1, Ordering::Relaxed);
}

/// The sum of one watched count over all meters.
pub(crate) fn sum<'a>(
    meters: impl IntoIterator<Item = &'a Meter>,
    count: impl Fn(&Meter) -> &AtomicU64,
) -> u64 {
    meters.into_iter().map(|meter| count(meter).load(Ordering::Relaxed)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_tallies_hold_every_time() {
        let meters = [Meter::new(), Meter::new()];
        for (at, meter) in meters.iter().enumerate() {
            let at = at as u64;
            let mut tally = meter.tally();
            tally.published(0, 5 + at);
            (1..=100).for_each(|us| tally.delivered(0, (at * 100 + us) * 1000));
        }
        let all = Meter::merged(&meters);
        assert_eq!((all.latency.len(), all.first_ns, all.last_ns), (200, 5, 200_000));
        assert_eq!(all.latency.value_at_quantile(0.5) / 1000, 100);
    }
}
