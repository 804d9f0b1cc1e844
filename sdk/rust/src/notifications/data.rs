//! What a notification is made of.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::error::invalid;

/// What the templates of a type are filled with: a JSON object of at most 16 KiB, whose members the
/// templates name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Data(Value);

impl Data {
    /// What these data are as JSON.
    ///
    /// # Errors
    /// `Invalid` if it is nothing that JSON can say.
    pub fn of(data: &impl Serialize) -> Result<Self, Error> {
        serde_json::to_value(data).map(Data).map_err(invalid)
    }

    /// The member of this name; none if it is not there, or is something else.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.0.get(name).and_then(|value| T::deserialize(value).ok())
    }
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Data(value)
    }
}

impl AsRef<Value> for Data {
    fn as_ref(&self) -> &Value {
        &self.0
    }
}
