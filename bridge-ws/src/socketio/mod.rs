//! One client of Socket.IO (protocol 5 over Engine.IO 4): its packets in, frames out; frames in,
//! packets out.
//!
//! No I/O. Law: give it one input, then carry out everything in [`Output`], then give it the next.
//! [`Talk::deadline`] says when it wants to be told the time. What carries the packets, a WebSocket
//! or polling, is the shell's matter.

mod delivery;
mod packet;
mod rooms;
mod seal;
mod seat;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_core::bucket::{Bucket, Rate};
use sampan_protocol::{Code, Reaction};
use serde::Deserialize;
use serde_json::{Value, json};

use self::delivery::Deliveries;
use self::packet::{Packet, Reader, Said};
use self::seal::Seal;
use self::seat::Seat;
use crate::failure::Failure;
use crate::json::text;

/// Bytes of a packet, a frame or the body of a POST.
pub(crate) const PAYLOAD_MAX: usize = 1_000_000;
/// Time between pings.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(25);
/// How long the answer to a ping may take.
pub(crate) const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client may be in no namespace.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(45);
/// How long the attachments of a packet may take.
const PARTS_TIMEOUT: Duration = Duration::from_secs(10);
/// Packets and attachments that a client may send.
const PACKETS: Rate = Rate { per_s: 500, burst: 2000 };
/// Refused tokens after which a client is sent away.
const STRIKES: u8 = 3;

/// What all clients share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Seals what clients come back with; without it nobody is recovered.
    seal: Option<Seal>,
    deliveries: Deliveries,
}

impl Shared {
    /// With a key, clients are recovered.
    pub(crate) fn new(key: Option<[u8; 32]>) -> Self {
        Shared { seal: key.map(Seal), deliveries: Deliveries::default() }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A packet makes no sense.
    Malformed,
    /// More packets than allowed.
    Flood,
    /// A ping was not answered.
    Silent,
    /// In no namespace for too long, or tokens that are refused.
    Unconnected,
    /// Attachments that did not come.
    Incomplete,
    /// The session has ended.
    Ended,
    /// The client has said so.
    Left,
}

/// A message of Engine.IO: text with its type in front, or bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// UTF-8.
    Text(Bytes),
    Binary(Bytes),
}

impl Message {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        let (Message::Text(bytes) | Message::Binary(bytes)) = self;
        bytes.len()
    }
}

/// What is to be done, in this order.
#[derive(Debug, Default)]
pub(crate) struct Output {
    /// Whole frames for the broker; the first open a session.
    pub(crate) frames: BytesMut,
    /// Messages for the client.
    pub(crate) messages: Vec<Message>,
    /// The session is over, and the connection goes on.
    pub(crate) detach: bool,
    /// Close the connection; nothing follows.
    pub(crate) close: Option<Cause>,
}

impl Output {
    fn say(&mut self, text: String) {
        self.messages.push(Message::Text(text.into()));
    }
}

/// One client.
#[derive(Debug)]
pub(crate) struct Talk {
    shared: Arc<Shared>,
    state: State,
    reader: Reader,
    rate: Bucket,
    strikes: u8,
    ping: Ping,
    /// When whoever is in no namespace has to go.
    connect_by: Instant,
    /// When attachments that are missing must be there.
    parts_by: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum Ping {
    /// The next is sent then.
    Due(Instant),
    /// The answer must come by then.
    Sent(Instant),
}

#[derive(Debug)]
enum State {
    /// In no namespace.
    Outside,
    /// In the namespace, or about to be.
    Inside(Box<Seat>),
    /// Nothing more is said.
    Closed,
}

/// The payload of CONNECT; what else an application puts there is its own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Credentials {
    token: Option<String>,
    /// The id that the last CONNECT gave.
    pid: Option<String>,
    /// The last argument of the last event.
    offset: Option<String>,
}

impl Talk {
    /// A client that has just connected.
    pub(crate) fn new(now: Instant, shared: Arc<Shared>) -> Self {
        Talk {
            shared,
            state: State::Outside,
            reader: Reader::default(),
            rate: Bucket::new(PACKETS, now),
            strikes: 0,
            ping: Ping::Due(now + PING_EVERY),
            connect_by: now + CONNECT_TIMEOUT,
            parts_by: None,
        }
    }

    /// When [`Talk::time`] must be called next.
    pub(crate) fn deadline(&self) -> Instant {
        let (Ping::Due(at) | Ping::Sent(at)) = self.ping;
        let at = self.parts_by.map_or(at, |by| at.min(by));
        match self.state {
            State::Outside => at.min(self.connect_by),
            _ => at,
        }
    }

    /// The time has come.
    pub(crate) fn time(&mut self, now: Instant, out: &mut Output) {
        match (&self.state, self.ping) {
            (State::Closed, _) => {}
            (State::Outside, _) if self.connect_by <= now => self.close(Cause::Unconnected, out),
            _ if self.parts_by.is_some_and(|by| by <= now) => self.close(Cause::Incomplete, out),
            (_, Ping::Sent(by)) if by <= now => self.close(Cause::Silent, out),
            (_, Ping::Due(at)) if at <= now => {
                self.ping = Ping::Sent(now + PING_TIMEOUT);
                out.say("2".to_owned());
            }
            _ => {}
        }
    }

    /// A frame of the client that carries no packet.
    pub(crate) fn frame(&mut self, now: Instant, out: &mut Output) {
        self.allow(now, out);
    }

    /// A text of the client: one packet of Engine.IO.
    pub(crate) fn text(&mut self, now: Instant, text: &str, out: &mut Output) {
        if !self.allow(now, out) {
            return;
        }
        match (text.as_bytes().first(), text.get(1..)) {
            (Some(b'4'), Some(text)) => {
                let read = self.reader.text(text);
                self.packet(now, read, out);
            }
            (Some(b'3'), Some("")) => {
                if let Ping::Sent(_) = self.ping {
                    self.ping = Ping::Due(now + PING_EVERY);
                }
            }
            (Some(b'1'), Some("")) => self.close(Cause::Left, out),
            _ => self.close(Cause::Malformed, out),
        }
    }

    /// Bytes of the client: an attachment.
    pub(crate) fn binary(&mut self, now: Instant, bytes: Bytes, out: &mut Output) {
        if self.allow(now, out) {
            let read = self.reader.binary(bytes);
            self.packet(now, read, out);
        }
    }

    /// The broker has sent whole frames.
    pub(crate) fn read(&mut self, now: Instant, chunk: Bytes, out: &mut Output) {
        let State::Inside(seat) = &mut self.state else { return };
        if let Err(failure) = seat.read(now, chunk, &self.shared, out) {
            self.ended(now, &failure, out);
        }
    }

    /// The session has ended, or there is none.
    pub(crate) fn ended(&mut self, now: Instant, failure: &Failure, out: &mut Output) {
        let State::Inside(seat) = &mut self.state else { return };
        let is_final = failure.code.reaction() == Reaction::Stop;
        let is_token =
            [Code::BAD_TOKEN, Code::REVOKED, Code::TOKEN_EXPIRED].contains(&failure.code);
        if seat.is_live() {
            seat.tell("sampan:close", &text(&failure.told()), out);
            // Clients that are sent out of the namespace stay away; others come back by themselves.
            if is_final {
                out.say("41".to_owned());
            }
            self.close(Cause::Ended, out);
        } else if is_token {
            self.refuse("/", "Authentication failed", out);
            self.leave(now, out);
        } else {
            self.close(Cause::Ended, out);
        }
    }

    /// Ends the connection.
    pub(crate) fn close(&mut self, cause: Cause, out: &mut Output) {
        if !matches!(std::mem::replace(&mut self.state, State::Closed), State::Closed) {
            out.close = Some(cause);
        }
    }

    fn allow(&mut self, now: Instant, out: &mut Output) -> bool {
        if self.rate.take(now, 1).is_err() {
            self.close(Cause::Flood, out);
        }
        !matches!(self.state, State::Closed)
    }

    fn packet(&mut self, now: Instant, read: Result<Option<Packet>, Failure>, out: &mut Output) {
        self.parts_by = match &read {
            Ok(None) => Some(self.parts_by.unwrap_or(now + PARTS_TIMEOUT)),
            _ => None,
        };
        let Packet { namespace, said } = match read {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(_) => return self.close(Cause::Malformed, out),
        };
        match (&mut self.state, said) {
            (_, Said::Connect(_)) if namespace != "/" => {
                self.refuse(&namespace, "Invalid namespace", out);
            }
            (State::Outside, Said::Connect(payload)) => self.connect(now, payload, out),
            (State::Inside(seat), Said::Event(event)) if namespace == "/" && seat.is_live() => {
                seat.event(event, out);
            }
            (State::Inside(_), Said::Disconnect) if namespace == "/" => self.leave(now, out),
            (State::Inside(_), Said::Ack) if namespace == "/" => {}
            // The namespace is entered once, and whoever is outside says nothing in it.
            _ => self.close(Cause::Malformed, out),
        }
    }

    fn connect(&mut self, now: Instant, payload: Option<String>, out: &mut Output) {
        let payload = payload.as_deref().unwrap_or("{}");
        let Ok(payload @ Value::Object(_)) = serde_json::from_str(payload) else {
            return self.close(Cause::Malformed, out);
        };
        let opened = match serde_json::from_value(payload) {
            Ok(Credentials { token: Some(token), pid, offset }) => {
                let begun = self.shared.seal.as_ref().zip(pid);
                let past = begun.and_then(|(seal, pid)| Some((seal.open(&pid)?, pid)));
                Seat::open(&token, past, offset)
            }
            Ok(_) | Err(_) => Err(Failure::of(Code::BAD_TOKEN)),
        };
        match opened {
            Ok((seat, hello)) => {
                out.frames.extend_from_slice(&hello);
                self.state = State::Inside(Box::new(seat));
            }
            Err(_) => {
                self.refuse("/", "Authentication failed", out);
                self.leave(now, out);
            }
        }
    }

    /// Refuses a namespace; whoever is refused too often has to go.
    fn refuse(&mut self, namespace: &str, why: &str, out: &mut Output) {
        let comma = if namespace == "/" { "" } else { "," };
        let namespace = namespace.strip_suffix('/').unwrap_or(namespace);
        out.say(format!("44{namespace}{comma}{}", json!({ "message": why })));
        self.strikes += 1;
        if self.strikes >= STRIKES {
            self.close(Cause::Unconnected, out);
        }
    }

    /// The client is in no namespace any more. The connection goes on.
    fn leave(&mut self, now: Instant, out: &mut Output) {
        if let State::Inside(_) = self.state {
            self.state = State::Outside;
            self.connect_by = now + CONNECT_TIMEOUT;
            out.frames.clear();
            out.detach = true;
        }
    }
}
