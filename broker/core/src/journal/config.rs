//! What a memory journal is made with, the faults that it plays, and what a crash took from it.

use std::ops::RangeInclusive;
use std::time::Duration;

use sampan_protocol::{AckLevel, Topic};

use super::Hole;
use crate::dedupe::Dedupe;

/// Faults that the journal plays.
#[derive(Clone, Debug)]
pub struct Faults {
    /// How long each step takes: a read, a write, and a flush after it. Default none.
    pub delay: RangeInclusive<Duration>,
    /// Appends and puts in a million that fail. Default 0.
    pub fail_ppm: u32,
}

impl Default for Faults {
    fn default() -> Self {
        Faults { delay: Duration::ZERO..=Duration::ZERO, fail_ppm: 0 }
    }
}

/// What a memory journal is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// The level of a completed append. `Routed` is the truth, and the default. With `Synced`, each
    /// append is `Logged` first.
    pub best: AckLevel,
    /// Epoch of the topics' histories. A fresh journal has lost what an earlier one held, so each
    /// start of a broker needs a higher one. Default 1.
    pub epoch: u64,
    /// Bytes that all that is stored and waits may take together, with its overhead; the oldest
    /// stored run of all topics makes room. Pinned runs, kept values and values under keys do not:
    /// when they leave no room, requests are refused. Default 256 MiB.
    pub capacity_bytes: usize,
    /// Topics. Each keeps a few hundred bytes for ever, so that no offset is given twice. Default
    /// 1,000,000.
    pub topics_max: usize,
    /// Requests that may wait. Default 65,536.
    pub pending_max: usize,
    /// For how long publishes are remembered, to be told after a crash. Default 5 minutes.
    pub dedupe_window: Duration,
    /// Where chance comes from.
    pub seed: u64,
    /// Faults to play.
    pub faults: Faults,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            best: AckLevel::Routed,
            epoch: 1,
            capacity_bytes: 256 << 20,
            topics_max: 1_000_000,
            pending_max: 65_536,
            dedupe_window: Dedupe::WINDOW,
            seed: 0,
            faults: Faults::default(),
        }
    }
}

/// What a crash took from a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The topic.
    pub topic: Topic,
    /// Offsets that were given out and are gone; some may never have been acknowledged.
    pub hole: Hole,
}
