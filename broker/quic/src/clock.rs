//! The wall clock as the TLS stack and the retry tokens see it: the time that was last told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::UnixTime;

/// A clock that stands still until it is set.
///
/// `Quic` sets it from the time it is called with, so that nothing below it reads a clock of its
/// own. Shards share one, since they share their TLS configuration.
#[derive(Debug, Default)]
pub struct WallClock {
    unix_ms: AtomicU64,
}

impl WallClock {
    /// A clock that shows this time, Unix milliseconds.
    #[must_use]
    pub fn new(unix_ms: u64) -> Self {
        WallClock { unix_ms: AtomicU64::new(unix_ms) }
    }

    /// Sets the time, Unix milliseconds.
    pub fn set(&self, unix_ms: u64) {
        // Shards share the line; a store that changes nothing would still take it from the others.
        if self.unix_ms.load(Ordering::Relaxed) != unix_ms {
            self.unix_ms.store(unix_ms, Ordering::Relaxed);
        }
    }

    fn since_epoch(&self) -> Duration {
        Duration::from_millis(self.unix_ms.load(Ordering::Relaxed))
    }
}

impl rustls::time_provider::TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.since_epoch()))
    }
}

impl quinn_proto::TimeSource for WallClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.since_epoch()
    }
}
