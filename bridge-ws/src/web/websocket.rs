//! `/v1/ws`: the shell of one WebSocket.
//!
//! One task per connection, which reads, writes and waits in one loop; what it holds beside the
//! socket's own buffers is the inbox, which is bounded.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use axum::RequestExt;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use sampan_protocol::Code;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use super::BODY_BYTES_MAX;
use super::caller::{address, bearer};
use super::socket::{Heard, Socket, Unwritten};
use crate::attached::Attached;
use crate::bridge::{Bridge, random};
use crate::conversation::{Closing, Conversation, Output, status};
use crate::counters::{Counters, count};
use crate::failure::Failure;

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
    bridge.admit(address.ip()).map_err(refuse)?;
    let token = bearer(&parts.headers).ok();
    let producer = u64::from_le_bytes(random().map_err(refuse)?);
    let Ok(room) = bridge.sockets.clone().try_acquire_owned() else {
        count(&bridge.counters.bridge_sockets_refused);
        return Err(refuse(Failure::of(Code::OVERLOADED)));
    };
    let talk = Conversation::new(Instant::now().into_std(), token, producer);
    Ok(Socket::limit(upgrade, BODY_BYTES_MAX).on_upgrade(move |socket| async move {
        count(&bridge.counters.bridge_sockets_opened);
        let socket = Socket::new(socket);
        let peer = Peer { bridge: bridge.clone(), socket, address, talk, attached: None };
        peer.run(room).await;
        count(&bridge.counters.bridge_sockets_ended);
    }))
}

/// One client.
struct Peer {
    bridge: Arc<Bridge>,
    socket: Socket,
    address: SocketAddr,
    talk: Conversation,
    /// The session, once the client has asked for one.
    attached: Option<Attached>,
}

/// What has come.
enum Came {
    Client(Heard),
    Broker(Result<VecDeque<Bytes>, Failure>),
    Time,
}

impl Peer {
    async fn run(mut self, _room: OwnedSemaphorePermit) {
        let counters = self.bridge.counters.clone();
        let ended = loop {
            let came = self.next().await;
            let mut out = Output::default();
            let Some(chunks) = self.handle(came, &mut out) else {
                // The session ends now, whatever the other end does.
                self.attached = None;
                self.socket.part().await;
                break Ok(());
            };
            match self.pass(chunks, out).await {
                Ok(None) => {}
                Ok(Some(Closing { status, reason })) => {
                    count(closed(&counters, status));
                    // The session ends now; its last frames have been read.
                    self.attached = None;
                    break self.socket.close(status, &reason).await;
                }
                Err(unwritten) => break Err(unwritten),
            }
        };
        if ended == Err(Unwritten::Stuck) {
            count(&counters.bridge_sockets_stuck);
        }
    }

    /// Carries out what there is, and what the broker's chunks ask for. What they become is written
    /// before there is too much of it. How the connection is to be closed, if it is.
    async fn pass(
        &mut self,
        chunks: VecDeque<Bytes>,
        mut out: Output,
    ) -> Result<Option<Closing>, Unwritten> {
        for chunk in chunks {
            self.talk.read(chunk, &self.bridge.cache, &mut out);
            while self.talk.go_on(&self.bridge.cache, &mut out) {
                if let Some(closing) = self.carry_out(std::mem::take(&mut out)).await? {
                    return Ok(Some(closing));
                }
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
            heard = socket.hear(), if is_listening => Came::Client(heard),
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
            Came::Client(Heard::Gone) => return None,
            Came::Client(Heard::Broken(status, reason)) => talk.broken(status, &reason, out),
            Came::Client(heard) => {
                if talk.heard(now, out) {
                    match heard {
                        Heard::Text(text) => talk.text(&text, out),
                        Heard::Binary(_) => {
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

    async fn carry_out(&mut self, mut out: Output) -> Result<Option<Closing>, Unwritten> {
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
        self.socket.write(texts.chain(ping)).await?;
        Ok(out.close)
    }
}

/// A frame of text. What the bridge says is UTF-8.
fn text(text: Bytes) -> Option<Message> {
    text.try_into().ok().map(Message::Text)
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
