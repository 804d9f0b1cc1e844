//! Runs: encoded DELIVER frames of one topic with consecutive offsets, cut without copying.
//!
//! A run is encoded once by the topic's owner and shared by the journal, the outboxes and every
//! page. Cutting it walks the frames' fixed headers (`spec/wire.md`); attributes and bodies are
//! never looked at.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sampan_protocol::limits::HEADER_BYTES;

/// Where a frame's topic id stands.
const TOPIC_ID: Range<usize> = 8..16;

/// Whole DELIVER frames, back to back: small ones in `head`, or a single large one whose header and
/// attributes are `head` and whose body is `body`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Whole frames, or the start of one.
    pub head: Bytes,
    /// The rest of that one.
    pub body: Option<Bytes>,
}

impl Chunk {
    /// Bytes on the wire.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.head.len() + self.body.as_ref().map_or(0, Bytes::len)
    }
}

/// How a publisher calls messages of a run: consecutive sequences at consecutive offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Who counts the sequences.
    pub producer: u64,
    /// Sequence of the first one.
    pub sequence: u64,
    /// Offset of the first one.
    pub offset: u64,
    /// How many, 1 or more.
    pub count: u64,
}

/// Consecutive messages `from..=to` of one topic. The default is empty and not yet a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// First offset.
    pub from: u64,
    /// Last offset.
    pub to: u64,
    /// Time of the first message, Unix milliseconds.
    pub first_ms: u64,
    /// Time of the last message, Unix milliseconds.
    pub last_ms: u64,
    /// Bytes of all frames on the wire.
    pub bytes: usize,
    /// The frames, by rising offset.
    pub chunks: Vec<Chunk>,
    /// How the publishers call the messages, by rising offset; those that never repeat are left
    /// out. For the journal: a run that is read back or cut need not have it.
    pub sent: Vec<Sent>,
    /// Idempotency keys with the offsets of their messages, rising. For the journal, too.
    pub keys: Vec<(u64, Arc<str>)>,
}

/// One DELIVER frame of a run, sharing its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliver {
    /// The message's offset.
    pub offset: u64,
    /// Its time, Unix milliseconds.
    pub time_ms: u64,
    /// The whole frame, or its header and attributes.
    pub head: Bytes,
    /// The frame's body, if `head` does not hold it.
    pub body: Option<Bytes>,
}

impl Run {
    /// The run in these chunks; `None` unless they hold whole frames, one or more, with consecutive
    /// offsets.
    #[must_use]
    pub fn of(chunks: Vec<Chunk>) -> Option<Run> {
        let bytes = chunks.iter().map(Chunk::bytes).sum();
        let mut run = Run { bytes, chunks, ..Run::default() };
        let mut frames = run.walk().map(|(_, _, frame)| frame);
        let first = frames.next()?;
        let (mut last, mut walked) = (first, first.bytes);
        for frame in frames {
            if last.offset.checked_add(1) != Some(frame.offset) {
                return None;
            }
            last = frame;
            walked += frame.bytes;
        }
        (run.from, run.to) = (first.offset, last.offset);
        (run.first_ms, run.last_ms) = (first.time_ms, last.time_ms);
        (walked == bytes).then_some(run)
    }

    /// Messages in the run.
    #[must_use]
    pub fn count(&self) -> u64 {
        (self.to + 1).saturating_sub(self.from)
    }

    /// The frames, one by one. Ends early at a chunk that does not hold whole frames.
    #[must_use]
    pub fn frames(&self) -> Frames<'_> {
        Frames { chunks: &self.chunks, at: 0 }
    }

    /// The offset of the first message at or after this time.
    #[must_use]
    pub fn first_since(&self, ms: u64) -> Option<u64> {
        self.walk().find(|(_, _, frame)| frame.time_ms >= ms).map(|(_, _, frame)| frame.offset)
    }

    /// The messages from `offset` on; `None` if there are none.
    #[must_use]
    pub fn starting_at(self: &Arc<Self>, offset: u64) -> Option<Arc<Run>> {
        self.part(offset, u32::MAX, usize::MAX)
    }

    /// The first `max_count` messages; `None` for 0.
    #[must_use]
    pub fn truncate_to(self: &Arc<Self>, max_count: u32) -> Option<Arc<Run>> {
        self.part(self.from, max_count, usize::MAX)
    }

    /// The messages from `offset` on, at most so many and of so many bytes, but the first one
    /// whatever its size; `None` if there are none or none are wanted.
    ///
    /// Shares the run if all of it is wanted, and its chunks otherwise: a cut run keeps the whole
    /// chunks that it is cut from alive.
    #[must_use]
    pub fn part(
        self: &Arc<Self>,
        offset: u64,
        max_count: u32,
        max_bytes: usize,
    ) -> Option<Arc<Run>> {
        if offset > self.to || max_count == 0 {
            return None;
        }
        let all = offset <= self.from && self.count() <= max_count.into();
        if all && self.bytes <= max_bytes {
            return Some(self.clone());
        }
        let mut part = Run::default();
        let (mut count, mut open) = (0, None::<(usize, usize, usize)>);
        for (chunk, at, frame) in self.walk().skip_while(|(_, _, frame)| frame.offset < offset) {
            let fits = count < max_count && frame.bytes <= max_bytes.saturating_sub(part.bytes);
            if count > 0 && !fits {
                break;
            }
            if count == 0 {
                (part.from, part.first_ms) = (frame.offset, frame.time_ms);
            }
            (part.to, part.last_ms) = (frame.offset, frame.time_ms);
            part.bytes += frame.bytes;
            count += 1;
            let end = at + frame.bytes;
            open = match open {
                Some((same, start, _)) if same == chunk => Some((chunk, start, end)),
                other => {
                    part.chunks.extend(self.cut(other));
                    Some((chunk, at, end))
                }
            };
        }
        part.chunks.extend(self.cut(open));
        (count > 0).then(|| Arc::new(part))
    }

    /// The same messages under this topic id. Shares the run if it has that id, and copies its
    /// headers otherwise: ids are those of one broker process, and a run may be an earlier one's.
    #[must_use]
    pub fn named(self: &Arc<Self>, topic_id: u64) -> Arc<Run> {
        let id = topic_id.to_le_bytes();
        let known = self.chunks.first().and_then(|chunk| chunk.head.get(TOPIC_ID));
        if known.is_none_or(|known| known == id) {
            return self.clone();
        }
        let mut heads: Vec<BytesMut> =
            self.chunks.iter().map(|chunk| BytesMut::from(&chunk.head[..])).collect();
        for (chunk, at, _) in self.walk() {
            heads[chunk][at..][TOPIC_ID].copy_from_slice(&id);
        }
        let chunks = heads.into_iter().zip(&self.chunks);
        let chunks = chunks.map(|(head, chunk)| Chunk { head: head.freeze(), ..chunk.clone() });
        let Run { from, to, first_ms, last_ms, bytes, .. } = **self;
        let chunks = chunks.collect();
        Arc::new(Run { from, to, first_ms, last_ms, bytes, chunks, ..Run::default() })
    }

    /// The bytes `start..end` of a chunk as a chunk; a frame with a body of its own is one piece.
    fn cut(&self, range: Option<(usize, usize, usize)>) -> Option<Chunk> {
        let (index, start, end) = range?;
        let chunk = self.chunks.get(index)?;
        Some(match &chunk.body {
            Some(_) => chunk.clone(),
            None => Chunk { head: chunk.head.slice(start..end), body: None },
        })
    }

    /// Every frame with its chunk's index and where it starts in there.
    fn walk(&self) -> impl Iterator<Item = (usize, usize, Peek)> {
        let mut frames = self.frames();
        std::iter::from_fn(move || {
            let (at, frame) = frames.peek()?;
            let index = self.chunks.len() - frames.chunks.len();
            frames.advance(frame);
            Some((index, at, frame))
        })
    }
}

/// What a frame's fixed header says.
#[derive(Clone, Copy)]
struct Peek {
    offset: u64,
    time_ms: u64,
    bytes: usize,
}

impl Peek {
    /// The header at the start of `bytes`.
    fn at(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let number = |at: usize, length: usize| {
            header[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let lengths = usize::try_from(number(2, 2) + number(4, 4)).ok()?;
        Some(Peek {
            offset: number(16, 8),
            time_ms: number(24, 8),
            bytes: HEADER_BYTES.checked_add(lengths)?,
        })
    }
}

/// The frames of a run; see [`Run::frames`].
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    chunks: &'a [Chunk],
    /// Where the next frame starts in the first chunk.
    at: usize,
}

impl Frames<'_> {
    /// The next frame and where it starts in its chunk.
    fn peek(&mut self) -> Option<(usize, Peek)> {
        while let Some(chunk) = self.chunks.first()
            && self.at >= chunk.head.len()
        {
            (self.chunks, self.at) = (&self.chunks[1..], 0);
        }
        let chunk = self.chunks.first()?;
        let frame = Peek::at(&chunk.head[self.at..])?;
        let left = chunk.bytes() - self.at;
        let whole = match &chunk.body {
            Some(_) => frame.bytes == left,
            None => frame.bytes <= left,
        };
        whole.then_some((self.at, frame))
    }

    fn advance(&mut self, frame: Peek) {
        self.at += frame.bytes;
    }
}

impl Iterator for Frames<'_> {
    type Item = Deliver;

    fn next(&mut self) -> Option<Deliver> {
        let (at, frame) = self.peek()?;
        let chunk = self.chunks.first()?;
        let (head, body) = match &chunk.body {
            Some(body) => (chunk.head.clone(), Some(body.clone())),
            None => (chunk.head.slice(at..at + frame.bytes), None),
        };
        self.advance(frame);
        Some(Deliver { offset: frame.offset, time_ms: frame.time_ms, head, body })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use sampan_protocol::frame::{Header, Kind};

    use super::*;

    fn header(offset: u64) -> Header {
        let new = Header::new(Kind::Deliver).number(offset);
        Header { topic_id: 7, time_ms: 1000 + offset * 10, ..new }
    }

    /// A run of these body sizes from `from` on; time is 1000 + 10 per offset. Bodies above 100
    /// bytes are chunks of their own, smaller ones share chunks of up to three frames.
    pub(in crate::journal) fn run(from: u64, bodies: &[usize]) -> Arc<Run> {
        let mut chunks = Vec::new();
        let (mut small, mut frames) = (BytesMut::new(), 0);
        for (offset, size) in (from..).zip(bodies) {
            let body = vec![u8::try_from(offset % 256).expect("a byte"); *size];
            if *size <= 100 {
                header(offset).write(&mut small, &[2, 1, 0, b'e'], &body).expect("small");
                frames += 1;
            }
            if *size > 100 || frames == 3 {
                let head = std::mem::take(&mut small).freeze();
                chunks.extend((!head.is_empty()).then_some(Chunk { head, body: None }));
                frames = 0;
            }
            if *size > 100 {
                let head = header(offset).head(&[], *size).expect("small");
                chunks.push(Chunk { head, body: Some(Bytes::from(body)) });
            }
        }
        let head = small.freeze();
        chunks.extend((!head.is_empty()).then_some(Chunk { head, body: None }));
        Arc::new(Run::of(chunks).expect("whole frames"))
    }

    #[test]
    fn a_run_knows_its_ends() {
        let run = run(5, &[0, 10, 200, 30]);
        assert_eq!((run.from, run.to, run.count()), (5, 8, 4));
        assert_eq!((run.first_ms, run.last_ms), (1050, 1080));
        assert_eq!(run.bytes, 4 * 32 + 3 * 4 + 240);
        assert_eq!(run.first_since(1051), Some(6));
        assert_eq!((run.first_since(0), run.first_since(1081)), (Some(5), None));
    }

    #[test]
    fn cutting_shares_the_bytes() {
        let run = run(1, &[10, 10, 10]);
        let cut = run.starting_at(2).expect("there");
        assert_eq!(cut.chunks[0].head.as_ptr(), run.chunks[0].head[46..].as_ptr());
        assert!(Arc::ptr_eq(&run.starting_at(0).expect("there"), &run));
        assert!(Arc::ptr_eq(&run.truncate_to(3).expect("there"), &run));
        assert_eq!((run.starting_at(4), run.truncate_to(0)), (None, None));
    }

    #[test]
    fn a_run_of_an_earlier_process_is_given_the_id_of_this_one() {
        let run = run(1, &[10, 10, 200, 10]);
        assert!(Arc::ptr_eq(&run.named(7), &run));
        let named = run.named(8);
        assert_eq!(Run::of(named.chunks.clone()).as_ref(), Some(&*named));
        for (before, after) in run.frames().zip(named.frames()) {
            assert_eq!(after.head[TOPIC_ID], 8_u64.to_le_bytes());
            assert_eq!(after.head[..8], before.head[..8]);
            assert_eq!(after.head[16..], before.head[16..]);
            assert_eq!(after.body, before.body);
        }
    }

    #[test]
    fn chunks_that_are_not_whole_frames_are_no_run_and_never_panic() {
        let frame = header(1).to_frame(&[], b"body").expect("small");
        let chunk = |head: Bytes, body: Option<&'static [u8]>| Chunk {
            head,
            body: body.map(Bytes::from_static),
        };
        let again = chunk(frame.clone(), None);
        let bad = [
            vec![],
            vec![chunk(Bytes::new(), None)],
            vec![chunk(frame.slice(..20), None)],
            vec![chunk(frame.slice(..35), None)],
            vec![chunk(frame.clone(), Some(b"x"))],
            vec![again.clone(), again],
        ];
        for chunks in bad {
            let broken = Arc::new(Run { from: 1, to: 9, chunks: chunks.clone(), ..Run::default() });
            let _ = (broken.frames().count(), broken.starting_at(2), broken.truncate_to(1));
            assert_eq!(Run::of(chunks.clone()), None, "{chunks:?}");
        }
    }

    proptest! {
        #[test]
        fn any_part_is_the_same_frames(
            bodies in prop::collection::vec(prop_oneof![0usize..100, 101usize..300], 1..20),
            from in 1u64..1000, skip in 0u64..22, max_count in 0u32..22, max_bytes in 0usize..2000,
        ) {
            let run = run(from, &bodies);
            let whole: Vec<Deliver> = run.frames().collect();
            prop_assert_eq!(whole.len(), bodies.len());
            let size = |f: &Deliver| f.head.len() + f.body.as_ref().map_or(0, Bytes::len);
            let mut left = max_bytes;
            let mut expected = Vec::new();
            for frame in whole.iter().skip(usize::try_from(skip).expect("small")) {
                let wanted = expected.len() < max_count as usize;
                if !wanted || (size(frame) > left && !expected.is_empty()) { break }
                left = left.saturating_sub(size(frame));
                expected.push(frame.clone());
            }
            let part = run.part(from + skip, max_count, max_bytes);
            prop_assert_eq!(part.is_some(), !expected.is_empty());
            if let Some(part) = part {
                prop_assert_eq!(part.frames().collect::<Vec<_>>(), expected);
                prop_assert_eq!(Run::of(part.chunks.clone()), Some((*part).clone()));
            }
        }
    }
}
