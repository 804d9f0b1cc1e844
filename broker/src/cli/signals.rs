//! Being told to stop.

use std::io;
use std::process;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

/// SIGTERM and SIGINT, which end a command cleanly instead of killing it.
#[derive(Debug)]
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

/// How long a command has to flush and end after it was told to.
const PATIENCE: Duration = Duration::from_secs(3);

impl Stop {
    /// Starts to listen. Needs a runtime.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Resolves at the first signal.
    pub(super) async fn signalled(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Ends the process some seconds after a signal, whatever it does then: a reader of standard
    /// output that has stopped reading would hold it for ever.
    pub(super) fn insist() -> io::Result<()> {
        let mut stop = Stop::listen()?;
        tokio::spawn(async move {
            stop.signalled().await;
            sleep(PATIENCE).await;
            process::exit(super::exit::Exit::Failed as i32);
        });
        Ok(())
    }
}
