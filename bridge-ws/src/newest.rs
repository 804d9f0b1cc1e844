//! What was made of the newest messages, kept once for all connections of the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sampan_protocol::Frame;

use crate::failure::Failure;
use crate::session::Named;

/// Bytes that are kept.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages that are kept.
const MESSAGES_MAX: usize = 16 * 1024;

/// Topic id, epoch, offset: no two messages of a broker's life share it.
type Key = (u64, u64, u64);

/// One thing for each of the newest messages, cheap to clone. The oldest go first.
#[derive(Debug)]
pub(crate) struct Newest<T>(Mutex<Kept<T>>);

#[derive(Debug)]
struct Kept<T> {
    things: HashMap<Key, (T, usize)>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl<T> Default for Newest<T> {
    fn default() -> Self {
        Newest(Mutex::new(Kept { things: HashMap::new(), order: VecDeque::new(), bytes: 0 }))
    }
}

impl<T: Clone> Newest<T> {
    /// What was made of a DELIVER frame; `make` says it, with its bytes, the first time.
    ///
    /// # Errors
    /// What `make` says.
    pub(crate) fn of(
        &self,
        topic: &Named,
        frame: &Frame,
        make: impl FnOnce() -> Result<(T, usize), Failure>,
    ) -> Result<T, Failure> {
        let key = (topic.id, topic.epoch, frame.header.number);
        if let Some((thing, _)) = self.kept().things.get(&key) {
            return Ok(thing.clone());
        }
        let (thing, bytes) = make()?;
        self.kept().put(key, thing.clone(), bytes);
        Ok(thing)
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Kept<T> {
    fn put(&mut self, key: Key, thing: T, bytes: usize) {
        self.bytes += bytes;
        if let Some((_, before)) = self.things.insert(key, (thing, bytes)) {
            self.bytes -= before;
            return;
        }
        self.order.push_back(key);
        while self.bytes > BYTES_MAX || self.order.len() > MESSAGES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((_, bytes)) = self.things.remove(&oldest) {
                self.bytes -= bytes;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_protocol::Kind;
    use sampan_protocol::frame::Header;

    fn frame(offset: u64) -> Frame {
        let frame = Header::new(Kind::Deliver).number(offset).to_frame(&[], b"x");
        Frame::decode(frame.expect("small"), 1 << 20).expect("valid")
    }

    #[test]
    fn a_thing_is_made_once_for_each_message_of_an_epoch() {
        let newest = Newest::default();
        let topic = Named { id: 1, name: "a".to_owned(), epoch: 1 };
        let of = |topic: &Named, thing| newest.of(topic, &frame(1), || Ok((thing, 1)));
        assert_eq!(of(&topic, "first"), Ok("first"));
        assert_eq!(of(&topic, "again"), Ok("first"));
        let later = Named { epoch: 2, ..topic };
        assert_eq!(of(&later, "other"), Ok("other"), "an offset of another epoch is another one");
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_number() {
        let newest = Newest::default();
        let topic = Named { id: 1, name: "a".to_owned(), epoch: 1 };
        for offset in 1..=20 {
            newest.of(&topic, &frame(offset), || Ok(((), 1 << 20))).expect("made");
        }
        assert!(newest.kept().bytes <= BYTES_MAX && newest.kept().things.len() == 8);
        for offset in 100..100 + 2 * MESSAGES_MAX as u64 {
            newest.of(&topic, &frame(offset), || Ok(((), 1))).expect("made");
        }
        let kept = newest.kept();
        assert_eq!((kept.things.len(), kept.order.len()), (MESSAGES_MAX, MESSAGES_MAX));
        assert_eq!(kept.bytes, kept.things.values().map(|(_, bytes)| bytes).sum::<usize>());
    }
}
