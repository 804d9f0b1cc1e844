//! A publish as JSON: the same object over HTTP and WebSocket.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sampan_protocol::{AckLevel, Code};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::header::{Header, given};
use super::payload::is_json;
use crate::failure::Failure;
use crate::session;

/// A message to publish.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Publish {
    /// Topic name.
    topic: String,
    /// Name of the event, under which Socket.IO and SDKs hand it on.
    event: Option<String>,
    /// Key of a `latest` value, or of an order among messages.
    key: Option<String>,
    /// The payload, as any JSON value. A string travels as its text if `content_type` is given and
    /// is not JSON; anything else travels as JSON.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<serde_json::Value>")]
    payload: Option<Box<RawValue>>,
    /// The payload as base64, instead of `payload`.
    payload_base64: Option<String>,
    /// Content type of the payload; `application/json` if `payload` is given without one.
    content_type: Option<String>,
    /// Content encoding of `payload_base64`, such as `gzip`.
    content_encoding: Option<String>,
    /// Headers of the application: names and values, at most 16.
    #[serde(default)]
    headers: Vec<Header<'static>>,
    /// What the ack must say; the topic's default if absent.
    ack: Option<Level>,
    /// A repeat under the same key is acknowledged as a duplicate and not delivered.
    idempotency_key: Option<String>,
    /// Version of a `latest` value; one that is not above the kept one is stale.
    version: Option<u64>,
}

/// What an ack must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// No ack is wanted; a refusal is still told where the transport can.
    None,
    /// On its way to the subscribers.
    Routed,
    /// Written to the journal file.
    Logged,
    /// Flushed to stable storage.
    Synced,
    /// Held by a second node.
    Replicated,
}

impl Level {
    fn level(self) -> Option<AckLevel> {
        match self {
            Level::None => None,
            Level::Routed => Some(AckLevel::Routed),
            Level::Logged => Some(AckLevel::Logged),
            Level::Synced => Some(AckLevel::Synced),
            Level::Replicated => Some(AckLevel::Replicated),
        }
    }
}

/// A value that is there, also when it is `null`.
pub(crate) fn present<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

impl Publish {
    /// The name of the topic, as given.
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether nobody waits for an ack.
    pub(crate) fn wants_no_ack(&self) -> bool {
        self.ack == Some(Level::None)
    }

    /// Hands the message to `with` as the session takes it.
    ///
    /// # Errors
    /// When the payload is missing, given twice or not what its content type says; else what `with`
    /// says.
    pub(crate) fn publish<T>(
        &self,
        with: impl FnOnce(&session::Publish<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let bad = |reason| Failure::new(Code::BAD_FIELD, reason);
        let mut content_type = self.content_type.as_deref();
        let payload: Cow<'_, [u8]> = match (&self.payload, &self.payload_base64) {
            (Some(value), None) if content_type.is_none_or(is_json) => {
                content_type = content_type.or(Some("application/json"));
                Cow::Borrowed(value.get().as_bytes())
            }
            (Some(value), None) => {
                let text: String = serde_json::from_str(value.get())
                    .map_err(|_| bad("a payload whose content type is not JSON is a string"))?;
                Cow::Owned(text.into_bytes())
            }
            (None, Some(text)) => {
                let bytes =
                    STANDARD.decode(text).map_err(|_| bad("payload_base64 is no base64"))?;
                Cow::Owned(bytes)
            }
            _ => return Err(bad("give one of payload and payload_base64")),
        };
        if self.content_encoding.is_some() && self.payload_base64.is_none() {
            return Err(bad("what has a content encoding is given as payload_base64"));
        }
        with(&session::Publish {
            topic: &self.topic,
            event: self.event.as_deref(),
            key: self.key.as_deref(),
            content_type,
            content_encoding: self.content_encoding.as_deref(),
            headers: given(&self.headers)?,
            idempotency_key: self.idempotency_key.as_deref(),
            version: self.version,
            level: self.ack.and_then(Level::level),
            no_ack: self.wants_no_ack(),
            payload: &payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(json: &str) -> Result<(Option<String>, Vec<u8>), Failure> {
        let publish: Publish = serde_json::from_str(json).expect("valid");
        publish.publish(|p| Ok((p.content_type.map(str::to_owned), p.payload.to_vec())))
    }

    #[test]
    fn a_payload_travels_in_the_form_of_its_content_type() {
        let json = || Some("application/json".to_owned());
        let of = |rest: &str| published(&format!(r#"{{"topic":"a",{rest}}}"#));
        assert_eq!(of(r#""payload":{"a": 1}"#), Ok((json(), b"{\"a\": 1}".to_vec())));
        assert_eq!(of(r#""payload":null"#), Ok((json(), b"null".to_vec())));
        assert_eq!(of(r#""payload":"x""#), Ok((json(), b"\"x\"".to_vec())));
        let text = of(r#""payload":"x\n","content_type":"text/plain""#);
        assert_eq!(text, Ok((Some("text/plain".to_owned()), b"x\n".to_vec())));
        assert_eq!(of(r#""payload_base64":"//8=""#), Ok((None, vec![255, 255])));
        for bad in [
            r#""payload":1,"content_type":"text/plain""#,
            r#""payload":1,"payload_base64":"""#,
            r#""payload_base64":"x""#,
            r#""event":"e""#,
            r#""payload":"x","content_encoding":"gzip""#,
            r#""payload":1,"headers":[["a",{"base64":"?"}]]"#,
        ] {
            assert_eq!(of(bad).map_err(|f| f.code), Err(Code::BAD_FIELD), "{bad}");
        }
    }
}
