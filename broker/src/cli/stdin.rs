//! Standard input as messages, read no faster than they are taken.

use std::io::{self, Read};
use std::thread;

use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use tokio::sync::mpsc::{Receiver, channel};

use super::pieces::{Piece, Separator, Splitter};

/// Pieces that may wait; with the largest payloads this bounds memory at 16 MiB.
const QUEUE: usize = 16;

/// Bytes that one read asks for.
const CHUNK_BYTES: usize = 64 * 1024;

/// What the reading side hands over: the pieces that ended in one chunk.
pub(super) type Pieces = io::Result<Vec<Piece>>;

/// Reads standard input on a thread of its own, since a read of a terminal cannot be taken back.
///
/// The channel ends with the input. The thread ends with the process.
pub(super) fn pieces(separator: Option<Separator>) -> io::Result<Receiver<Pieces>> {
    let (send, receive) = channel(QUEUE);
    let read = move || {
        let mut splitter = Splitter::new(separator, PAYLOAD_BYTES_MAX);
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut stdin = io::stdin().lock();
        loop {
            let mut pieces = Vec::new();
            match stdin.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => splitter.push(&chunk[..count], &mut pieces),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Nobody waits for the error if the other end is gone.
                    let _ = send.blocking_send(Err(error));
                    return;
                }
            }
            if !pieces.is_empty() && send.blocking_send(Ok(pieces)).is_err() {
                return;
            }
        }
        if let Some(last) = splitter.finish() {
            let _ = send.blocking_send(Ok(vec![last]));
        }
    };
    thread::Builder::new().name("stdin".to_owned()).spawn(read)?;
    Ok(receive)
}
