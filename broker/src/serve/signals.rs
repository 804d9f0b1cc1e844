//! What the system tells the broker: stop, stop at once, look at the certificate again.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the broker heeds.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// SIGTERM or SIGINT: drain; the second time, stop at once.
    Stop,
    /// SIGHUP: read the certificate again.
    Reload,
}

impl Signals {
    /// Starts to listen. Needs a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
