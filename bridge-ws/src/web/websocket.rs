//! `/v1/ws`: the shell of one WebSocket.
//!
//! One task per connection, which reads, writes and waits in one loop; what it holds beside the
//! socket's own buffers is the inbox, which is bounded.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Error, RequestExt};
use bytes::Bytes;
use futures_util::SinkExt;
use sampan_protocol::Code;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until, timeout};

use super::BODY_BYTES_MAX;
use super::caller::{address, bearer};
use crate::attached::Attached;
use crate::bridge::{Bridge, random};
use crate::conversation::{Closing, Conversation, Output, status};
use crate::counters::{Counters, count};
use crate::failure::Failure;

/// Bytes that are read at a time. Every connection keeps as many.
const READ_BUFFER_BYTES: usize = 2 * 1024;
/// Bytes of one frame to a client. A page of history in its longest JSON form fits.
const WRITE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that are gathered before they are written.
const WRITE_BUFFER_BYTES: usize = 64 * 1024;
/// How long frames may take on their way out. Whoever reads nothing for as long has stopped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the other end has to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers the upgrade. The origin has been checked.
pub(super) async fn upgrade(
    State(bridge): State<Arc<Bridge>>,
    mut request: Request,
) -> Result<Response, Response> {
    use axum::response::IntoResponse;
    let refuse = |failure: Failure| failure.into_response();
    if request.uri().query().is_some() {
        let reason = "no query here: a token in an address ends up in logs";
        return Err(refuse(Failure::new(Code::BAD_FIELD, reason)));
    }
    let upgrade: WebSocketUpgrade =
        request.extract_parts().await.map_err(IntoResponse::into_response)?;
    let (parts, _) = request.into_parts();
    let address = address(&parts).map_err(refuse)?;
    let token = bearer(&parts.headers).ok();
    let producer = u64::from_le_bytes(random().map_err(refuse)?);
    let Ok(room) = bridge.sockets.clone().try_acquire_owned() else {
        count(&bridge.counters.bridge_sockets_refused);
        return Err(refuse(Failure::of(Code::OVERLOADED)));
    };
    let talk = Conversation::new(Instant::now().into_std(), token, producer);
    Ok(upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BYTES_MAX)
        .max_frame_size(BODY_BYTES_MAX)
        .max_message_size(BODY_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            count(&bridge.counters.bridge_sockets_opened);
            let peer = Peer { bridge: bridge.clone(), socket, address, talk, attached: None };
            peer.run(room).await;
            count(&bridge.counters.bridge_sockets_ended);
        }))
}

/// One client.
struct Peer {
    bridge: Arc<Bridge>,
    socket: WebSocket,
    address: SocketAddr,
    talk: Conversation,
    /// The session, once the client has asked for one.
    attached: Option<Attached>,
}

/// What has come.
enum Came {
    Client(Option<Result<Message, Error>>),
    Broker(Result<VecDeque<Bytes>, Failure>),
    Time,
}

/// The connection is over.
struct Over;

impl Peer {
    async fn run(mut self, _room: OwnedSemaphorePermit) {
        loop {
            let came = self.next().await;
            let mut out = Output::default();
            let Some(chunks) = self.handle(came, &mut out) else {
                // The session ends now, whatever the other end does.
                self.attached = None;
                return self.part().await;
            };
            if self.pass(chunks, out).await.is_err() {
                return;
            }
        }
    }

    /// Carries out what there is, and what the broker's chunks ask for. What they become is written
    /// before there is too much of it.
    async fn pass(&mut self, chunks: VecDeque<Bytes>, mut out: Output) -> Result<(), Over> {
        for chunk in chunks {
            self.talk.read(chunk, &self.bridge.cache, &mut out);
            while self.talk.go_on(&self.bridge.cache, &mut out) {
                self.carry_out(std::mem::take(&mut out)).await?;
            }
        }
        self.carry_out(out).await
    }

    async fn next(&mut self) -> Came {
        let (is_listening, deadline) = (self.talk.is_listening(), self.talk.deadline());
        let Peer { socket, attached, .. } = self;
        let broker = async {
            match attached {
                Some(attached) => attached.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            message = socket.recv(), if is_listening => Came::Client(message),
            chunks = broker => Came::Broker(chunks),
            () = sleep_until(deadline.into()) => Came::Time,
        }
    }

    /// Tells the conversation. The broker's chunks are left to be read; `None` when the connection is
    /// gone.
    fn handle(&mut self, came: Came, out: &mut Output) -> Option<VecDeque<Bytes>> {
        let talk = &mut self.talk;
        let now = Instant::now().into_std();
        match came {
            Came::Client(None | Some(Ok(Message::Close(_)))) => return None,
            Came::Client(Some(Err(error))) => {
                let (status, reason) = broken(error)?;
                talk.broken(status, &reason, out);
            }
            Came::Client(Some(Ok(message))) => {
                if talk.heard(now, out) {
                    match message {
                        Message::Text(text) => talk.text(&text, out),
                        Message::Binary(_) => {
                            talk.broken(status::UNSUPPORTED, "only text is spoken here", out);
                        }
                        _ => {}
                    }
                }
            }
            Came::Broker(Ok(chunks)) => return Some(chunks),
            Came::Broker(Err(failure)) => talk.close(&failure, out),
            Came::Time => talk.time(now, out),
        }
        Some(VecDeque::new())
    }

    async fn carry_out(&mut self, mut out: Output) -> Result<(), Over> {
        if !out.frames.is_empty() {
            let attached = match self.attached.take() {
                Some(attached) => Ok(attached),
                None => Attached::new(&self.bridge, self.address),
            };
            match attached {
                Ok(attached) => {
                    attached.send(std::mem::take(&mut out.frames).freeze()).await;
                    self.attached = Some(attached);
                }
                Err(failure) => self.talk.close(&failure, &mut out),
            }
        }
        let texts = out.texts.take().into_iter().filter_map(text);
        let ping = out.ping.then(|| Message::Ping(Bytes::new()));
        self.write(texts.chain(ping)).await?;
        match out.close {
            None => Ok(()),
            Some(closing) => self.close(closing).await,
        }
    }

    /// Writes messages, as far as they fit in one piece.
    async fn write(&mut self, messages: impl Iterator<Item = Message>) -> Result<(), Over> {
        let mut messages = messages.peekable();
        if messages.peek().is_none() {
            return Ok(());
        }
        let written = async {
            for message in messages {
                self.socket.feed(message).await?;
            }
            self.socket.flush().await
        };
        match timeout(WRITE_TIMEOUT, written).await {
            Ok(written) => written.map_err(|_| Over),
            Err(_) => {
                count(&self.bridge.counters.bridge_sockets_stuck);
                Err(Over)
            }
        }
    }

    /// Says good-bye and waits a little for the answer, so that the last words are not cut off.
    async fn close(&mut self, closing: Closing) -> Result<(), Over> {
        count(closed(&self.bridge.counters, closing.status));
        // The session ends now; its last frames have been read.
        self.attached = None;
        let Closing { status: code, reason } = closing;
        let close = Message::Close(Some(CloseFrame { code, reason: short(&reason).into() }));
        self.write(std::iter::once(close)).await?;
        self.part().await;
        Err(Over)
    }

    /// Reads on until the other end has hung up, which also answers a close of its own.
    async fn part(&mut self) {
        let parted = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        // Who does not hang up is cut off.
        let _ = timeout(CLOSE_TIMEOUT, parted).await;
    }
}

/// The counter of a close code.
fn closed(counters: &Counters, code: u16) -> &AtomicU64 {
    match code {
        status::PROTOCOL => &counters.bridge_sockets_protocol,
        status::UNSUPPORTED => &counters.bridge_sockets_unsupported,
        status::NOT_TEXT => &counters.bridge_sockets_not_text,
        status::POLICY => &counters.bridge_sockets_policy,
        status::TOO_BIG => &counters.bridge_sockets_too_big,
        _ => &counters.bridge_sockets_code,
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

/// A frame of text. What the bridge says is UTF-8.
fn text(text: Bytes) -> Option<Message> {
    text.try_into().ok().map(Message::Text)
}

/// A reason as long as a close frame may carry.
fn short(reason: &str) -> &str {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}
