//! The JSON of messages, encoded once for all connections of the process.

use std::sync::Arc;

use bytes::Bytes;
use sampan_protocol::Frame;
use serde_json::value::RawValue;

use super::message::object;
use super::runs::Runs;
use crate::failure::Failure;
use crate::newest::Newest;
use crate::session::Named;

/// The JSON of the newest messages.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    plain: Newest<Arc<RawValue>>,
    /// For readers that inflate payloads themselves.
    compressed: Newest<Arc<RawValue>>,
    runs: Runs,
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
        let kept = if inflates { &self.compressed } else { &self.plain };
        kept.of(topic, frame, || {
            let object: Arc<RawValue> = object(topic, topic.epoch, frame, inflates)?.into();
            let bytes = object.get().len();
            Ok((object, bytes))
        })
    }

    /// What was kept for these very bytes of the broker, for readers that inflate or do not.
    pub(crate) fn run(&self, chunk: &Bytes, inflates: bool) -> Option<Arc<[Bytes]>> {
        self.runs.get(chunk, inflates)
    }

    /// Keeps what deliveries become, for the other readers that get the same bytes.
    pub(crate) fn keep_run(&self, chunk: Bytes, inflates: bool, texts: Arc<[Bytes]>) {
        self.runs.put(chunk, inflates, texts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sampan_protocol::Kind;
    use sampan_protocol::frame::Header;

    #[test]
    fn a_message_is_encoded_once_and_shared() {
        let frame = Header::new(Kind::Deliver).number(1).to_frame(&[], b"xxx").expect("small");
        let frame = Frame::decode(frame, 1 << 20).expect("valid");
        let cache = Cache::default();
        let topic = Named { id: 1, name: "a".to_owned(), epoch: 1 };
        let first = cache.object(&topic, &frame).expect("valid");
        let again = cache.object(&topic, &frame).expect("valid");
        assert!(Arc::ptr_eq(&first, &again));
        let text = r#"{"topic":"a","epoch":1,"offset":1,"time_ms":0,"payload":"xxx"}"#;
        assert_eq!(first.get(), text);
    }
}
