//! Work that comes round by itself, in one process at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tracing::warn;

use super::counters::Counters;
use crate::store::{Database, Error, Lease};

/// A lease lasts so many times as long as the time between two sweeps.
const LEASE_TURNS: u32 = 4;

/// Carries `work` out again and again for ever, while this process holds the sweep's lease.
pub(super) async fn run<W, R>(
    database: Database,
    name: &'static str,
    every: Duration,
    counters: Arc<Counters>,
    work: W,
) where
    W: Fn() -> R,
    R: Future<Output = Result<(), Error>>,
{
    let ttl = i64::try_from((every * LEASE_TURNS).as_millis()).unwrap_or(i64::MAX);
    let lease = Lease::new(&database, name, ttl);
    let mut turns = interval_at(Instant::now() + every, every);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let swept = match lease.take().await {
            Ok(true) => work().await,
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        match swept {
            Ok(()) => Counters::add(&counters.sweeps),
            Err(error) => {
                Counters::add(&counters.sweep_failures);
                warn!(sweep = name, %error, "a sweep has failed; it comes round again");
            }
        }
    }
}
