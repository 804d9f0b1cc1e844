//! What a person at a terminal sees while a run goes on.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Time between two updates.
const EVERY: Duration = Duration::from_millis(500);

/// One line on standard error that is written over; nothing unless that is a terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    terminal: bool,
    shown: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Progress { terminal: std::io::stderr().is_terminal(), shown: None }
    }

    /// Shows the line, unless one was shown just before.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        if self.terminal && self.shown.is_none_or(|at| at.elapsed() >= EVERY) {
            self.shown = Some(Instant::now());
            // A terminal that cannot be written to has nobody who would miss it.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", line());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
