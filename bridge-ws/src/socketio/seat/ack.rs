//! What a client that waits for an ack is told.

use sampan_protocol::Frame;
use serde_json::json;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::inflate::inflate;
use crate::json::{is_json, reply};
use crate::socketio::Output;

/// A failure in the form of an answer.
pub(super) fn told(failure: &Failure) -> serde_json::Value {
    let mut error = json!({
        "code": failure.code.0,
        "name": failure.code.name(),
        "message": failure.reason,
        "retryable": failure.code.is_retryable(),
    });
    if failure.retry_after_ms > 0 {
        error["retry_after_ms"] = failure.retry_after_ms.into();
    }
    error
}

/// Answers who waits.
pub(super) fn accept(ack: Option<u64>, answer: &serde_json::Value, out: &mut Output) {
    if let Some(ack) = ack {
        out.say(format!("43{ack}[{answer}]"));
    }
}

/// Tells who waits that it cannot be.
pub(super) fn refuse(ack: Option<u64>, failure: &Failure, out: &mut Output) {
    accept(ack, &json!({ "error": told(failure) }), out);
}

/// What follows the first member of the answer to a request: an object's members, or a payload.
///
/// # Errors
/// When the reply makes no sense, or cannot be inflated.
pub(super) fn members(frame: &Frame) -> Result<String, Failure> {
    let (attributes, body) = (frame.attributes()?, frame.body_bytes());
    let opened = inflate(attributes.content_encoding, body)?;
    let is_object = opened.encoding.is_none() && attributes.content_type.is_some_and(is_json);
    let object = is_object.then(|| serde_json::from_slice::<&RawValue>(&opened.bytes).ok());
    let object = object.flatten().and_then(|json| json.get().strip_prefix('{'));
    let members = match object {
        Some(members) => members.to_owned(),
        None => reply(&attributes, body, false)?.get().get(1..).unwrap_or("}").to_owned(),
    };
    let is_empty = members.trim_start().starts_with('}');
    Ok(if is_empty { members } else { format!(",{members}") })
}
