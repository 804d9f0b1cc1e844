//! How fast a provider is asked.

use std::time::Duration;

use crate::moment::Moment;

/// A second's attempts may go at once; a rate below one in a second still lets one go.
const BURST: Duration = Duration::from_secs(1);
/// What one attempt costs: so much comes back in each millisecond as attempts are allowed in a minute.
const COST: u64 = 60_000;

/// So many attempts in a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    per_minute: u32,
    level: u64,
    at: Moment,
}

impl Pace {
    /// So many in a minute, the first at once.
    #[must_use]
    pub fn new(per_minute: u32, now: Moment) -> Self {
        let pace = Pace { per_minute, level: 0, at: now };
        Pace { level: pace.most(), ..pace }
    }

    /// How many may go now.
    #[must_use]
    pub fn room(&mut self, now: Moment) -> usize {
        self.fill(now);
        usize::try_from(self.level / COST).unwrap_or(usize::MAX)
    }

    /// Lets one go, if it may.
    pub fn take(&mut self, now: Moment) -> bool {
        self.fill(now);
        let left = self.level.checked_sub(COST);
        self.level = left.unwrap_or(self.level);
        left.is_some()
    }

    fn fill(&mut self, now: Moment) {
        let ms = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let more = ms.saturating_mul(u64::from(self.per_minute));
        (self.level, self.at) = (self.level.saturating_add(more).min(self.most()), now);
    }

    fn most(&self) -> u64 {
        let ms = u64::try_from(BURST.as_millis()).unwrap_or(u64::MAX);
        COST.max(ms.saturating_mul(u64::from(self.per_minute)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_go_in_a_minute_than_are_allowed_and_a_seconds_worth() {
        for per_minute in [1, 7, 60, 600, 60_000] {
            let start = Moment::from_ms(1_000);
            let mut pace = Pace::new(per_minute, start);
            let mut went = 0;
            for ms in 0..60_000 {
                let now = start.after(Duration::from_millis(ms));
                let room = pace.room(now);
                let taken = (0..room + 1).take_while(|_| pace.take(now)).count();
                assert_eq!(taken, room);
                went += u32::try_from(taken).unwrap();
            }
            let burst = 1.max(per_minute / 60);
            assert!((per_minute..=per_minute + burst).contains(&went), "{per_minute}: {went}");
        }
    }

    #[test]
    fn a_clock_that_goes_back_stops_nobody_for_good() {
        let mut pace = Pace::new(60, Moment::from_ms(9_000_000));
        assert!(pace.take(Moment::from_ms(9_000_000)));
        assert_eq!(pace.room(Moment::from_ms(1_000)), 0);
        assert_eq!(pace.room(Moment::from_ms(2_000)), 1);
    }
}
