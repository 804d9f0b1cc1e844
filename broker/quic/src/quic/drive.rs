//! Working on one connection at a time: what it reports, what it is given, what it sends.

use std::time::Instant;

use quinn_proto::ConnectionHandle;
use sampan_core::session::SessionKey;
use sampan_protocol::{Code, Now};

use super::{NONE, Quic};
use crate::connection::{Connection, Env};
use crate::envelope::{Envelope, Outlet};

impl Quic {
    /// Makes `index` the connection whose datagrams are being collected, and reads the one before.
    pub(super) fn turn_to(&mut self, now: Now, index: u32) {
        if self.current == index {
            return;
        }
        let before = std::mem::replace(&mut self.current, index);
        if before != NONE {
            self.drive(now, before);
        }
    }

    /// Handles what a connection reports, until it reports nothing more.
    pub(super) fn drive(&mut self, now: Now, index: u32) {
        let Some(connection) = self.connection(index) else { return };
        let before = connection.session;
        self.exchange(index);
        let more = self.with(now, index, Connection::drive).unwrap_or(false);
        self.exchange(index);
        if self.counters.partial_bytes > self.limits.partial_bytes_max {
            self.shed(now);
        }
        let session = self.connection(index).and_then(|connection| connection.session);
        if let Some(key) = session.filter(|_| before.is_none()) {
            let slot = session_index(key);
            if self.sessions.len() <= slot {
                self.sessions.resize(slot + 1, NONE);
            }
            self.sessions[slot] = index;
        }
        if more
            && let Some(connection) = self.connection(index)
            && !std::mem::replace(&mut connection.unread, true)
        {
            self.unread.push_back(index);
        }
        self.mark(index);
    }

    /// Sends the client away of whose frames most is there without an end.
    fn shed(&mut self, now: Now) {
        let partial = |index: &u32| {
            let connection = self.connections.get(*index as usize).and_then(Option::as_ref);
            connection.map_or(0, |connection| connection.partial_bytes)
        };
        let all = 0..u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        let Some(index) = all.max_by_key(partial) else { return };
        self.with(now, index, |connection, env| {
            connection.fail(env, Code::OVERLOADED, "too many frames are under way");
        });
        self.mark(index);
    }

    /// Passes messages between a connection and the endpoint.
    fn exchange(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index as usize).and_then(Option::as_mut)
        else {
            return;
        };
        let transport = &mut connection.transport;
        while let Some(event) = transport.poll_endpoint_events() {
            let handle = ConnectionHandle(index as usize);
            if let Some(event) = self.endpoint.handle_event(handle, event) {
                transport.handle_event(event);
            }
        }
    }

    /// Fills a connection from its session's outbox and sends its packets, while both are in the
    /// processor's cache. Whether there was room for all of them.
    pub(super) fn send(&mut self, now: Now, index: u32, outlet: &mut dyn Outlet) -> bool {
        let Quic { connections, shard, limits, counters, deadlines, .. } = self;
        let Some(connection) = connections.get_mut(index as usize).and_then(Option::as_mut) else {
            return true;
        };
        let mut env = Env { now, shard, limits, counters };
        connection.fill(&mut env);
        if !flush(connection, now.mono, outlet) {
            return false;
        }
        connection.dirty = false;
        if connection.transport.is_drained() {
            deadlines.remove(index);
            connections[index as usize] = None;
            counters.connections = counters.connections.saturating_sub(1);
        } else {
            match connection.deadline() {
                Some(at) => deadlines.set(index, at),
                None => deadlines.remove(index),
            }
        }
        true
    }

    pub(super) fn with<T>(
        &mut self,
        now: Now,
        index: u32,
        act: impl FnOnce(&mut Connection, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let Quic { connections, shard, limits, counters, .. } = self;
        let connection = connections.get_mut(index as usize)?.as_mut()?;
        Some(act(connection, &mut Env { now, shard, limits, counters }))
    }

    pub(super) fn connection(&mut self, index: u32) -> Option<&mut Connection> {
        self.connections.get_mut(index as usize)?.as_deref_mut()
    }

    pub(super) fn mark(&mut self, index: u32) {
        if let Some(connection) = self.connection(index)
            && !std::mem::replace(&mut connection.dirty, true)
        {
            self.dirty.push_back(index);
        }
    }

    /// The connection that serves this session, if one of ours does.
    pub(super) fn index_of(&self, key: SessionKey) -> Option<u32> {
        let index = *self.sessions.get(session_index(key))?;
        let connection = self.connections.get(index as usize)?.as_ref()?;
        (connection.session == Some(key)).then_some(index)
    }
}

/// Sends what a connection has. Whether there was room for all of it.
fn flush(connection: &mut Connection, now: Instant, outlet: &mut dyn Outlet) -> bool {
    loop {
        let segments = outlet.segments_max().max(1);
        let mut sent = false;
        let transport = &mut connection.transport;
        let room = outlet.lend(&mut |buffer| {
            let transmit = transport.poll_transmit(now, segments, buffer);
            sent = transmit.is_some();
            transmit.map(Envelope::from)
        });
        if !room {
            return false;
        }
        if !sent {
            return true;
        }
    }
}

/// The low half of a session's number is its slot in the shard.
fn session_index(key: SessionKey) -> usize {
    (key.number() & u64::from(u32::MAX)) as usize
}
