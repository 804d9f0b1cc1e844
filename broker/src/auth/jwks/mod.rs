//! Key sets that an issuer publishes, by file or by URL: keeping the keys in force up to date.
//!
//! Runs beside the verifier and never in its way. Whatever goes wrong here, the keys of the last
//! good set stay in force.

use std::path::PathBuf;
use std::time::Duration;

mod document;
mod fetch;
mod file;
mod follow;

pub(super) use document::Document;
pub use document::DocumentError;
pub(super) use fetch::Endpoint;
#[cfg(test)]
pub(super) use fetch::{FetchError, Fetcher};
pub(super) use file::read as read_file;
pub use follow::run;

/// Where published keys come from; checked.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) file: Option<PathBuf>,
    pub(super) url: Option<Endpoint>,
    pub(super) refresh: Duration,
}

/// Counts of keys and refreshes, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Keys in force.
    pub keys: usize,
    /// Key sets taken over since the start, the one read at the start included.
    pub refreshes: u64,
    /// Key sets that could not be read or fetched; each left the keys as they were.
    pub failures: u64,
}
