//! What the broker has for one connection and the connection has not yet written: bounded, so that
//! a peer that reads slowly is the broker's concern and not the process's memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sampan_protocol::Code;
use sampan_protocol::link::Sink;
use tokio::sync::Notify;

/// Bytes that wait before the broker is told to keep what follows. One chunk more is taken, however
/// large.
const BYTES_MAX: usize = 64 * 1024;

/// Chunks of whole frames on their way to one connection.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The broker was refused and waits to hear of room.
    refused: bool,
    closed: Option<Code>,
}

/// What was taken from an inbox.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) chunks: VecDeque<Bytes>,
    /// Whether the broker waits to hear of room.
    pub(crate) refused: bool,
}

/// The broker's end of an inbox.
pub(crate) struct Entrance(pub(crate) Arc<Inbox>);

impl Inbox {
    /// Takes all that waits, and waits for it.
    ///
    /// # Errors
    /// The code of the session's end, when nothing more comes.
    pub(crate) async fn take(&self) -> Result<Taken, Code> {
        loop {
            {
                let mut waiting = self.waiting();
                if !waiting.chunks.is_empty() {
                    waiting.bytes = 0;
                    let refused = std::mem::take(&mut waiting.refused);
                    return Ok(Taken { chunks: std::mem::take(&mut waiting.chunks), refused });
                }
                if let Some(code) = waiting.closed {
                    return Err(code);
                }
            }
            self.wake.notified().await;
        }
    }

    /// Whether the session has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.waiting().closed.is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Entrance {
    fn offer(&mut self, chunk: &Bytes) -> bool {
        let mut waiting = self.0.waiting();
        if waiting.bytes >= BYTES_MAX {
            waiting.refused = true;
            return false;
        }
        waiting.bytes += chunk.len();
        waiting.chunks.push_back(chunk.clone());
        drop(waiting);
        self.0.wake.notify_one();
        true
    }

    fn closed(&mut self, code: Code) {
        self.0.waiting().closed = Some(code);
        self.0.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_broker_is_refused_when_so_much_waits_and_told_of_room_once() {
        let inbox = Arc::new(Inbox::default());
        let mut entrance = Entrance(inbox.clone());
        let chunk = Bytes::from(vec![0; BYTES_MAX - 1]);
        assert!(entrance.offer(&chunk) && entrance.offer(&chunk));
        assert!(!entrance.offer(&Bytes::from_static(b"x")));
        let taken = inbox.take().await.expect("open");
        assert!(taken.chunks.len() == 2 && taken.refused);
        assert!(entrance.offer(&chunk));
        assert!(!inbox.is_closed());
        entrance.closed(Code::REVOKED);
        assert!(inbox.is_closed());
        let rest = inbox.take().await.expect("what was offered before the end comes");
        assert!(rest.chunks.len() == 1 && !rest.refused);
        assert_eq!(inbox.take().await.map(|_| ()), Err(Code::REVOKED));
    }
}
