//! How values are stored in every database.

use serde::Serialize;

use super::Answer;
use crate::chat::model::Message;
use crate::store::Error;

/// What a sender has asked to be said, by which a repeat is told from another message.
pub(super) fn draft(message: &Message) -> Answer<String> {
    let Message { content, message_type, reply_to, private, .. } = message;
    json(&(content, message_type, reply_to, private))
}

/// What is stored as JSON.
pub(super) fn json(value: &impl Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(|error| Error::Program(error.to_string()))
}

/// The name that a value has in JSON.
pub(super) fn name(value: &impl Serialize) -> Answer<String> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(Error::Program("a value without a name".to_owned())),
    }
}

/// A count as databases have it.
pub(super) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A count that a database has had.
pub(super) fn count(number: i64) -> Answer<u64> {
    u64::try_from(number).map_err(|_| Error::Damaged(format!("a count of {number}")))
}
