//! The moment that pure code is told about: a monotonic instant and the wall clock.

use std::time::{Duration, Instant};

/// Both clocks at one moment, read by the shell and passed to every state machine.
///
/// `mono` orders deadlines and never goes back. `unix_ms` stamps messages and judges tokens; it may
/// jump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time.
    pub mono: Instant,
    /// Milliseconds since 1970-01-01 UTC.
    pub unix_ms: u64,
}

impl Now {
    /// This moment moved forward by `by` on both clocks.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        Now { mono: self.mono + by, unix_ms: self.unix_ms.saturating_add(ms) }
    }

    /// The monotonic instant at which the wall clock is expected to show `unix_ms`.
    ///
    /// A moment in the past answers `mono` itself; one more than a year ahead is held at a year.
    #[must_use]
    pub fn when(self, unix_ms: u64) -> Instant {
        const YEAR_MS: u64 = 366 * 24 * 3600 * 1000;
        self.mono + Duration::from_millis(unix_ms.saturating_sub(self.unix_ms).min(YEAR_MS))
    }
}
