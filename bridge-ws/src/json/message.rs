//! Messages, jobs and replies as JSON.

use std::borrow::Cow;

use sampan_protocol::attribute::Attributes;
use sampan_protocol::{Code, Frame};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::handle::Handle;
use super::header::{Header, told};
use super::payload::{Form, Payload};
use crate::failure::{Failure, Told};
use crate::inflate::{Inflated, inflate};
use crate::session::Named;

/// A message.
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
    /// Content encoding that the payload still has.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<&'a str>,
    /// Headers of the application: names and values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<Header<'a>>,
    /// The payload: the value if its content type is JSON, a string if it is text or none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    payload: Option<Payload<'a>>,
    /// The payload as base64, if it is neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
    /// Why there is no payload: what is compressed cannot be inflated.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Told<'a>>,
}

/// A message that a group hands to one of this client's consumers.
#[derive(Debug, Serialize)]
pub(crate) struct Job<'a> {
    /// The id of the `consume` that it is for.
    consumer: u64,
    /// How often it has been handed out, this time included.
    attempt: u64,
    /// Names the job in `settle`.
    #[serde(serialize_with = "as_text")]
    handle: Handle,
    message: &'a RawValue,
}

impl<'a> Job<'a> {
    pub(crate) fn new(consumer: u64, attempt: u64, handle: Handle, message: &'a RawValue) -> Self {
        Job { consumer, attempt, handle, message }
    }
}

fn as_text<S: Serializer>(handle: &Handle, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(handle)
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
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<Header<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Payload<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload_base64: Option<String>,
}

/// The text of a reply with these attributes and this payload, which is inflated unless the reader
/// does that itself.
///
/// # Errors
/// When it cannot be inflated.
pub(crate) fn reply(
    attributes: &Attributes<'_>,
    body: &[u8],
    inflates: bool,
) -> Result<Box<RawValue>, Failure> {
    let Attributes { event, content_type, content_encoding, .. } = *attributes;
    let opened = open(content_encoding, body, inflates)?;
    let (payload, payload_base64) = Form::of(content_type, opened.encoding, &opened.bytes).fields();
    let headers = told(&attributes.headers);
    let content_encoding = opened.encoding;
    let reply = Reply { event, content_type, content_encoding, headers, payload, payload_base64 };
    to_raw_value(&reply).map_err(|error| Failure::new(Code::PROTOCOL, &error.to_string()))
}

/// The JSON object of a DELIVER or JOB frame, its payload inflated unless the reader does that
/// itself.
///
/// # Errors
/// When the frame's attributes make no sense.
pub(crate) fn object(
    topic: &Named,
    epoch: u64,
    frame: &Frame,
    inflates: bool,
) -> Result<Box<RawValue>, Failure> {
    let attributes = frame.attributes()?;
    let opened = open(attributes.content_encoding, frame.body_bytes(), inflates);
    let (content_encoding, form) = match &opened {
        Ok(Inflated { encoding, bytes }) => {
            (*encoding, Some(Form::of(attributes.content_type, *encoding, bytes)))
        }
        Err(_) => (attributes.content_encoding, None),
    };
    let (payload, payload_base64) = form.map_or((None, None), Form::fields);
    let message = Message {
        topic: &topic.name,
        epoch,
        offset: frame.header.number,
        time_ms: frame.header.time_ms,
        event: attributes.event,
        key: attributes.key,
        version: attributes.version,
        content_type: attributes.content_type,
        content_encoding,
        headers: told(&attributes.headers),
        payload,
        payload_base64,
        error: opened.as_ref().err().map(Failure::told),
    };
    to_raw_value(&message).map_err(|error| Failure::new(Code::PROTOCOL, &error.to_string()))
}

fn open<'a>(
    encoding: Option<&'a str>,
    bytes: &'a [u8],
    inflates: bool,
) -> Result<Inflated<'a>, Failure> {
    if inflates {
        return Ok(Inflated { encoding, bytes: Cow::Borrowed(bytes) });
    }
    inflate(encoding, bytes)
}
