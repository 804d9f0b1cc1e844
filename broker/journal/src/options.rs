//! What a log is opened with.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use sampan_core::class::Table;
use sampan_core::dedupe::Dedupe;

use crate::error::OpenError;
use crate::segment::{HEADER_BYTES, SEGMENT_BYTES_MAX};

/// What a log is opened with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names the store if it is new; a store that exists keeps its own. Default random.
    pub store_id: u64,
    /// The log's number among those of its broker, from 0. Default 0.
    pub log: u32,
    /// Logs of its broker; each has this part of the bytes that a pattern may keep. Default 1.
    pub logs: u32,
    /// Bytes of a new segment; 16 KiB to 1 GiB. Nothing larger can be written at once. Default
    /// 64 MiB.
    pub segment_bytes: u64,
    /// Memory for the runs that were written last. Default 32 MiB.
    pub tail_bytes: usize,
    /// How long a publish is remembered for telling repeats. Default 5 minutes.
    pub window: Duration,
    /// Topics; each costs a few hundred bytes of memory. Default 1,000,000.
    pub topics_max: usize,
    /// What is kept of which topic.
    pub classes: Arc<Table>,
}

impl Options {
    /// The defaults, with these rules for what is kept.
    #[must_use]
    pub fn new(classes: Arc<Table>) -> Self {
        Options {
            store_id: RandomState::new().hash_one(0),
            log: 0,
            logs: 1,
            segment_bytes: 64 << 20,
            tail_bytes: 32 << 20,
            window: Dedupe::WINDOW,
            topics_max: 1_000_000,
            classes,
        }
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        if !(4 * HEADER_BYTES..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes) {
            return Err(OpenError::Options("a segment has 16 KiB to 1 GiB"));
        }
        if self.log >= self.logs {
            return Err(OpenError::Options("the log's number is below the number of logs"));
        }
        Ok(())
    }
}
