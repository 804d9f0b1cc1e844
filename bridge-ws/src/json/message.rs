//! A delivered message as JSON.

use sampan_protocol::attribute::Attributes;
use sampan_protocol::{Code, Frame};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::payload::{Form, Payload};
use crate::failure::Failure;
use crate::session::Named;

/// A message. Headers of the application are not carried.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Message<'a> {
    /// Topic name.
    topic: &'a str,
    /// Epoch of the offset.
    epoch: u64,
    /// Offset in the topic.
    offset: u64,
    /// When the broker ordered it, Unix milliseconds.
    time_ms: u64,
    /// Name of the event.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    /// Key of a `latest` value, or of an order among messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// Version of a `latest` value.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    /// Content type of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    /// Content encoding of the payload, such as `gzip`.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
    /// The payload: the value if its content type is JSON, a string if it is text or none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    payload: Option<Payload<'a>>,
    /// The payload as base64, if it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// The reply to a request.
#[derive(Debug, Serialize)]
pub(crate) struct Reply<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

impl<'a> Reply<'a> {
    /// The reply with these attributes and this payload.
    pub(crate) fn new(attributes: &Attributes<'a>, body: &'a [u8]) -> Self {
        let Attributes { event, content_type, content_encoding, .. } = *attributes;
        let (payload, payload_base64) = Form::of(content_type, content_encoding, body).fields();
        Reply { event, content_type, content_encoding, payload, payload_base64 }
    }
}

/// The JSON object of a DELIVER frame.
///
/// # Errors
/// When the frame's attributes make no sense.
pub(crate) fn object(topic: &Named, frame: &Frame) -> Result<Box<RawValue>, Failure> {
    let attributes = frame.attributes()?;
    let body = frame.body_bytes();
    let form = Form::of(attributes.content_type, attributes.content_encoding, body);
    let (payload, payload_base64) = form.fields();
    let message = Message {
        topic: &topic.name,
        epoch: topic.epoch,
        offset: frame.header.number,
        time_ms: frame.header.time_ms,
        event: attributes.event,
        key: attributes.key,
        version: attributes.version,
        content_type: attributes.content_type,
        content_encoding: attributes.content_encoding,
        payload,
        payload_base64,
    };
    to_raw_value(&message).map_err(|error| Failure::new(Code::PROTOCOL, &error.to_string()))
}
