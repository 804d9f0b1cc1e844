//! Asking again how something stands, after what was told of it is lost.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Error, Gap};

/// The pause after the first failure; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// A loss that is not made good yet.
#[derive(Debug)]
pub(super) struct Again {
    pub(super) gap: Gap,
    due: Instant,
    pause: Duration,
}

impl Again {
    pub(super) fn new(gap: Gap) -> Self {
        Again { gap, due: Instant::now(), pause: FIRST }
    }

    /// Waits until it is time to ask. Cancel-safe.
    pub(super) async fn due(&self) {
        tokio::time::sleep_until(self.due).await;
    }

    /// Whether it is worth asking again after this failure, at a later time.
    pub(super) fn is_put_off(&mut self, error: &Error) -> bool {
        self.due = Instant::now() + error.retry_after().unwrap_or(self.pause);
        self.pause = LONGEST.min(self.pause * 2);
        error.is_retryable()
    }
}
