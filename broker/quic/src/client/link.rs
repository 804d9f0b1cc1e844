//! One connection of a client: its streams, cut into frames for the session.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use quinn_proto::{
    Connection, ConnectionError, Dir, Event, ReadError, StreamEvent, StreamId, WriteError,
};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::session::client::{Channel, Client as Session, Lost};
use sampan_protocol::{Code, Error, Frame, FrameReader, Now};

use super::{Passed, Record, code, flush};
use crate::envelope::Outlet;

/// A connection and what waits for it.
pub(super) struct Link {
    /// The session's name for it.
    pub(super) number: u32,
    pub(super) transport: Connection,
    control: Option<StreamId>,
    publish: Option<StreamId>,
    inbound: Vec<(StreamId, Channel, FrameReader)>,
    /// Control frames that are not yet written.
    queue: VecDeque<Bytes>,
    /// Publishes that were taken and not yet written.
    rest: Bytes,
    closing: Option<(Code, String)>,
    over: bool,
}

impl Link {
    pub(super) fn new(number: u32, transport: Connection) -> Self {
        Link {
            number,
            transport,
            control: None,
            publish: None,
            inbound: Vec::new(),
            queue: VecDeque::new(),
            rest: Bytes::new(),
            closing: None,
            over: false,
        }
    }

    /// Whether it can carry frames.
    pub(super) fn is_open(&self) -> bool {
        !self.over && self.closing.is_none()
    }

    pub(super) fn send(&mut self, frame: Bytes) {
        self.queue.push_back(frame);
    }

    /// Closes once what waits is written.
    pub(super) fn close(&mut self, code: Code, reason: String) {
        self.closing.get_or_insert((code, reason));
    }

    /// Handles what QUIC reports and reads what has arrived.
    pub(super) fn read(&mut self, now: Now, session: &mut Session, record: &mut Record) {
        while let Some(event) = self.transport.poll() {
            match event {
                Event::Connected => {
                    self.control = self.transport.streams().open(Dir::Bi);
                    if let Some(id) = self.control {
                        self.listen(id, Channel::Control);
                    }
                    session.connected(now, self.number);
                }
                Event::ConnectionLost { reason } => self.lost(now, session, &reason),
                Event::Stream(StreamEvent::Opened { dir: Dir::Uni }) => {
                    while let Some(id) = self.transport.streams().accept(Dir::Uni) {
                        self.listen(id, Channel::Lane);
                    }
                }
                Event::DatagramReceived => {
                    while let Some(bytes) = self.transport.datagrams().recv() {
                        if let Ok(frame) = Frame::decode(bytes, PAYLOAD_BYTES_MAX) {
                            note(record, Channel::Datagram, &frame);
                            session.frame(now, self.number, Channel::Datagram, frame);
                        }
                    }
                }
                _ => {}
            }
        }
        let (number, transport) = (self.number, &mut self.transport);
        self.inbound.retain_mut(|(id, channel, reader)| {
            read_stream(transport, *id, reader, &mut |result| match result {
                Ok(frame) => {
                    note(record, *channel, &frame);
                    session.frame(now, number, *channel, frame);
                }
                Err(error) => session.broken(now, number, &error),
            })
        });
    }

    /// Writes what waits, as far as the windows allow.
    pub(super) fn write(&mut self, now: Now, session: &mut Session, record: &mut Record) {
        if self.over {
            return;
        }
        if let Some(id) = self.control {
            while let Some(frame) = self.queue.front_mut() {
                if !write(&mut self.transport, id, frame) {
                    break;
                }
                self.queue.pop_front();
            }
        }
        if self.closing.is_none() {
            self.publish(session, record);
        }
        // The close itself follows once the frames before it are in packets; see `flush`.
        if self.closing.is_some() && self.control.is_none() {
            self.end(now.mono);
        }
    }

    /// Sends packets, and then the close if one waits. Whether there was room for all of them.
    pub(super) fn flush(&mut self, now: Instant, outlet: &mut dyn Outlet) -> bool {
        if !flush(&mut self.transport, now, outlet) {
            return false;
        }
        if self.over || self.closing.is_none() {
            return true;
        }
        self.end(now);
        flush(&mut self.transport, now, outlet)
    }

    fn publish(&mut self, session: &mut Session, record: &mut Record) {
        while !self.rest.is_empty() || (session.is_live() && session.has_publishes()) {
            if self.publish.is_none() {
                self.publish = self.transport.streams().open(Dir::Uni);
            }
            let Some(id) = self.publish else { return };
            if self.rest.is_empty() {
                self.rest = session.publishes().unwrap_or_default();
                if let Some(record) = record {
                    record.push_back(Passed::Sent(Channel::Publish, self.rest.clone()));
                }
            }
            if !write(&mut self.transport, id, &mut self.rest) {
                return;
            }
        }
    }

    fn end(&mut self, now: Instant) {
        if let Some((code, reason)) = &self.closing {
            let reason = Bytes::copy_from_slice(reason.as_bytes());
            self.transport.close(now, code.0.into(), reason);
        }
        self.over = true;
    }

    fn lost(&mut self, now: Now, session: &mut Session, reason: &ConnectionError) {
        self.over = true;
        let given = match reason {
            ConnectionError::ApplicationClosed(close) => code(close.error_code.into_inner()),
            _ => None,
        };
        let hopeless = matches!(reason, ConnectionError::TransportError(_));
        let lost = Lost { code: given, reason: reason.to_string(), hopeless };
        session.lost(now, self.number, lost);
    }

    fn listen(&mut self, id: StreamId, channel: Channel) {
        self.inbound.push((id, channel, FrameReader::new(PAYLOAD_BYTES_MAX)));
    }
}

fn note(record: &mut Record, channel: Channel, frame: &Frame) {
    if let Some(record) = record {
        record.push_back(Passed::Received(channel, frame.clone()));
    }
}

/// Reads what a stream has. Whether more may come.
fn read_stream(
    transport: &mut Connection,
    id: StreamId,
    reader: &mut FrameReader,
    take: &mut dyn FnMut(Result<Frame, Error>),
) -> bool {
    let mut stream = transport.recv_stream(id);
    let Ok(mut chunks) = stream.read(true) else { return false };
    loop {
        match chunks.next(usize::MAX) {
            Ok(Some(chunk)) => reader.push(chunk.bytes),
            Ok(None) | Err(ReadError::Reset(_)) => return false,
            Err(ReadError::Blocked) => return true,
        }
        loop {
            match reader.next_frame() {
                Ok(Some(frame)) => take(Ok(frame)),
                Ok(None) => break,
                Err(error) => {
                    take(Err(error));
                    return false;
                }
            }
        }
    }
}

/// Gives `bytes` to a stream; whether it took all of them.
fn write(transport: &mut Connection, id: StreamId, bytes: &mut Bytes) -> bool {
    let mut chunk = [std::mem::take(bytes)];
    let written = transport.send_stream(id).write_chunks(&mut chunk);
    let [rest] = chunk;
    *bytes = rest;
    match written {
        Ok(_) | Err(WriteError::Blocked) => bytes.is_empty(),
        // The connection is about to report why.
        Err(WriteError::Stopped(_) | WriteError::ClosedStream) => {
            *bytes = BytesMut::new().freeze();
            true
        }
    }
}
