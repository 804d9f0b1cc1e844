//! A subscriber that comes through the bridge, or to a peer: one TCP connection that does as little
//! as its protocol allows, so that the two cores are left to the server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::frame::{CLOSE, Frame, PING, PONG, TEXT, first, put};
use crate::layout::Room;
use crate::tally::Meter;
use crate::{Error, Transport, clock, stamp};

/// Bytes that a connection keeps for what comes.
const BUFFER_BYTES: usize = 4 * 1024;
/// How often a publisher, which reads nothing, says that it is there. A server of Socket.IO waits
/// for 45 s by default.
const PONG_EVERY: Duration = Duration::from_secs(10);

/// One connection.
#[derive(Debug)]
pub(crate) struct Visitor {
    stream: TcpStream,
    transport: Transport,
    /// What has come and is not taken.
    buffer: Vec<u8>,
    /// When it last said that it is there.
    heard: Instant,
}

impl Visitor {
    /// Connects, and shows the token. Of a stream of events this is the whole of it.
    pub(crate) async fn connect(
        transport: Transport,
        http: &str,
        token: &str,
        room: &Room,
    ) -> Result<Self, Error> {
        let stream = TcpStream::connect(http).await.map_err(lost)?;
        stream.set_nodelay(true).map_err(lost)?;
        let (buffer, heard) = (Vec::with_capacity(BUFFER_BYTES), Instant::now());
        let mut visitor = Visitor { stream, transport, buffer, heard };
        match transport {
            Transport::Quic => {
                return Err(Error::Invalid("QUIC has clients of its own".to_owned()));
            }
            Transport::WebSocket => {
                visitor.upgrade("/v1/ws", http).await?;
                let connect = format!(r#"{{"id":1,"connect":{{"token":"{token}"}}}}"#);
                visitor.say(&connect, "\"welcome\"").await?;
            }
            Transport::SocketIo => {
                visitor.upgrade("/socket.io/?EIO=4&transport=websocket", http).await?;
                visitor.hear("\"sid\"").await?;
                visitor.say(&format!(r#"40{{"token":"{token}"}}"#), "40").await?;
            }
            Transport::ServerSentEvents => {
                let request = format!(
                    "GET /v1/sse?topic={} HTTP/1.1\r\nhost: {http}\r\nauthorization: Bearer {token}\r\n\r\n",
                    room.topic,
                );
                visitor.stream.write_all(request.as_bytes()).await.map_err(lost)?;
                visitor.read_until("event: ready").await?;
            }
        }
        Ok(visitor)
    }

    /// Joins the room, and waits until that is confirmed.
    pub(crate) async fn join(&mut self, room: &Room) -> Result<(), Error> {
        match self.transport {
            Transport::WebSocket => {
                let topic = &room.topic;
                let subscribe = format!(r#"{{"id":2,"subscribe":{{"topic":"{topic}"}}}}"#);
                self.say(&subscribe, "\"subscribed\"").await
            }
            Transport::SocketIo => {
                let track = format!(r#"420["order:track","{}"]"#, room.id);
                self.say(&track, "430[{\"ok\":true").await
            }
            Transport::Quic | Transport::ServerSentEvents => Ok(()),
        }
    }

    /// Has a peer send a message to all in the room.
    pub(crate) async fn publish(&mut self, room: &Room, payload: &[u8]) -> Result<(), Error> {
        let mut out = Vec::new();
        if self.heard.elapsed() > PONG_EVERY {
            self.heard = Instant::now();
            put(&mut out, TEXT, b"3");
        }
        let text =
            [br#"42["publish",""#, room.id.as_bytes(), br#"",""#, payload, br#""]"#].concat();
        put(&mut out, TEXT, &text);
        self.stream.write_all(&out).await.map_err(lost)
    }

    /// Counts what arrives until the connection ends.
    pub(crate) async fn receive(mut self, room: Arc<Room>, meter: Arc<Meter>) {
        let mut received = 0;
        let mut answer = Vec::new();
        loop {
            let now = clock::nanos();
            let before = received;
            let taken = {
                let mut tally = meter.tally();
                take(self.transport, &self.buffer, &mut answer, |sent| {
                    tally.delivered(sent, now);
                    received += 1;
                })
            };
            self.buffer.drain(..taken);
            meter.received.fetch_add(received - before, Ordering::Relaxed);
            if let Some(window) = &room.window {
                window.received(before, received);
            }
            if !answer.is_empty() {
                if self.stream.write_all(&answer).await.is_err() {
                    return;
                }
                answer.clear();
            }
            if !matches!(self.stream.read_buf(&mut self.buffer).await, Ok(1..)) {
                return;
            }
        }
    }

    async fn upgrade(&mut self, path: &str, http: &str) -> Result<(), Error> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {http}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: c2FtcGFuIGJlbmNoIGtleQ==\r\n\r\n"
        );
        self.stream.write_all(request.as_bytes()).await.map_err(lost)?;
        self.read_until("\r\n\r\n").await?;
        if !self.buffer.starts_with(b"HTTP/1.1 101 ") {
            let line = self.buffer.split(|byte| *byte == b'\r').next().unwrap_or_default();
            return Err(refused(line));
        }
        let end = find(&self.buffer, b"\r\n\r\n").unwrap_or_default() + 4;
        self.buffer.drain(..end);
        Ok(())
    }

    /// Sends a text, and waits for the answer that holds `sign`.
    async fn say(&mut self, text: &str, sign: &str) -> Result<(), Error> {
        let mut out = Vec::new();
        put(&mut out, TEXT, text.as_bytes());
        self.stream.write_all(&out).await.map_err(lost)?;
        self.hear(sign).await
    }

    /// Waits for the text that holds `sign`; what comes before it is let go.
    async fn hear(&mut self, sign: &str) -> Result<(), Error> {
        loop {
            while let Some((frame, rest)) = first(&self.buffer) {
                let is_sign = find(frame.payload, sign.as_bytes()).is_some();
                let is_refusal = frame.opcode == CLOSE
                    || frame.payload.starts_with(b"44")
                    || find(frame.payload, b"\"error\"").is_some();
                if is_refusal && !is_sign {
                    return Err(refused(frame.payload));
                }
                let taken = self.buffer.len() - rest.len();
                self.buffer.drain(..taken);
                if is_sign {
                    return Ok(());
                }
            }
            self.read().await?;
        }
    }

    /// Reads until `sign` has come.
    async fn read_until(&mut self, sign: &str) -> Result<(), Error> {
        while find(&self.buffer, sign.as_bytes()).is_none() {
            self.read().await?;
        }
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Error> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(refused(&self.buffer)),
            Ok(_) => Ok(()),
            Err(error) => Err(lost(error)),
        }
    }
}

/// Takes all that is whole: calls `each` with the time of every delivery, and adds what has to be
/// answered. Answers how many bytes were taken.
fn take(
    transport: Transport,
    bytes: &[u8],
    answer: &mut Vec<u8>,
    mut each: impl FnMut(u64),
) -> usize {
    if transport == Transport::ServerSentEvents {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        stamp::texts(&bytes[..whole], each);
        return whole;
    }
    let mut left = bytes;
    while let Some((frame, rest)) = first(left) {
        match frame {
            Frame { opcode: TEXT, payload: b"2" } => put(answer, TEXT, b"3"),
            Frame { opcode: TEXT, payload } => stamp::texts(payload, &mut each),
            Frame { opcode: PING, payload } => put(answer, PONG, payload),
            _ => {}
        }
        left = rest;
    }
    bytes.len() - left.len()
}

fn find(bytes: &[u8], sign: &[u8]) -> Option<usize> {
    bytes.windows(sign.len()).position(|window| window == sign)
}

fn lost(error: std::io::Error) -> Error {
    Error::Broker(format!("the server let a client go: {error}"))
}

fn refused(told: &[u8]) -> Error {
    Error::Broker(format!("the server refused a client: {}", String::from_utf8_lossy(told)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deliveries_are_counted_and_pings_answered() {
        let text = |text: &str| {
            let mut frame = vec![0x81, text.len() as u8];
            frame.extend_from_slice(text.as_bytes());
            frame
        };
        let mut bytes = text("42[\"bench\",\"@0000000000000010....\"]");
        bytes.extend(text("2"));
        bytes.extend([0x89, 1, b'x']);
        let whole = bytes.len();
        bytes.extend(&text("42[\"bench\",\"@0000000000000011\"]")[..9]);
        let (mut answer, mut times) = (Vec::new(), Vec::new());
        let taken = take(Transport::SocketIo, &bytes, &mut answer, |time| times.push(time));
        assert_eq!((taken, times), (whole, vec![16]));
        assert_eq!(
            answer,
            [&[0x81, 0x81, 0, 0, 0, 0, b'3'][..], &[0x8a, 0x81, 0, 0, 0, 0, b'x']].concat()
        );
    }

    #[test]
    fn an_event_counts_once_its_line_has_come() {
        let mut times = Vec::new();
        let bytes = b"data: {\"payload\":\"@0000000000000010\"}\n\ndata: {\"payl";
        let taken = take(Transport::ServerSentEvents, bytes, &mut Vec::new(), |at| times.push(at));
        assert_eq!((taken, times), (bytes.len() - 12, vec![16]));
    }
}
