//! One WebSocket as the bridge uses it: its limits, its writes, and how it ends.

use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use bytes::Bytes;
use futures_util::SinkExt;
use tokio::time::timeout;

use crate::conversation::status;

/// Bytes that are read at a time. Every connection keeps as many.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// Bytes that are gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of one frame to a client, beside its largest message. A page of history in its longest
/// JSON form fits.
const WRITE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long frames may take on their way out. Whoever reads nothing for as long has stopped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the other end has to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A WebSocket of the bridge's.
#[derive(Debug)]
pub struct Socket(WebSocket);

/// What a peer has done.
#[derive(Debug)]
pub enum Heard {
    /// It has said something.
    Text(Utf8Bytes),
    /// It has sent binary data.
    Binary(Bytes),
    /// It has pinged, which is answered already, or answered a ping.
    Alive,
    /// It has broken the rules of the transport: the close code, and why.
    Broken(u16, String),
    /// It has closed the connection, or the connection is lost.
    Gone,
}

/// Why something could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// The peer takes nothing.
    Stuck,
    /// The connection is lost.
    Lost,
}

impl Socket {
    /// The same upgrade, to a socket whose peer may send messages of so many bytes.
    pub fn limit(upgrade: WebSocketUpgrade, message_bytes_max: usize) -> WebSocketUpgrade {
        upgrade
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            .max_write_buffer_size(WRITE_BYTES_MAX + message_bytes_max)
            .max_frame_size(message_bytes_max)
            .max_message_size(message_bytes_max)
    }

    /// A socket whose upgrade was limited.
    #[must_use]
    pub fn new(socket: WebSocket) -> Self {
        Socket(socket)
    }

    /// What the peer does next. Nothing is lost when the future is dropped before it is done.
    pub async fn hear(&mut self) -> Heard {
        match self.0.recv().await {
            Some(Ok(Message::Text(text))) => Heard::Text(text),
            Some(Ok(Message::Binary(bytes))) => Heard::Binary(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Heard::Alive,
            None | Some(Ok(Message::Close(_))) => Heard::Gone,
            Some(Err(error)) => match broken(error) {
                Some((status, reason)) => Heard::Broken(status, reason),
                None => Heard::Gone,
            },
        }
    }

    /// Writes messages, as far as they fit in one piece.
    ///
    /// # Errors
    /// When the peer takes too long over it, or is gone.
    pub async fn write(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Result<(), Unwritten> {
        let mut messages = messages.into_iter().peekable();
        if messages.peek().is_none() {
            return Ok(());
        }
        let written = async {
            for message in messages {
                self.0.feed(message).await?;
            }
            self.0.flush().await
        };
        match timeout(WRITE_TIMEOUT, written).await {
            Ok(written) => written.map_err(|_| Unwritten::Lost),
            Err(_) => Err(Unwritten::Stuck),
        }
    }

    /// Says good-bye and waits a little for the answer, so that the last words are not cut off.
    ///
    /// # Errors
    /// As [`Socket::write`].
    pub async fn close(mut self, code: u16, reason: &str) -> Result<(), Unwritten> {
        let reason = short(reason).into();
        self.write([Message::Close(Some(CloseFrame { code, reason }))]).await?;
        self.part().await;
        Ok(())
    }

    /// Reads on until the other end has hung up, which also answers a close of its own.
    pub async fn part(mut self) {
        let parted = async { while let Some(Ok(_)) = self.0.recv().await {} };
        // Who does not hang up is cut off.
        let _ = timeout(CLOSE_TIMEOUT, parted).await;
    }
}

/// The close code of what the client has sent; `None` if the connection is lost.
fn broken(error: Error) -> Option<(u16, String)> {
    use tungstenite::error::{Error, ProtocolError};
    let error = error.into_inner().downcast::<Error>().ok()?;
    let status = match &*error {
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
        Error::Protocol(_) | Error::AttackAttempt => status::PROTOCOL,
        Error::Capacity(_) => status::TOO_BIG,
        Error::Utf8(_) => status::NOT_TEXT,
        _ => return None,
    };
    Some((status, error.to_string()))
}

/// A reason as long as a close frame may carry.
fn short(reason: &str) -> &str {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
