//! A client on a WebSocket: one message to a frame.

use axum::extract::ws::Message as Frame;
use tokio::time::{Instant, sleep_until};

use super::peer::{Chunks, Peer};
use crate::conversation::status;
use crate::counters::count;
use crate::socketio::{Cause, Message, Output};
use crate::web::socket::{Heard, Socket, Unwritten};

/// What has come.
enum Came {
    Client(Heard),
    Broker(Chunks),
    Time,
}

impl Peer {
    /// Carries a client's packets on a WebSocket, to its end.
    pub(super) async fn carry(mut self, socket: Socket) {
        let counters = self.bridge.counters.clone();
        if self.carried(socket).await == Err(Unwritten::Stuck) {
            count(&counters.bridge_socketio_stuck);
        }
    }

    async fn carried(&mut self, mut socket: Socket) -> Result<(), Unwritten> {
        loop {
            self.write(&mut socket).await?;
            let deadline = self.talk.deadline();
            let came = tokio::select! {
                heard = socket.hear() => Came::Client(heard),
                chunks = self.broker() => Came::Broker(chunks),
                () = sleep_until(deadline.into()) => Came::Time,
            };
            let mut out = Output::default();
            let status = self.handle(came, &mut out);
            if let Some(cause) = self.carry_out(out).await {
                self.write(&mut socket).await?;
                return socket.close(status.unwrap_or(code(cause)), "").await;
            }
        }
    }

    /// Tells the talk. The close code of what it does not know.
    fn handle(&mut self, came: Came, out: &mut Output) -> Option<u16> {
        let now = Instant::now().into_std();
        match came {
            Came::Client(Heard::Text(text)) => self.talk.text(now, &text, out),
            Came::Client(Heard::Binary(bytes)) => self.talk.binary(now, bytes, out),
            Came::Client(Heard::Alive) => self.talk.frame(now, out),
            Came::Client(Heard::Gone) => self.talk.close(Cause::Left, out),
            Came::Client(Heard::Broken(status, _)) => {
                self.talk.close(Cause::Malformed, out);
                return Some(status);
            }
            Came::Broker(chunks) => self.read(chunks, out),
            Came::Time => self.talk.time(now, out),
        }
        None
    }

    /// Writes what waits.
    async fn write(&mut self, socket: &mut Socket) -> Result<(), Unwritten> {
        // What the bridge says is UTF-8.
        let frame = |message| match message {
            Message::Text(text) => text.try_into().ok().map(Frame::Text),
            Message::Binary(bytes) => Some(Frame::Binary(bytes)),
        };
        socket.write(self.waiting.drain(..).filter_map(frame)).await
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
