//! One client of Socket.IO: the task between its packets and its session of the broker.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::attached::Attached;
use crate::bridge::Bridge;
use crate::counters::{Counters, count};
use crate::failure::Failure;
use crate::socketio::{Cause, Message, Output, Talk};
use crate::web::socket::Socket;

/// One client, whatever carries its packets.
pub(super) struct Peer {
    pub(super) bridge: Arc<Bridge>,
    address: SocketAddr,
    pub(super) talk: Talk,
    /// The session, while the client is in the namespace.
    attached: Option<Attached>,
    /// What is to be told next.
    pub(super) waiting: VecDeque<Message>,
}

/// What the broker has said.
pub(super) type Chunks = Result<VecDeque<Bytes>, Failure>;

/// Runs a client from its beginning, which may end on a WebSocket, to its end.
pub(super) async fn counted<B>(
    peer: Peer,
    _room: OwnedSemaphorePermit,
    begin: impl FnOnce(Peer) -> B,
) where
    B: Future<Output = Option<(Peer, Socket)>>,
{
    let bridge = peer.bridge.clone();
    count(&bridge.counters.bridge_socketio_opened);
    if let Some((peer, socket)) = begin(peer).await {
        peer.carry(socket).await;
    }
    count(&bridge.counters.bridge_socketio_ended);
}

impl Peer {
    pub(super) fn new(bridge: Arc<Bridge>, address: SocketAddr) -> Self {
        let talk = Talk::new(Instant::now().into_std(), bridge.socketio.clone());
        Peer { bridge, address, talk, attached: None, waiting: VecDeque::new() }
    }

    /// Waits for what the broker says; for ever while there is no session.
    pub(super) async fn broker(&self) -> Chunks {
        match &self.attached {
            Some(attached) => attached.next().await,
            None => std::future::pending().await,
        }
    }

    /// What the broker has said.
    pub(super) fn read(&mut self, chunks: Chunks, out: &mut Output) {
        let now = Instant::now().into_std();
        match chunks {
            Ok(chunks) => chunks.into_iter().for_each(|chunk| self.talk.read(now, chunk, out)),
            Err(failure) => self.talk.ended(now, &failure, out),
        }
    }

    /// A message of the client.
    pub(super) fn hear(&mut self, message: Message, out: &mut Output) {
        let now = Instant::now().into_std();
        match message {
            Message::Text(text) => match std::str::from_utf8(&text) {
                Ok(text) => self.talk.text(now, text, out),
                Err(_) => self.talk.close(Cause::Malformed, out),
            },
            Message::Binary(bytes) => self.talk.binary(now, bytes, out),
        }
    }

    /// Carries out what does not concern the client's connection. Why that ends, if it does.
    pub(super) async fn carry_out(&mut self, mut out: Output) -> Option<Cause> {
        if out.detach {
            self.attached = None;
        }
        if !out.frames.is_empty() {
            if self.attached.is_none() {
                match Attached::new(&self.bridge, self.address) {
                    Ok(attached) => self.attached = Some(attached),
                    Err(failure) => {
                        self.talk.ended(Instant::now().into_std(), &failure, &mut out);
                    }
                }
            }
            if let Some(attached) = &self.attached {
                attached.send(std::mem::take(&mut out.frames).freeze()).await;
            }
        }
        self.waiting.extend(out.messages);
        if let Some(cause) = out.close {
            // The session ends now, whatever the other end does.
            self.attached = None;
            if let Some(counter) = counter(&self.bridge.counters, cause) {
                count(counter);
            }
        }
        out.close
    }
}

/// What counts connections that end like this.
fn counter(counters: &Counters, cause: Cause) -> Option<&AtomicU64> {
    Some(match cause {
        Cause::Malformed => &counters.bridge_socketio_malformed,
        Cause::Flood => &counters.bridge_socketio_flood,
        Cause::Silent => &counters.bridge_socketio_silent,
        Cause::Unconnected => &counters.bridge_socketio_unconnected,
        Cause::Incomplete => &counters.bridge_socketio_incomplete,
        Cause::Ended => &counters.bridge_socketio_sessions,
        Cause::Left => return None,
    })
}
