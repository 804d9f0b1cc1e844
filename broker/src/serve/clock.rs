//! The clocks, for what runs outside the shards.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use sampan_protocol::Now;

/// The time, Unix milliseconds.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Both clocks.
pub fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: unix_ms() }
}
