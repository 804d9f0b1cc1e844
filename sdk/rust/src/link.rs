//! The in-process transport: whole frames to and from a broker in the same process.
//!
//! What the broker offers is sorted into control frames and deliveries, each with a bounded inbox
//! and a task of its own. A slow subscription so holds up deliveries only, and an ack that its
//! reader waits for still arrives.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::limits::{HEADER_BYTES, PAYLOAD_BYTES_MAX};
use protocol::link::{Broker, Link, Sink};
use protocol::session::client::{Channel, Lost};
use protocol::{Code, FrameReader, Kind};
use tokio::sync::Notify;

use crate::shared::Shared;
use crate::transport::{Carrier, Wire};

/// Bytes that wait in an inbox before the broker is told to keep what follows.
const INBOX_BYTES: usize = 1024 * 1024;
/// Bytes handed to the broker in one go, about.
const SEND_BYTES: usize = 64 * 1024;
/// How long to wait for room in the broker's mailbox.
const MAILBOX_PAUSE: Duration = Duration::from_millis(1);

/// Both directions of one attachment.
pub(crate) struct LinkWire {
    link: Mutex<Option<Box<dyn Link>>>,
    control: Arc<Inbox>,
    lanes: Arc<Inbox>,
}

impl std::fmt::Debug for LinkWire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LinkWire")
    }
}

impl LinkWire {
    /// Offers frames to the broker; `false` if it has no room or is gone.
    pub(crate) fn send(&self, frames: Bytes) -> bool {
        self.link().as_ref().is_some_and(|link| link.send(frames))
    }

    pub(crate) fn close(&self) {
        drop(self.link().take());
        self.control.close(None);
        self.lanes.close(None);
    }

    fn link(&self) -> MutexGuard<'_, Option<Box<dyn Link>>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) {
        if let Some(link) = self.link().as_ref() {
            link.ready();
        }
    }
}

/// Chunks of one sort on their way to the session.
#[derive(Debug, Default)]
struct Inbox {
    state: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// The broker was refused and waits to hear of room.
    refused: bool,
    closed: bool,
    code: Option<Code>,
}

impl Inbox {
    fn state(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_room(&self) -> bool {
        let mut state = self.state();
        let room = state.bytes < INBOX_BYTES || state.closed;
        state.refused |= !room;
        room
    }

    fn push(&self, chunk: Bytes) {
        let mut state = self.state();
        if !state.closed {
            state.bytes += chunk.len();
            state.chunks.push_back(chunk);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn close(&self, code: Option<Code>) {
        let mut state = self.state();
        if !state.closed {
            state.closed = true;
            state.code = code;
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Takes what is there, waiting for it; `Err` at the end. Tells whether the broker waits.
    async fn take(&self) -> Result<(VecDeque<Bytes>, bool), Option<Code>> {
        loop {
            {
                let mut state = self.state();
                if !state.chunks.is_empty() {
                    state.bytes = 0;
                    let refused = std::mem::take(&mut state.refused);
                    return Ok((std::mem::take(&mut state.chunks), refused));
                }
                if state.closed {
                    return Err(state.code);
                }
            }
            self.wake.notified().await;
        }
    }
}

struct Inboxes {
    control: Arc<Inbox>,
    lanes: Arc<Inbox>,
}

impl Sink for Inboxes {
    fn offer(&mut self, chunk: &Bytes) -> bool {
        let runs = sort(chunk);
        let room = runs.iter().all(|(delivery, _)| self.inbox(*delivery).has_room());
        if room {
            for (delivery, run) in runs {
                self.inbox(delivery).push(run);
            }
        }
        room
    }

    fn closed(&mut self, code: Code) {
        self.lanes.close(Some(code));
        self.control.close(Some(code));
    }
}

impl Inboxes {
    fn inbox(&self, delivery: bool) -> &Inbox {
        if delivery { &self.lanes } else { &self.control }
    }
}

/// Bytes of the frame that `bytes` starts with, if its header is there.
fn frame_bytes(bytes: &[u8]) -> Option<usize> {
    let header = bytes.first_chunk::<HEADER_BYTES>()?;
    let attributes = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let body = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    Some(HEADER_BYTES + attributes + usize::try_from(body).ok()?)
}

/// The runs of deliveries (`true`) and control frames in a chunk. What cannot be told apart is left
/// to the frame reader to refuse.
fn sort(chunk: &Bytes) -> Vec<(bool, Bytes)> {
    let is_delivery = |at: usize| {
        let kind = chunk.get(at).and_then(|number| Kind::from_number(*number));
        matches!(kind, Some(Kind::Topic | Kind::Deliver | Kind::Gap | Kind::Job))
    };
    let mut runs = Vec::with_capacity(1);
    let (mut start, mut at) = (0, 0);
    while let Some(bytes) = chunk.get(at..).and_then(frame_bytes)
        && at + bytes < chunk.len()
    {
        at += bytes;
        if is_delivery(at) != is_delivery(start) {
            runs.push((is_delivery(start), chunk.slice(start..at)));
            start = at;
        }
    }
    runs.push((is_delivery(start), chunk.slice(start..)));
    runs
}

/// Attaches to the broker and starts the connection's tasks.
pub(crate) fn dial(shared: &Arc<Shared>, broker: &dyn Broker, number: u32) -> Result<(), Lost> {
    let (control, lanes) = (Arc::new(Inbox::default()), Arc::new(Inbox::default()));
    let sink = Inboxes { control: control.clone(), lanes: lanes.clone() };
    let link = broker.attach("in-process", Box::new(sink)).map_err(|code| Lost {
        code: Some(code),
        reason: code.text().to_owned(),
        hopeless: false,
    })?;
    let link =
        LinkWire { link: Mutex::new(Some(link)), control: control.clone(), lanes: lanes.clone() };
    let wire = Wire::new(number, Carrier::Link(link), 1);
    if shared.install(&wire) {
        tokio::spawn(write(shared.clone(), wire.clone()));
        tokio::spawn(read(shared.clone(), wire.clone(), control, Channel::Control));
        tokio::spawn(read(shared.clone(), wire, lanes, Channel::Lane));
    }
    Ok(())
}

async fn read(shared: Arc<Shared>, wire: Arc<Wire>, inbox: Arc<Inbox>, channel: Channel) {
    let mut frames = Vec::new();
    loop {
        let (chunks, refused) = match inbox.take().await {
            Ok(taken) => taken,
            Err(code) if channel == Channel::Control => {
                let reason = code.map_or("the broker let go", Code::text).to_owned();
                return shared.lost(wire.number, Lost { code, reason, hopeless: false });
            }
            Err(_) => return,
        };
        if refused && let Carrier::Link(link) = &wire.carrier {
            link.ready();
        }
        for chunk in chunks {
            // The chunks hold whole frames, so nothing is left over between them.
            let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
            reader.push(chunk);
            let broken = loop {
                match reader.next_frame() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            let full = shared.frames(wire.number, channel, &mut frames);
            if let Some(error) = broken {
                return shared.with(|core, now| core.session.broken(now, wire.number, &error));
            }
            for queue in full {
                queue.room().await;
            }
        }
    }
}

async fn write(shared: Arc<Shared>, wire: Arc<Wire>) {
    loop {
        let mut control_wake = std::pin::pin!(shared.control_wake.notified());
        let mut publish_wake = std::pin::pin!(shared.publish_wake.notified());
        control_wake.as_mut().enable();
        publish_wake.as_mut().enable();
        if wire.is_closed() {
            break;
        }
        let (frames, finishing) = {
            let mut core = shared.lock();
            if !core.is_current(&wire) {
                break;
            }
            let mut control = std::mem::take(&mut core.control);
            control.extend(core.session.settlements());
            let mut frames = join(control.into_iter());
            let publishes = std::iter::from_fn(|| core.session.publishes());
            frames.extend(join_whole(publishes));
            (frames, core.finishing)
        };
        if frames.is_empty() {
            if finishing {
                break;
            }
            tokio::select! {
                () = control_wake => {}
                () = publish_wake => {}
            }
            continue;
        }
        for frame in frames {
            while let Carrier::Link(link) = &wire.carrier
                && !link.send(frame.clone())
            {
                if wire.is_closed() {
                    return wire.writer_done();
                }
                tokio::time::sleep(MAILBOX_PAUSE).await;
            }
        }
        shared.room.notify_waiters();
    }
    shared.control_wake.notify_one();
    shared.publish_wake.notify_one();
    wire.writer_done();
}

/// Control frames as one chunk.
fn join(mut frames: impl ExactSizeIterator<Item = Bytes>) -> Vec<Bytes> {
    if frames.len() <= 1 {
        return frames.next().into_iter().collect();
    }
    let mut joined = BytesMut::new();
    frames.for_each(|frame| joined.extend_from_slice(&frame));
    vec![joined.freeze()]
}

/// Chunks of the publish stream, joined so that each ends with a frame; about `SEND_BYTES` of them.
fn join_whole(chunks: impl Iterator<Item = Bytes>) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut open = BytesMut::new();
    let mut missing = 0usize;
    let mut bytes = 0;
    for chunk in chunks {
        bytes += chunk.len();
        // How much of the last frame is not in this chunk.
        let mut at = missing;
        while let Some(frame) = chunk.get(at..).and_then(frame_bytes) {
            at += frame;
        }
        missing = at.saturating_sub(chunk.len());
        if missing == 0 && open.is_empty() {
            out.push(chunk);
        } else {
            open.extend_from_slice(&chunk);
            if missing == 0 {
                out.push(open.split().freeze());
            }
        }
        if missing == 0 && bytes >= SEND_BYTES {
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use protocol::frame::Header;

    use super::*;

    fn frame(kind: Kind, body: usize) -> Bytes {
        Header::new(kind).to_frame(&[], &vec![7; body]).expect("small")
    }

    #[test]
    fn a_mixed_chunk_is_sorted_into_its_runs() {
        let kinds = [Kind::Topic, Kind::Job, Kind::Published, Kind::Done, Kind::Gap];
        let frames: Vec<_> = kinds.into_iter().map(|kind| frame(kind, 3)).collect();
        let runs = sort(&Bytes::from(frames.concat()));
        let expected = [
            (true, frames[..2].concat()),
            (false, frames[2..4].concat()),
            (true, frames[4].to_vec()),
        ];
        let got: Vec<_> =
            runs.into_iter().map(|(delivery, run)| (delivery, run.to_vec())).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn a_payload_that_travels_alone_is_joined_with_its_head() {
        let (small, large) = (frame(Kind::Publish, 10), frame(Kind::Publish, 9000));
        let first = Bytes::from([&small[..], &large[..32]].concat());
        let joined = join_whole([first, large.slice(32..), small.clone()].into_iter());
        assert_eq!(joined, [Bytes::from([&small[..], &large[..]].concat()), small]);
    }
}
