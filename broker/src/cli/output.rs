//! Standard output: buffered, and flushed before anyone waits. Standard error: lines for people.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

use serde::Serialize;

/// Writes a line to standard error. Nobody may be reading it, which changes nothing.
pub(super) fn tell(line: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Standard output with a buffer of its own, which [`io::Stdout`] would cut at every line.
#[derive(Debug)]
pub(super) struct Output(BufWriter<File>);

/// Bytes gathered before the system is asked to take them.
const BUFFER_BYTES: usize = 128 * 1024;

impl Output {
    pub(super) fn new() -> io::Result<Self> {
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        Ok(Output(BufWriter::with_capacity(BUFFER_BYTES, File::from(stdout))))
    }

    /// Writes a value as one line of JSON.
    pub(super) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, value)?;
        self.0.write_all(b"\n")
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
