//! One connection: its place between handshake and end, and what its events mean to the shard.

use std::time::Instant;

use quinn_proto::{Connection as Transport, Dir, Event, StreamEvent, StreamId, VarInt};
use sampan_core::bucket::Bucket;
use sampan_core::session::{Peer, SessionKey};
use sampan_core::shard::Shard;
use sampan_protocol::limits::LANES;
use sampan_protocol::{Code, Now};

use crate::counters::{Counters, cause};
use crate::inbound::Inbound;
use crate::limits::Limits;
use crate::noise::Noise;

/// What a connection works with while it is handled.
pub(crate) struct Env<'a> {
    pub(crate) now: Now,
    pub(crate) shard: &'a mut Shard,
    pub(crate) limits: &'a Limits,
    pub(crate) counters: &'a mut Counters,
}

/// Where a connection stands.
#[derive(Debug)]
pub(crate) enum Stage {
    /// QUIC's own handshake is under way.
    Handshake { until: Instant },
    /// The session is open and its client not yet authenticated. The session keeps the time.
    Greeting,
    /// The client is known.
    Live,
    /// The session has ended; its last control frames are on their way.
    Closing { until: Instant, code: Code, reason: String },
    /// Closed. QUIC absorbs late packets for a moment.
    Closed,
}

/// One connection.
///
/// Memory: about 6 KiB, and what its streams and packets in flight hold.
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) stage: Stage,
    pub(crate) session: Option<SessionKey>,
    pub(crate) control: Option<StreamId>,
    pub(crate) lanes: [Option<StreamId>; LANES as usize],
    /// The control stream first.
    pub(crate) inbound: Vec<Inbound>,
    /// Bytes of frames that are not finished, as the shard's counter has them.
    pub(crate) partial_bytes: u64,
    /// When the oldest frame under way is too late; kept here so that the streams need not be
    /// looked at for every packet.
    pub(crate) frame_deadline: Option<Instant>,
    pub(crate) barren: Bucket,
    pub(crate) noise: Noise,
    /// Whether a stream has something to read.
    pub(crate) readable: bool,
    /// Whether the session has something new to send.
    pub(crate) ready: bool,
    /// Whether something of the session waits for a window or a stream.
    pub(crate) blocked: bool,
    /// Whether it is in the list of those that may have packets to send.
    pub(crate) dirty: bool,
    /// Whether it is in the list of those with more to read.
    pub(crate) unread: bool,
}

impl Connection {
    pub(crate) fn new(transport: Transport, now: Now, limits: &Limits) -> Self {
        Connection {
            transport,
            stage: Stage::Handshake { until: now.mono + limits.handshake_timeout },
            session: None,
            control: None,
            lanes: [None; LANES as usize],
            inbound: Vec::new(),
            partial_bytes: 0,
            frame_deadline: None,
            barren: Bucket::new(limits.barren_streams, now.mono),
            noise: Noise::new(now.mono),
            readable: false,
            ready: false,
            blocked: false,
            dirty: false,
            unread: false,
        }
    }

    /// Handles what QUIC reports and reads what has arrived. Whether more is left to read.
    pub(crate) fn drive(&mut self, env: &mut Env<'_>) -> bool {
        while let Some(event) = self.transport.poll() {
            match event {
                Event::Connected => self.connected(env),
                Event::ConnectionLost { reason } => self.lost(env, cause(&reason)),
                Event::Stream(event) => self.stream(env, event),
                Event::DatagramReceived => self.read_datagrams(env),
                Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
            }
        }
        self.read(env)
    }

    /// Does what is due. Whether the connection's own time has come, beside that of QUIC.
    pub(crate) fn time(&mut self, env: &mut Env<'_>) {
        let now = env.now.mono;
        if self.transport.poll_timeout().is_some_and(|at| at <= now) {
            self.transport.handle_timeout(now);
        }
        match &self.stage {
            Stage::Handshake { until } if *until <= now => {
                self.fail(env, Code::SLOW_HANDSHAKE, "the handshake took too long");
            }
            Stage::Closing { until, .. } if *until <= now => self.finish(env),
            Stage::Greeting | Stage::Live if self.frame_deadline.is_some_and(|at| at <= now) => {
                self.fail(env, Code::IDLE, "a frame was not completed in time");
            }
            _ => {}
        }
    }

    /// When [`Connection::time`] must be called next.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Handshake { until } | Stage::Closing { until, .. } => Some(*until),
            Stage::Greeting | Stage::Live => self.frame_deadline,
            Stage::Closed => None,
        };
        let both = [self.transport.poll_timeout(), own];
        both.into_iter().flatten().min()
    }

    /// Lets an authenticated client do what it came for. Whether it was waiting for that.
    pub(crate) fn go_live(&mut self, env: &mut Env<'_>) {
        if !matches!(self.stage, Stage::Greeting) {
            return;
        }
        self.stage = Stage::Live;
        env.counters.half_open = env.counters.half_open.saturating_sub(1);
        let streams = VarInt::from_u32(env.limits.publish_streams);
        self.transport.set_max_concurrent_streams(Dir::Uni, streams);
        self.transport.set_receive_window(env.limits.receive_window.into());
    }

    /// Closes the connection at once for a reason of the transport's own.
    pub(crate) fn fail(&mut self, env: &mut Env<'_>, code: Code, reason: &'static str) {
        if matches!(self.stage, Stage::Closed) {
            return;
        }
        *env.counters.closed.entry(code.0).or_default() += 1;
        self.transport.close(env.now.mono, code.0.into(), reason.as_bytes().into());
        self.leave(env, Stage::Closed);
    }

    /// Closes the connection with what its session ended with.
    pub(crate) fn finish(&mut self, env: &mut Env<'_>) {
        let Stage::Closing { code, reason, .. } = &mut self.stage else { return };
        let (code, reason) = (*code, std::mem::take(reason));
        self.transport.close(env.now.mono, code.0.into(), reason.into_bytes().into());
        self.leave(env, Stage::Closed);
    }

    /// Moves on to `stage`, in which nothing is read any more.
    pub(crate) fn leave(&mut self, env: &mut Env<'_>, stage: Stage) {
        if matches!(self.stage, Stage::Handshake { .. } | Stage::Greeting) {
            env.counters.half_open = env.counters.half_open.saturating_sub(1);
        }
        if matches!(stage, Stage::Closed)
            && let Some(key) = self.session.take()
        {
            env.shard.closed(env.now, key);
        }
        self.stage = stage;
        self.inbound = Vec::new();
        self.count_partial(env);
    }

    fn connected(&mut self, env: &mut Env<'_>) {
        env.counters.handshakes_completed += 1;
        let address = Some(self.transport.remote_address().ip());
        let datagrams = self.transport.datagrams().max_size().is_some();
        match env.shard.open(env.now, Peer { address, datagrams }) {
            Ok(key) => {
                self.session = Some(key);
                self.stage = Stage::Greeting;
            }
            Err(code) => self.fail(env, code, "the broker takes no more sessions"),
        }
    }

    fn lost(&mut self, env: &mut Env<'_>, cause: &'static str) {
        let ends = match self.stage {
            Stage::Handshake { .. } => &mut env.counters.handshakes_failed,
            _ => &mut env.counters.lost,
        };
        *ends.entry(cause).or_default() += 1;
        self.leave(env, Stage::Closed);
    }

    fn stream(&mut self, env: &mut Env<'_>, event: StreamEvent) {
        match event {
            StreamEvent::Opened { dir } => {
                while let Some(id) = self.transport.streams().accept(dir) {
                    self.opened(env, id);
                }
            }
            StreamEvent::Readable { id } => {
                if let Some(stream) = self.inbound.iter_mut().find(|stream| stream.id == id) {
                    stream.readable = true;
                    self.readable = true;
                }
            }
            StreamEvent::Stopped { .. } => {
                self.fail(env, Code::PROTOCOL, "a stream of the broker was stopped");
            }
            StreamEvent::Finished { id } if self.control == Some(id) => self.finish(env),
            // Whatever became possible is tried when the connection sends next.
            StreamEvent::Finished { .. }
            | StreamEvent::Writable { .. }
            | StreamEvent::Available { .. } => {}
        }
    }

    fn opened(&mut self, env: &mut Env<'_>, id: StreamId) {
        if !matches!(self.stage, Stage::Greeting | Stage::Live) {
            return;
        }
        match (id.dir(), self.control) {
            (Dir::Bi, None) => {
                self.control = Some(id);
                // Acks and refusals overtake deliveries.
                let _ = self.transport.send_stream(id).set_priority(1);
                self.inbound.reserve_exact(1);
            }
            (Dir::Bi, Some(_)) => {
                return self.fail(env, Code::PROTOCOL, "a second control stream");
            }
            (Dir::Uni, _) => env.counters.streams += 1,
        }
        self.inbound.push(Inbound::new(id, env.limits.payload_bytes_max));
        self.readable = true;
    }
}
