//! How values are stored in every database.

use serde::Serialize;

use super::Error;

/// What is stored as JSON.
pub(crate) fn json(value: &(impl Serialize + ?Sized)) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Program(error.to_string()))
}

/// The name that a value has in JSON.
pub(crate) fn name(value: &impl Serialize) -> Result<String, Error> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        _ => Err(Error::Program("a value without a name".to_owned())),
    }
}

/// A count as databases have it: at most the most that they have.
pub(crate) fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
