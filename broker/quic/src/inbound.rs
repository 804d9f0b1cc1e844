//! What a client sends: streams and datagrams, cut into frames for the shard.

use std::time::{Duration, Instant};

use quinn_proto::{Connection as Transport, Dir, ReadError, StreamId};
use sampan_protocol::frame::Kind;
use sampan_protocol::{Code, Error, Frame, FrameReader};

use crate::connection::{Connection, Env, Stage};
use crate::limits::Limits;

/// A stream that the client writes.
pub(crate) struct Inbound {
    pub(crate) id: StreamId,
    reader: FrameReader,
    pub(crate) readable: bool,
    /// Whether it has brought a whole frame.
    fruitful: bool,
    /// When the first bytes of the frame under way were there.
    partial_since: Option<Instant>,
}

/// How reading a stream ended.
enum Read {
    /// Nothing more is there.
    Empty,
    /// The turn is over, and more may be there.
    More,
    /// The client finished the stream, in the middle of a frame or not.
    Finished { partial_bytes: usize },
    /// The client gave the stream up.
    Reset,
    /// The stream cannot be cut into frames.
    Broken(Error),
}

impl Inbound {
    pub(crate) fn new(id: StreamId, payload_bytes_max: usize) -> Self {
        let reader = FrameReader::new(payload_bytes_max);
        // A stream is announced together with its first bytes.
        Inbound { id, reader, readable: true, fruitful: false, partial_since: None }
    }

    /// When the frame under way is too late. A client that uploads fast enough to be worth its
    /// buffer gets more time as its bytes come in.
    fn deadline(&self, limits: &Limits) -> Option<Instant> {
        let seconds = self.reader.buffered_bytes() / limits.frame_bytes_per_s.max(1);
        let earned = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
        Some(self.partial_since? + limits.frame_timeout + earned)
    }

    /// Reads at most `budget` bytes and hands every whole frame to `take`.
    fn read(
        &mut self,
        transport: &mut Transport,
        budget: &mut usize,
        now: Instant,
        take: &mut dyn FnMut(Frame),
    ) -> Read {
        let mut stream = transport.recv_stream(self.id);
        let Ok(mut chunks) = stream.read(true) else { return Read::Reset };
        let mut whole = false;
        let end = loop {
            if *budget == 0 {
                break Read::More;
            }
            match chunks.next(*budget) {
                Ok(Some(chunk)) => {
                    *budget -= chunk.bytes.len();
                    self.reader.push(chunk.bytes);
                }
                Ok(None) => break Read::Finished { partial_bytes: self.reader.buffered_bytes() },
                Err(ReadError::Blocked) => break Read::Empty,
                Err(ReadError::Reset(_)) => break Read::Reset,
            }
            match take_frames(&mut self.reader, take) {
                Ok(0) => {}
                Ok(_) => whole = true,
                Err(error) => break Read::Broken(error),
            }
        };
        self.fruitful |= whole;
        self.partial_since = match self.partial_since.filter(|_| !whole) {
            _ if self.reader.buffered_bytes() == 0 => None,
            since => since.or(Some(now)),
        };
        end
    }
}

/// Hands every whole frame to `take`; how many there were.
fn take_frames(reader: &mut FrameReader, take: &mut dyn FnMut(Frame)) -> Result<usize, Error> {
    let mut taken = 0;
    while let Some(frame) = reader.next_frame()? {
        take(frame);
        taken += 1;
    }
    Ok(taken)
}

impl Connection {
    /// Reads the streams that have something, up to a turn's share. Whether more is there.
    pub(crate) fn read(&mut self, env: &mut Env<'_>) -> bool {
        if !self.readable {
            return false;
        }
        self.readable = self.read_streams(env);
        self.count_partial(env);
        self.readable
    }

    /// Takes account of the frames under way: their bytes, and when the oldest is too late.
    pub(crate) fn count_partial(&mut self, env: &mut Env<'_>) {
        self.frame_deadline = self.inbound.iter().filter_map(|it| it.deadline(env.limits)).min();
        let bytes = self.inbound.iter().map(|it| it.reader.buffered_bytes() as u64).sum();
        let before = std::mem::replace(&mut self.partial_bytes, bytes);
        env.counters.partial_bytes = (env.counters.partial_bytes + bytes).saturating_sub(before);
    }

    fn read_streams(&mut self, env: &mut Env<'_>) -> bool {
        let Some(key) = self.session else { return false };
        let mut budget = env.limits.read_bytes_per_turn;
        let mut next = 0;
        while let Some(stream) = self.inbound.get_mut(next) {
            if !stream.readable {
                next += 1;
                continue;
            }
            let (now, before) = (env.now, budget);
            let shard = &mut *env.shard;
            let end = stream.read(&mut self.transport, &mut budget, now.mono, &mut |frame| {
                shard.frame(now, key, frame);
            });
            env.counters.stream_bytes_in += (before - budget) as u64;
            match end {
                Read::Empty => {
                    stream.readable = false;
                    next += 1;
                }
                Read::More => return true,
                end => self.ended(env, next, end),
            }
        }
        false
    }

    /// A stream is over. It leaves the list, or the connection ends.
    fn ended(&mut self, env: &mut Env<'_>, index: usize, end: Read) {
        let stream = self.inbound.remove(index);
        let control = stream.id.dir() == Dir::Bi;
        match end {
            Read::Finished { .. } | Read::Reset if control => {
                return self.fail(env, Code::CLOSED, "the control stream ended");
            }
            Read::Finished { partial_bytes } if partial_bytes > 0 => {
                let error = Error::Truncated {
                    field: "frame",
                    needed: partial_bytes + 1,
                    had: partial_bytes,
                };
                return self.broken(env, error);
            }
            Read::Broken(error) => return self.broken(env, error),
            Read::Reset => env.counters.streams_reset += 1,
            _ => {}
        }
        let wasted = !stream.fruitful || matches!(end, Read::Reset);
        if wasted && self.barren.take(env.now.mono, 1).is_err() {
            self.fail(env, Code::ABUSE, "streams without frames");
        }
    }

    /// The session is told, and nothing is read any more; it closes itself.
    fn broken(&mut self, env: &mut Env<'_>, error: Error) {
        if let Some(key) = self.session {
            env.shard.broken(env.now, key, error);
        }
        self.inbound = Vec::new();
        self.count_partial(env);
    }

    /// Hands datagrams to the shard: each is one PUBLISH.
    pub(crate) fn read_datagrams(&mut self, env: &mut Env<'_>) {
        while let Some(datagram) = self.transport.datagrams().recv() {
            let live = self.session.filter(|_| matches!(self.stage, Stage::Live));
            let Some(key) = live else {
                env.counters.datagrams_dropped += 1;
                continue;
            };
            env.counters.datagrams_in += 1;
            match Frame::decode(datagram, env.limits.payload_bytes_max) {
                Ok(frame) if frame.header.kind == Kind::Publish => {
                    env.shard.frame(env.now, key, frame);
                }
                Ok(_) => {
                    self.broken(env, Error::Invalid { field: "a datagram that is no PUBLISH" });
                }
                Err(error) => self.broken(env, error),
            }
        }
    }
}
