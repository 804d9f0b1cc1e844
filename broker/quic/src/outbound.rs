//! What the shard has for a client, moved into the connection's streams.

use bytes::Bytes;
use quinn_proto::{Connection as Transport, Dir, StreamId, WriteError};
use sampan_core::outbox::Channel;
use sampan_core::session::SessionKey;
use sampan_protocol::Code;

use crate::connection::{Connection, Env, Stage};

impl Connection {
    /// Moves what waits in the session's outbox into streams, as far as their windows allow, and
    /// starts to close the connection if the session has ended.
    pub(crate) fn fill(&mut self, env: &mut Env<'_>) {
        // Most packets that arrive are acks, which change nothing for the session: its memory is
        // not touched for them.
        if !std::mem::take(&mut self.ready) && !self.blocked {
            return;
        }
        self.blocked = false;
        let Some(key) = self.session else { return };
        for channel in Channel::all() {
            if env.shard.has(key, channel) {
                self.fill_channel(env, key, channel);
                self.blocked |= env.shard.has(key, channel);
            }
        }
        self.fill_datagrams(env, key);
        self.close_with_session(env, key);
    }

    fn fill_channel(&mut self, env: &mut Env<'_>, key: SessionKey, channel: Channel) {
        // Without a stream the data waits: a control frame for the client's first, a delivery for
        // leave to open a lane.
        let Some(id) = self.stream_of(channel) else { return };
        let transport = &mut self.transport;
        let (mut written, mut refused) = (0, false);
        env.shard.transfer(env.now, key, channel, &mut |bytes| match write(transport, id, bytes) {
            Ok(taken) => written += taken as u64,
            Err(WriteError::Blocked) => {}
            Err(WriteError::Stopped(_) | WriteError::ClosedStream) => refused = true,
        });
        env.counters.stream_bytes_out += written;
        if refused {
            self.fail(env, Code::PROTOCOL, "a stream of the broker was stopped");
        }
    }

    /// The stream of this channel, opened if it is a lane's first use.
    fn stream_of(&mut self, channel: Channel) -> Option<StreamId> {
        match channel {
            Channel::Control => self.control,
            Channel::Lane(lane) => {
                let id = self.lanes.get_mut(usize::from(lane))?;
                if id.is_none() {
                    *id = self.transport.streams().open(Dir::Uni);
                }
                *id
            }
        }
    }

    fn fill_datagrams(&mut self, env: &mut Env<'_>, key: SessionKey) {
        while let Some(datagram) = env.shard.pop_datagram(key) {
            let sent = self.transport.datagrams().send(datagram, true).is_ok();
            let counter = if sent {
                &mut env.counters.datagrams_out
            } else {
                &mut env.counters.datagrams_dropped
            };
            *counter += 1;
        }
    }

    /// Once the session has ended, its last control frames get a moment to arrive, and then the
    /// connection closes with the session's code.
    fn close_with_session(&mut self, env: &mut Env<'_>, key: SessionKey) {
        if self.session.is_none() {
            return;
        }
        if let Some((code, reason)) = env.shard.closing(key)
            && !matches!(self.stage, Stage::Closing { .. })
        {
            let (until, reason) = (env.now.mono + env.limits.linger, reason.to_owned());
            self.leave(env, Stage::Closing { until, code, reason });
        }
        if !matches!(self.stage, Stage::Closing { .. }) {
            return;
        }
        let Some(control) = self.control else { return self.finish(env) };
        if env.shard.has(key, Channel::Control) {
            return;
        }
        self.session = None;
        env.shard.closed(env.now, key);
        if self.transport.send_stream(control).finish().is_err() {
            self.finish(env);
        }
    }
}

/// Gives the front of `bytes` to the stream; how much it took.
fn write(transport: &mut Transport, id: StreamId, bytes: &mut Bytes) -> Result<usize, WriteError> {
    let mut chunk = [std::mem::take(bytes)];
    let written = transport.send_stream(id).write_chunks(&mut chunk);
    let [rest] = chunk;
    *bytes = rest;
    written.map(|written| written.bytes)
}
