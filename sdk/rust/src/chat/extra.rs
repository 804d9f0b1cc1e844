//! What clients put beside what the shop knows.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Error;
use crate::error::invalid;

/// Members of a JSON object that the shop passes on as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Extra(BTreeMap<String, Value>);

impl Extra {
    /// The member of this name; none if it is not there, or is something else.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        self.0.get(name).and_then(|value| T::deserialize(value).ok())
    }

    /// Puts a member in the place of what had its name.
    ///
    /// # Errors
    /// `Invalid` if it is nothing that JSON can say.
    pub fn put(&mut self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let value = serde_json::to_value(value).map_err(invalid)?;
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// Names of all members.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Metadata, QuickReply};

    #[test]
    fn what_the_shop_does_not_know_stands_beside_what_it_knows() {
        let json = r#"{"quick_reply_id":"yes","color":"red","sizes":[1,2]}"#;
        let mut metadata: Metadata = serde_json::from_str(json).unwrap();
        assert_eq!(metadata.quick_reply_id.as_deref(), Some("yes"));
        assert_eq!(metadata.other.names().collect::<Vec<_>>(), ["color", "sizes"]);
        assert_eq!(metadata.other.get::<String>("color").as_deref(), Some("red"));
        assert_eq!(metadata.other.get::<String>("sizes"), None);
        assert_eq!(metadata.quick_replies, Vec::<QuickReply>::new());
        metadata.other.put("color", &7).unwrap();
        let again = serde_json::to_value(&metadata).unwrap();
        let wanted = serde_json::json!({ "quick_reply_id": "yes", "color": 7, "sizes": [1, 2] });
        assert_eq!(again, wanted);
    }
}
