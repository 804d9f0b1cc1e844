//! What a run's record holds ahead of its frames, so that repeats are known after a restart. A topic of
//! kept values has its messages elsewhere: its runs are *bare*, and hold nothing but this.

use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::{Chunk, Run, Sent};

/// The entries of one record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    /// When the messages were first written, by the clock of retention. A record without entries says
    /// so only if it was copied.
    pub(crate) time_ms: Option<u64>,
    pub(crate) sent: Vec<Sent>,
    /// Offsets and idempotency keys.
    pub(crate) keys: Vec<(u64, Arc<str>)>,
}

impl Entries {
    /// What a run that is written at this time says of its messages `from..=to`.
    pub(crate) fn of(run: &Run, from: u64, to: u64, time_ms: u64) -> Self {
        let cut = |sent: &Sent| {
            let last = sent.offset.saturating_add(sent.count).saturating_sub(1).min(to);
            let offset = sent.offset.max(from);
            let count = (last + 1).checked_sub(offset).filter(|count| *count > 0)?;
            let sequence = sent.sequence.wrapping_add(offset - sent.offset);
            Some(Sent { producer: sent.producer, sequence, offset, count })
        };
        let keys = run.keys.iter().filter(|(offset, _)| (from..=to).contains(offset));
        let mut entries = Entries {
            time_ms: None,
            sent: run.sent.iter().filter_map(cut).collect(),
            keys: keys.cloned().collect(),
        };
        entries.time_ms = entries.ends().map(|_| time_ms);
        entries
    }

    /// The run of these frames; the bare one if there are none. `None` unless the frames are whole.
    pub(crate) fn run(&self, frames: Bytes) -> Option<Run> {
        if !frames.is_empty() {
            return Run::of(vec![Chunk { head: frames, body: None }]);
        }
        let (from, to) = self.ends()?;
        Some(Run { from, to, ..Run::default() })
    }

    /// First and last offset of which something is known.
    fn ends(&self) -> Option<(u64, u64)> {
        let last = |sent: &Sent| sent.offset.saturating_add(sent.count.saturating_sub(1));
        let sent = self.sent.iter().flat_map(|sent| [sent.offset, last(sent)]);
        let offsets = sent.chain(self.keys.iter().map(|(offset, _)| *offset));
        offsets.fold(None, |ends, offset| {
            let (from, to) = ends.unwrap_or((offset, offset));
            Some((from.min(offset), to.max(offset)))
        })
    }

    /// Writes the entries of a record that starts with offset `from`; nothing if there are none.
    pub(crate) fn write(&self, from: u64, out: &mut Vec<u8>) {
        out.extend(self.time_ms.map(u64::to_le_bytes).into_iter().flatten());
        if self.sent.is_empty() && self.keys.is_empty() {
            return;
        }
        put(out, self.sent.len() as u64);
        for sent in &self.sent {
            out.extend(sent.producer.to_le_bytes());
            put(out, sent.sequence);
            put(out, sent.offset.saturating_sub(from));
            put(out, sent.count);
        }
        for (offset, key) in &self.keys {
            put(out, offset.saturating_sub(from));
            put(out, key.len() as u64);
            out.extend(key.as_bytes());
        }
    }

    /// Bytes that the entries of a run take at most, in one record.
    pub(crate) fn weight(run: &Run) -> usize {
        weight(&run.sent, &run.keys)
    }

    /// Bytes that these entries take at most.
    pub(crate) fn bytes(&self) -> usize {
        weight(&self.sent, &self.keys)
    }

    /// Reads the entries of a record; `None` if they are malformed.
    pub(crate) fn read(mut bytes: &[u8], from: u64, is_copied: bool) -> Option<Self> {
        let mut entries = Entries::default();
        if is_copied || !bytes.is_empty() {
            entries.time_ms = Some(u64::from_le_bytes(take(&mut bytes)?));
        }
        if bytes.is_empty() {
            return Some(entries);
        }
        for _ in 0..number(&mut bytes)? {
            let producer = u64::from_le_bytes(take(&mut bytes)?);
            let sequence = number(&mut bytes)?;
            let offset = from.checked_add(number(&mut bytes)?)?;
            let count = number(&mut bytes)?;
            entries.sent.push(Sent { producer, sequence, offset, count });
        }
        while !bytes.is_empty() {
            let offset = from.checked_add(number(&mut bytes)?)?;
            let length = usize::try_from(number(&mut bytes)?).ok()?;
            let (key, rest) = bytes.split_at_checked(length)?;
            entries.keys.push((offset, Arc::from(str::from_utf8(key).ok()?)));
            bytes = rest;
        }
        Some(entries)
    }
}

fn weight(sent: &[Sent], keys: &[(u64, Arc<str>)]) -> usize {
    let keys: usize = keys.iter().map(|(_, key)| 2 * NUMBER_BYTES + key.len()).sum();
    8 + NUMBER_BYTES + (8 + 3 * NUMBER_BYTES) * sent.len() + keys
}

/// Bytes that a number takes at most.
const NUMBER_BYTES: usize = 10;

/// Writes a number: seven bits a byte, lowest first, the high bit on all but the last.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        out.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    out.push((number & 0x7F) as u8);
}

fn number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let [byte] = take(bytes)?;
        let bits = u64::from(byte & 0x7F);
        number |= bits << shift;
        if byte < 0x80 {
            return (number >> shift == bits).then_some(number);
        }
    }
    None
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (first, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_run_has_its_part_of_the_entries_and_they_come_back() {
        for value in [0, 127, 128, 1 << 32, u64::MAX] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            assert_eq!(number(&mut &bytes[..]), Some(value));
        }
        let sent = |sequence, offset, count| Sent { producer: 9, sequence, offset, count };
        let run = Run {
            sent: vec![sent(50, 1, 10), sent(70, 20, 5)],
            keys: vec![(3, Arc::from("a")), (21, Arc::from("key"))],
            ..Run::default()
        };
        let entries = Entries::of(&run, 4, 21, 77);
        assert_eq!(entries.sent, [sent(53, 4, 7), sent(70, 20, 2)]);
        assert_eq!(entries.keys, [(21, Arc::from("key"))]);
        let bare = entries.run(Bytes::new()).expect("bare");
        assert_eq!((bare.from, bare.to, bare.bytes), (4, 21, 0));
        assert_eq!(Entries::of(&run, 15, 19, 77), Entries::default());
        assert_eq!(Entries::default().run(Bytes::new()), None);
        let copied = Entries { time_ms: Some(77), ..Entries::default() };
        for (entries, is_copied) in
            [(&entries, false), (&entries, true), (&copied, true), (&Entries::default(), false)]
        {
            let mut bytes = Vec::new();
            entries.write(4, &mut bytes);
            assert_eq!(Entries::read(&bytes, 4, is_copied).as_ref(), Some(entries));
            for length in 1..bytes.len() {
                let _ = Entries::read(&bytes[..length], 4, is_copied);
            }
        }
        assert_eq!(Entries::read(&[0xFF; 12], 4, false), None);
    }
}
