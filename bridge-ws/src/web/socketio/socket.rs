//! A client on a WebSocket: one message to a frame.

use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket};
use tokio::time::{Instant, sleep_until, timeout};

use super::peer::{Chunks, Peer};
use crate::conversation::status;
use crate::counters::count;
use crate::socketio::{Cause, Message, Output};
use crate::web::websocket::{CLOSE_TIMEOUT, WRITE_TIMEOUT, broken};

/// What has come.
enum Came {
    Client(Option<Result<Frame, axum::Error>>),
    Broker(Chunks),
    Time,
}

impl Peer {
    /// Begins on a WebSocket.
    pub(super) async fn open(
        mut self,
        socket: WebSocket,
        open: String,
    ) -> Option<(Peer, WebSocket)> {
        self.waiting.push_back(Message::Text(open.into()));
        Some((self, socket))
    }

    /// Carries a client's packets on a WebSocket, to its end.
    pub(super) async fn carry(mut self, mut socket: WebSocket) {
        while self.write(&mut socket).await {
            let deadline = self.talk.deadline();
            let came = tokio::select! {
                frame = socket.recv() => Came::Client(frame),
                chunks = self.broker() => Came::Broker(chunks),
                () = sleep_until(deadline.into()) => Came::Time,
            };
            let mut out = Output::default();
            let status = self.handle(came, &mut out);
            if let Some(cause) = self.carry_out(out).await {
                if self.write(&mut socket).await {
                    close(socket, status.unwrap_or(code(cause))).await;
                }
                return;
            }
        }
    }

    /// Tells the talk. The status of a close that it does not know.
    fn handle(&mut self, came: Came, out: &mut Output) -> Option<u16> {
        let now = Instant::now().into_std();
        match came {
            Came::Client(Some(Ok(Frame::Text(text)))) => self.talk.text(now, &text, out),
            Came::Client(Some(Ok(Frame::Binary(bytes)))) => self.talk.binary(now, bytes, out),
            Came::Client(Some(Ok(Frame::Ping(_) | Frame::Pong(_)))) => self.talk.frame(now, out),
            Came::Client(None | Some(Ok(Frame::Close(_)))) => self.talk.close(Cause::Left, out),
            Came::Client(Some(Err(error))) => {
                let status = broken(error).map(|(status, _)| status);
                let cause = if status.is_some() { Cause::Malformed } else { Cause::Left };
                self.talk.close(cause, out);
                return status;
            }
            Came::Broker(chunks) => self.read(chunks, out),
            Came::Time => self.talk.time(now, out),
        }
        None
    }

    /// Writes what waits. Whether the client is still there.
    async fn write(&mut self, socket: &mut WebSocket) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            let frame = match message {
                Message::Text(text) => match Utf8Bytes::try_from(text) {
                    Ok(text) => Frame::Text(text),
                    Err(_) => continue,
                },
                Message::Binary(bytes) => Frame::Binary(bytes),
            };
            match timeout(WRITE_TIMEOUT, socket.send(frame)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return false,
                Err(_) => {
                    count(&self.bridge.counters.bridge_socketio_stuck);
                    return false;
                }
            }
        }
        true
    }
}

/// The close code of a cause. Clients take each for a lost connection.
fn code(cause: Cause) -> u16 {
    match cause {
        Cause::Malformed | Cause::Incomplete => status::PROTOCOL,
        Cause::Flood => status::POLICY,
        Cause::Silent | Cause::Unconnected | Cause::Ended | Cause::Left => 1000,
    }
}

/// Says good-bye and reads on until the other end has hung up, so that the last words are not cut off.
async fn close(mut socket: WebSocket, code: u16) {
    let parted = async {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static("") };
        if socket.send(Frame::Close(Some(frame))).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    // Who does not hang up is cut off.
    let _ = timeout(CLOSE_TIMEOUT, parted).await;
}
