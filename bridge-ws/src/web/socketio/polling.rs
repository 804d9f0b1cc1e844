//! A client that polls: one request at a time waits for what it is to be told. It may go on to a
//! WebSocket, which is probed first.

use std::time::Duration;

use axum::extract::ws::Message as Frame;
use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::payload;
use super::peer::{Chunks, Peer};
use crate::counters::count;
use crate::socketio::{Cause, Message, Output};
use crate::web::socket::{Heard, Socket};

/// Bytes that wait for a poll before the broker is left to keep what follows. One chunk more is
/// taken, however large.
const WAITING_BYTES_MAX: usize = 64 * 1024;
/// How long the last words wait for a poll.
const LAST_POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a WebSocket may be probed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a request asks of the connection it names.
pub(super) enum Deed {
    /// What is the client to be told? The body of the answer.
    Poll(oneshot::Sender<Bytes>),
    /// The client says this; `None` if it makes no sense. Not answered if the connection ends by it.
    Post(Option<Vec<Message>>, oneshot::Sender<()>),
    /// The client would go on here.
    Upgrade(Box<Socket>),
}

/// What has come.
enum Came {
    Deed(Option<Deed>),
    Probe(Heard),
    Broker(Chunks),
    GivenUp,
    Time,
}

/// A WebSocket that is tried out.
struct Probe {
    socket: Socket,
    until: Instant,
    /// Whether it has been found to work; the client polls no more.
    works: bool,
}

/// A connection that polls.
struct Polled {
    peer: Peer,
    poll: Option<oneshot::Sender<Bytes>>,
    probe: Option<Probe>,
}

impl Peer {
    /// Serves polls until the client goes on to a WebSocket, or to its end.
    pub(super) async fn poll(self, mut deeds: mpsc::Receiver<Deed>) -> Option<(Peer, Socket)> {
        let mut polled = Polled { peer: self, poll: None, probe: None };
        loop {
            let came = polled.next(&mut deeds).await;
            let mut out = Output::default();
            match polled.handle(came, &mut out).await {
                Ok(None) => {}
                Ok(Some(socket)) => {
                    polled.answer_with("6");
                    count(&polled.peer.bridge.counters.bridge_socketio_upgraded);
                    return Some((polled.peer, socket));
                }
                Err(GivenUp) => {
                    count(&polled.peer.bridge.counters.bridge_socketio_polls);
                    polled.peer.talk.close(Cause::Left, &mut out);
                }
            }
            let cause = polled.peer.carry_out(out).await;
            if let Some(cause) = cause {
                polled.end(cause, &mut deeds).await;
                return None;
            }
            polled.flush();
        }
    }
}

/// The client polls twice at a time, or has given up a poll.
struct GivenUp;

impl Polled {
    async fn next(&mut self, deeds: &mut mpsc::Receiver<Deed>) -> Came {
        let Polled { peer, poll, probe } = self;
        let waiting: usize = peer.waiting.iter().map(Message::len).sum();
        let deadline = Instant::from_std(peer.talk.deadline());
        let deadline = probe.as_ref().map_or(deadline, |probe| deadline.min(probe.until));
        let given_up = async {
            match poll {
                Some(poll) => poll.closed().await,
                None => std::future::pending().await,
            }
        };
        let probed = async {
            match probe {
                Some(probe) => probe.socket.hear().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            deed = deeds.recv() => Came::Deed(deed),
            heard = probed => Came::Probe(heard),
            chunks = peer.broker(), if waiting < WAITING_BYTES_MAX => Came::Broker(chunks),
            () = given_up => Came::GivenUp,
            () = sleep_until(deadline) => Came::Time,
        }
    }

    /// Tells the talk. The WebSocket that the client has gone on to.
    async fn handle(&mut self, came: Came, out: &mut Output) -> Result<Option<Socket>, GivenUp> {
        match came {
            Came::Deed(Some(Deed::Poll(poll))) => {
                if self.poll.is_some() {
                    self.answer_with("1");
                    return Err(GivenUp);
                }
                self.poll = Some(poll);
            }
            Came::Deed(Some(Deed::Post(messages, answer))) => {
                let Some(messages) = messages else {
                    self.peer.talk.close(Cause::Malformed, out);
                    return Ok(None);
                };
                messages.into_iter().for_each(|message| self.peer.hear(message, out));
                if out.close.is_none_or(|cause| cause == Cause::Left) {
                    // Nobody may be there to hear it.
                    let _ = answer.send(());
                }
            }
            Came::Deed(Some(Deed::Upgrade(socket))) if self.probe.is_none() => {
                let until = Instant::now() + PROBE_TIMEOUT;
                self.probe = Some(Probe { socket: *socket, until, works: false });
            }
            // A second one is closed by being dropped.
            Came::Deed(Some(Deed::Upgrade(_))) => {}
            Came::Deed(None) | Came::GivenUp => return Err(GivenUp),
            Came::Probe(heard) => return Ok(self.probed(heard).await),
            Came::Broker(chunks) => self.peer.read(chunks, out),
            Came::Time => {
                self.probe = self.probe.take().filter(|probe| probe.until > Instant::now());
                self.peer.talk.time(Instant::now().into_std(), out);
            }
        }
        Ok(None)
    }

    /// A frame on the WebSocket that is tried out. What breaks the rules leaves the client polling.
    async fn probed(&mut self, heard: Heard) -> Option<Socket> {
        let mut probe = self.probe.take()?;
        match heard {
            Heard::Text(text) if text.as_str() == "2probe" && !probe.works => {
                probe.works = probe.socket.write([Frame::text("3probe")]).await.is_ok();
                self.probe = Some(probe).filter(|probe| probe.works);
            }
            Heard::Text(text) if text.as_str() == "5" && probe.works => {
                return Some(probe.socket);
            }
            Heard::Alive => self.probe = Some(probe),
            _ => {}
        }
        None
    }

    /// Answers the poll with what waits. Once a WebSocket works a poll is answered in any case, since
    /// the client waits for that before it goes on.
    fn flush(&mut self) {
        if !self.peer.waiting.is_empty() {
            if let Some(poll) = self.poll.take() {
                let body = payload::encode(self.peer.waiting.iter());
                if poll.send(body).is_ok() {
                    self.peer.waiting.clear();
                }
            }
        } else if self.probe.as_ref().is_some_and(|probe| probe.works) {
            self.answer_with("6");
        }
    }

    /// Answers the poll with one packet without content.
    fn answer_with(&mut self, packet: &'static str) {
        if let Some(poll) = self.poll.take() {
            // Who has given up hears nothing.
            let _ = poll.send(Bytes::from_static(packet.as_bytes()));
        }
    }

    /// Says the last words. What the broker has to say waits a little for a poll.
    async fn end(mut self, cause: Cause, deeds: &mut mpsc::Receiver<Deed>) {
        if cause == Cause::Left {
            return self.answer_with("6");
        }
        self.peer.waiting.push_back(Message::Text(Bytes::from_static(b"1")));
        if matches!(cause, Cause::Ended | Cause::Unconnected) {
            let asked = async {
                while self.poll.is_none() {
                    match deeds.recv().await {
                        Some(Deed::Poll(poll)) => self.poll = Some(poll),
                        Some(_) => {}
                        None => return,
                    }
                }
            };
            // Who does not ask will find that the connection is gone.
            let _ = timeout(LAST_POLL_TIMEOUT, asked).await;
        }
        self.flush();
    }
}
