//! The JSON of messages, encoded once for all connections of the process.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sampan_protocol::Frame;
use serde_json::value::RawValue;

use super::message::object;
use super::runs::Runs;
use crate::failure::Failure;
use crate::session::Named;

/// Bytes of JSON that are kept.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Messages that are kept.
const MESSAGES_MAX: usize = 16 * 1024;

/// Topic id, epoch, offset, and whether it is still compressed: no two messages of a broker's life
/// share it.
type Key = (u64, u64, u64, bool);

/// The JSON of the newest messages. The oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    kept: Mutex<Kept>,
    runs: Runs,
}

#[derive(Debug, Default)]
struct Kept {
    objects: HashMap<Key, Arc<RawValue>>,
    order: VecDeque<Key>,
    bytes: usize,
}

impl Cache {
    /// The JSON object of a DELIVER frame, its payload inflated.
    ///
    /// # Errors
    /// When the frame's attributes make no sense.
    pub(crate) fn object(&self, topic: &Named, frame: &Frame) -> Result<Arc<RawValue>, Failure> {
        self.object_for(topic, frame, false)
    }

    /// The JSON object of a DELIVER frame for readers that inflate or do not.
    ///
    /// # Errors
    /// As [`Cache::object`].
    pub(crate) fn object_for(
        &self,
        topic: &Named,
        frame: &Frame,
        inflates: bool,
    ) -> Result<Arc<RawValue>, Failure> {
        let key = (topic.id, topic.epoch, frame.header.number, inflates);
        if let Some(object) = self.kept().objects.get(&key) {
            return Ok(object.clone());
        }
        let object: Arc<RawValue> = object(topic, topic.epoch, frame, inflates)?.into();
        self.kept().put(key, object.clone());
        Ok(object)
    }

    /// What was kept for these very bytes of the broker, for readers that inflate or do not.
    pub(crate) fn run(&self, chunk: &Bytes, inflates: bool) -> Option<Arc<[Bytes]>> {
        self.runs.get(chunk, inflates)
    }

    /// Keeps what deliveries become, for the other readers that get the same bytes.
    pub(crate) fn keep_run(&self, chunk: Bytes, inflates: bool, texts: Arc<[Bytes]>) {
        self.runs.put(chunk, inflates, texts);
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn put(&mut self, key: Key, object: Arc<RawValue>) {
        self.bytes += object.get().len();
        if let Some(before) = self.objects.insert(key, object) {
            self.bytes -= before.get().len();
            return;
        }
        self.order.push_back(key);
        while self.bytes > BYTES_MAX || self.order.len() > MESSAGES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some(object) = self.objects.remove(&oldest) {
                self.bytes -= object.get().len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_protocol::Kind;
    use sampan_protocol::frame::Header;

    fn frame(offset: u64, bytes: usize) -> Frame {
        let body = vec![b'x'; bytes];
        let frame = Header::new(Kind::Deliver).number(offset).to_frame(&[], &body);
        Frame::decode(frame.expect("small"), 1 << 20).expect("valid")
    }

    #[test]
    fn a_message_is_encoded_once_and_shared() {
        let cache = Cache::default();
        let topic = Named { id: 1, name: "a".to_owned(), epoch: 1 };
        let first = cache.object(&topic, &frame(1, 3)).expect("valid");
        let again = cache.object(&topic, &frame(1, 3)).expect("valid");
        assert!(Arc::ptr_eq(&first, &again));
        let text = r#"{"topic":"a","epoch":1,"offset":1,"time_ms":0,"payload":"xxx"}"#;
        assert_eq!(first.get(), text);
        let later = Named { epoch: 2, ..topic };
        let other = cache.object(&later, &frame(1, 3)).expect("valid");
        assert_ne!(other.get(), first.get(), "an offset of another epoch is another message");
    }

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_number() {
        let cache = Cache::default();
        let topic = Named { id: 1, name: "a".to_owned(), epoch: 1 };
        for offset in 1..=20 {
            cache.object(&topic, &frame(offset, 1 << 20)).expect("valid");
        }
        assert!(cache.kept().bytes <= BYTES_MAX && cache.kept().objects.len() == 7);
        for offset in 100..100 + 2 * MESSAGES_MAX as u64 {
            cache.object(&topic, &frame(offset, 1)).expect("valid");
        }
        let kept = cache.kept();
        assert_eq!((kept.objects.len(), kept.order.len()), (MESSAGES_MAX, MESSAGES_MAX));
        let bytes: usize = kept.objects.values().map(|object| object.get().len()).sum();
        assert_eq!(kept.bytes, bytes);
    }
}
