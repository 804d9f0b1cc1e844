//! What a run did, line by line: frames, timers, decisions. Kept only where it is compared.

use std::fmt::{Arguments, Write};
use std::time::Instant;

use sampan_protocol::Now;

pub(crate) struct Trace {
    start: Instant,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn off(start: Instant) -> Self {
        Trace { start, lines: None }
    }

    pub(crate) fn on(start: Instant) -> Self {
        Trace { start, lines: Some(Vec::new()) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    pub(crate) fn note(&mut self, now: Now, what: Arguments<'_>) {
        if let Some(lines) = &mut self.lines {
            let mut line = format!("{:>12} ", (now.mono - self.start).as_micros());
            line.write_fmt(what).expect("memory");
            lines.push(line);
        }
    }

    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
