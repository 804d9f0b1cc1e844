//! The fields of a document, read as what they should be.

use mongodb::bson::{Bson, Document};
use serde::de::DeserializeOwned;

use crate::moment::Moment;
use crate::store::Error;

/// What a document's fields can be read as. Each is `Damaged` if the field holds something else.
pub(crate) trait Fields {
    /// A text.
    fn text(&self, name: &str) -> Result<String, Error>;

    /// A text, or none.
    fn maybe_text(&self, name: &str) -> Result<Option<String>, Error>;

    /// A whole number.
    fn number(&self, name: &str) -> Result<i64, Error>;

    /// A whole number, or none.
    fn maybe_number(&self, name: &str) -> Result<Option<i64>, Error>;

    /// A count.
    fn count(&self, name: &str) -> Result<u64, Error>;

    /// A truth.
    fn truth(&self, name: &str) -> Result<bool, Error>;

    /// A list of documents; an absent one is empty.
    fn documents(&self, name: &str) -> Result<Vec<Document>, Error>;

    /// The value that a text names.
    fn named<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let named = serde_json::from_value(serde_json::Value::String(self.text(name)?));
        named.map_err(|error| Error::Damaged(format!("{name}: {error}")))
    }

    /// What a text says as JSON.
    fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let read = serde_json::from_str(&self.text(name)?);
        read.map_err(|error| Error::Damaged(format!("{name}: {error}")))
    }

    /// A moment.
    fn moment(&self, name: &str) -> Result<Moment, Error> {
        Ok(Moment::from_ms(self.number(name)?))
    }

    /// A moment, or none.
    fn maybe_moment(&self, name: &str) -> Result<Option<Moment>, Error> {
        Ok(self.maybe_number(name)?.map(Moment::from_ms))
    }
}

fn wrong(name: &str, is: &str) -> Error {
    Error::Damaged(format!("{name}: no {is}"))
}

impl Fields for Document {
    fn text(&self, name: &str) -> Result<String, Error> {
        self.maybe_text(name)?.ok_or_else(|| wrong(name, "text"))
    }

    fn maybe_text(&self, name: &str) -> Result<Option<String>, Error> {
        match self.get(name) {
            Some(Bson::String(text)) => Ok(Some(text.clone())),
            Some(Bson::Null) | None => Ok(None),
            Some(_) => Err(wrong(name, "text")),
        }
    }

    fn number(&self, name: &str) -> Result<i64, Error> {
        self.maybe_number(name)?.ok_or_else(|| wrong(name, "number"))
    }

    fn maybe_number(&self, name: &str) -> Result<Option<i64>, Error> {
        match self.get(name) {
            Some(Bson::Int64(number)) => Ok(Some(*number)),
            Some(Bson::Int32(number)) => Ok(Some(i64::from(*number))),
            Some(Bson::Null) | None => Ok(None),
            Some(_) => Err(wrong(name, "number")),
        }
    }

    fn count(&self, name: &str) -> Result<u64, Error> {
        u64::try_from(self.number(name)?).map_err(|_| wrong(name, "count"))
    }

    fn truth(&self, name: &str) -> Result<bool, Error> {
        self.get_bool(name).map_err(|_| wrong(name, "truth"))
    }

    fn documents(&self, name: &str) -> Result<Vec<Document>, Error> {
        let Some(list) = self.get(name) else { return Ok(Vec::new()) };
        let list = list.as_array().ok_or_else(|| wrong(name, "list"))?;
        let document = |value: &Bson| value.as_document().cloned();
        list.iter().map(document).collect::<Option<_>>().ok_or_else(|| wrong(name, "document"))
    }
}
