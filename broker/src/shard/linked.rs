//! The shard's side of sessions in the same process.
//!
//! They speak the same protocol as QUIC clients, in one stream each way. What the shard gives them
//! is cut at frame boundaries, so that frames of several lanes can share that stream.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use sampan_core::outbox::Channel;
use sampan_core::session::{Peer, SessionKey};
use sampan_core::shard::Shard;
use sampan_protocol::limits::HEADER_BYTES;
use sampan_protocol::link::Sink;
use sampan_protocol::{Code, FrameReader, Now};

use super::link::{Mailbox, ip};

/// Bytes of one session's mail that are handled before others have their turn.
const BYTES_PER_TURN: usize = 64 * 1024;
/// How long the last frames of a closed session wait for its sink.
const LINGER: Duration = Duration::from_secs(1);

/// The in-process sessions of one shard.
pub(super) struct Linked {
    payload_bytes_max: usize,
    by_link: BTreeMap<u64, Seat>,
    by_session: HashMap<SessionKey, u64>,
    /// Sessions with mail that is not yet handled.
    busy: VecDeque<u64>,
    /// When sessions that have ended give up on their sinks.
    closing: VecDeque<(Instant, u64)>,
}

/// One session.
struct Seat {
    session: SessionKey,
    mailbox: Arc<Mailbox>,
    sink: Box<dyn Sink>,
    reader: FrameReader,
    mail: VecDeque<Bytes>,
    /// Apart for control and lanes, so that a delivery without room holds up no answer: a consumer
    /// that awaits an ack may be the one who would make the room.
    control: Outgoing,
    lanes: Outgoing,
    busy: bool,
    closing: bool,
}

/// What is on its way into a sink.
#[derive(Default)]
struct Outgoing {
    /// The start of a frame whose body follows as its own chunk.
    head: BytesMut,
    /// Bytes of that frame that are still to come.
    missing: usize,
    /// Whole frames that the sink had no room for.
    held: Option<Bytes>,
}

impl Linked {
    pub(super) fn new(payload_bytes_max: usize) -> Self {
        Linked {
            payload_bytes_max,
            by_link: BTreeMap::new(),
            by_session: HashMap::new(),
            busy: VecDeque::new(),
            closing: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_link.len()
    }

    pub(super) fn attach(
        &mut self,
        now: Now,
        shard: &mut Shard,
        link: u64,
        address: &str,
        (mailbox, mut sink): (Arc<Mailbox>, Box<dyn Sink>),
    ) {
        let session = match shard.open(now, Peer { address: ip(address), datagrams: false }) {
            Ok(session) => session,
            Err(code) => return sink.closed(code),
        };
        let seat = Seat {
            session,
            mailbox,
            sink,
            reader: FrameReader::new(self.payload_bytes_max),
            mail: VecDeque::new(),
            control: Outgoing::default(),
            lanes: Outgoing::default(),
            busy: false,
            closing: false,
        };
        self.by_link.insert(link, seat);
        self.by_session.insert(session, link);
    }

    /// The session's mailbox holds something.
    pub(super) fn mail(&mut self, link: u64) {
        let Some(seat) = self.by_link.get_mut(&link) else { return };
        let mut frames = seat.mailbox.take();
        seat.mail.append(&mut frames);
        if !std::mem::replace(&mut seat.busy, true) {
            self.busy.push_back(link);
        }
    }

    /// The session's owner is gone.
    pub(super) fn detach(&mut self, now: Now, shard: &mut Shard, link: u64) {
        self.remove(now, shard, link, Code::CLOSED);
    }

    /// Whether mail waits that could be handled at once.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// When [`Linked::time`] must be called next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.closing.front().map(|(at, _)| *at)
    }

    /// Gives every session with mail its turn.
    pub(super) fn handle_mail(&mut self, now: Now, shard: &mut Shard) {
        for _ in 0..self.busy.len() {
            let Some(link) = self.busy.pop_front() else { return };
            let Some(seat) = self.by_link.get_mut(&link) else { continue };
            seat.busy = seat.handle_mail(now, shard);
            if seat.busy {
                self.busy.push_back(link);
            }
        }
    }

    /// Ends sessions whose sinks have not taken the last frames in time.
    pub(super) fn time(&mut self, now: Now, shard: &mut Shard) {
        while let Some(&(at, link)) = self.closing.front() {
            if at > now.mono {
                return;
            }
            self.closing.pop_front();
            let session = self.by_link.get(&link).map(|seat| seat.session);
            let code = session.and_then(|key| shard.closing(key)).map(|(code, _)| code);
            self.remove(now, shard, link, code.unwrap_or(Code::CLOSED));
        }
    }

    /// Gives the session's sink what waits for it. Called when there is something new.
    pub(super) fn serve(&mut self, now: Now, shard: &mut Shard, session: SessionKey) {
        if let Some(&link) = self.by_session.get(&session) {
            self.offer(now, shard, link);
        }
    }

    /// Gives the session's sink what waits for it, since it has room again.
    pub(super) fn room(&mut self, now: Now, shard: &mut Shard, link: u64) {
        if let Some(seat) = self.by_link.get(&link) {
            seat.mailbox.use_room();
            self.offer(now, shard, link);
        }
    }

    /// Ends every session, for a shard that stops.
    pub(super) fn close_all(&mut self, now: Now, shard: &mut Shard, code: Code) {
        while let Some((&link, _)) = self.by_link.first_key_value() {
            self.remove(now, shard, link, code);
        }
    }

    fn offer(&mut self, now: Now, shard: &mut Shard, link: u64) {
        let Some(seat) = self.by_link.get_mut(&link) else { return };
        let session = seat.session;
        for channel in Channel::all() {
            if shard.has(session, channel) {
                let Seat { sink, control, lanes, .. } = &mut *seat;
                let outgoing = if channel == Channel::Control { control } else { lanes };
                shard.transfer(now, session, channel, &mut |bytes| {
                    outgoing.offer(bytes, sink.as_mut());
                });
            }
        }
        let told = seat.control.flush(seat.sink.as_mut());
        seat.lanes.flush(seat.sink.as_mut());
        let Some((code, _)) = shard.closing(session) else { return };
        if told && !shard.has(session, Channel::Control) {
            self.remove(now, shard, link, code);
        } else if !std::mem::replace(&mut seat.closing, true) {
            self.closing.push_back((now.mono + LINGER, link));
        }
    }

    fn remove(&mut self, now: Now, shard: &mut Shard, link: u64, code: Code) {
        let Some(mut seat) = self.by_link.remove(&link) else { return };
        self.by_session.remove(&seat.session);
        shard.closed(now, seat.session);
        seat.sink.closed(code);
    }
}

impl Seat {
    /// Hands a turn's share of the mail to the shard. Whether more waits.
    fn handle_mail(&mut self, now: Now, shard: &mut Shard) -> bool {
        let mut left = BYTES_PER_TURN;
        while let Some(frames) = self.mail.pop_front() {
            left = left.saturating_sub(frames.len());
            self.reader.push(frames);
            loop {
                match self.reader.next_frame() {
                    Ok(Some(frame)) => shard.frame(now, self.session, frame),
                    Ok(None) => break,
                    Err(error) => {
                        shard.broken(now, self.session, error);
                        self.mail.clear();
                        break;
                    }
                }
            }
            if left == 0 {
                break;
            }
        }
        !self.mail.is_empty()
    }
}

impl Outgoing {
    /// Takes whole frames from the front of `bytes` as far as the sink does. A frame that continues
    /// in the next chunk is put together first.
    fn offer(&mut self, bytes: &mut Bytes, sink: &mut dyn Sink) {
        if !self.flush(sink) {
            return;
        }
        if self.missing > 0 {
            while self.missing > 0 && !bytes.is_empty() {
                let part = bytes.split_to(self.missing.min(bytes.len()));
                self.head.extend_from_slice(&part);
                // A header that was cut tells only when it is whole how long its frame is.
                self.missing = whole_frames(&self.head).1;
            }
            if self.missing > 0 {
                return;
            }
            self.held = Some(self.head.split().freeze());
            if !self.flush(sink) {
                return;
            }
        }
        let (whole, missing) = whole_frames(bytes);
        if whole > 0 {
            let frames = bytes.slice(..whole);
            if !sink.offer(&frames) {
                return;
            }
            bytes.advance(whole);
        }
        if !bytes.is_empty() {
            self.head.extend_from_slice(bytes);
            self.missing = missing;
            bytes.clear();
        }
    }

    /// Offers what is held; whether nothing is any more.
    fn flush(&mut self, sink: &mut dyn Sink) -> bool {
        if let Some(frames) = self.held.take()
            && !sink.offer(&frames)
        {
            self.held = Some(frames);
        }
        self.held.is_none()
    }
}

/// How many bytes at the front are whole frames, and how many the last frame still needs.
fn whole_frames(bytes: &[u8]) -> (usize, usize) {
    let mut whole = 0;
    loop {
        let rest = &bytes[whole..];
        let Some(head) = rest.first_chunk::<HEADER_BYTES>() else {
            return (whole, HEADER_BYTES - rest.len());
        };
        let attributes = usize::from(u16::from_le_bytes([head[2], head[3]]));
        let body = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let frame = HEADER_BYTES + attributes + body;
        if rest.len() < frame {
            return (whole, frame - rest.len());
        }
        whole += frame;
        if whole == bytes.len() {
            return (whole, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use sampan_protocol::frame::{Header, Kind};

    use super::*;

    /// Takes so many chunks and then refuses.
    struct Taker {
        room: usize,
        taken: Vec<Bytes>,
    }

    impl Sink for Taker {
        fn offer(&mut self, chunk: &Bytes) -> bool {
            if self.room == 0 {
                return false;
            }
            self.room -= 1;
            self.taken.push(chunk.clone());
            true
        }

        fn closed(&mut self, _: Code) {}
    }

    fn frame(body: &[u8]) -> Bytes {
        Header::new(Kind::Deliver).to_frame(&[2, 1, 0, b'e'], body).expect("small")
    }

    #[test]
    fn every_chunk_offered_holds_whole_frames() {
        let frames: Vec<Bytes> = (0..20).map(|n| frame(&vec![n; usize::from(n) * 7])).collect();
        let stream: Vec<u8> = frames.iter().flat_map(|frame| frame.to_vec()).collect();
        for cut in 1..stream.len() {
            let mut outgoing = Outgoing::default();
            let mut taker = Taker { room: 0, taken: Vec::new() };
            for part in [&stream[..cut], &stream[cut..]] {
                let mut part = Bytes::copy_from_slice(part);
                while !part.is_empty() {
                    // Every offer is refused once before it is taken.
                    outgoing.offer(&mut part, &mut taker);
                    taker.room = 1;
                    outgoing.offer(&mut part, &mut taker);
                    taker.room = 0;
                }
            }
            taker.room = 9;
            assert!(outgoing.flush(&mut taker));
            for chunk in &taker.taken {
                assert_eq!(whole_frames(chunk), (chunk.len(), 0), "cut at {cut}");
            }
            assert_eq!(taker.taken.concat(), stream, "cut at {cut}");
        }
    }
}
