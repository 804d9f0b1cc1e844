//! The battery: what a log must hold, whatever a disk does to it.
//!
//! Everything runs on a faulty directory in memory, with the log's own code. `CRASH_FULL=1` runs
//! all cases, and else as many as fit into every test run; each test prints how many it ran.

mod clock;
mod errors;
mod model;
mod rig;
mod rot;
mod states;
mod tail;

use std::env;

/// Whether all cases are to be run.
pub(crate) fn full() -> bool {
    env::var_os("CRASH_FULL").is_some()
}

/// So many in a full run, and else so many.
pub(crate) fn scaled(full_run: u64, short_run: u64) -> u64 {
    if full() { full_run } else { short_run }
}
