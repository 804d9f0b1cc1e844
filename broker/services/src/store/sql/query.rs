//! A statement and its values.

use sqlx::any::AnyArguments;

use crate::moment::Moment;
use crate::store::Error;
use crate::store::encoding::number;

/// The text of a statement, in the dialect of each database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A text that both databases take.
#[must_use]
pub const fn both(text: &'static str) -> Text {
    each(text, text)
}

/// A text for each database.
#[must_use]
pub const fn each(sqlite: &'static str, postgres: &'static str) -> Text {
    Text { sqlite, postgres }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        both(text)
    }
}

/// A value of a parameter.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text, or none.
    Text(Option<String>),
    /// A whole number, or none; also times and, as 0 and 1, truths.
    Number(Option<i64>),
    /// A broken number, or none.
    Real(Option<f64>),
}

/// A statement with its values, in the order of `$1`, `$2`, ...
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) text: Text,
    values: Vec<Value>,
}

impl Query {
    /// A statement.
    #[must_use]
    pub fn new(text: impl Into<Text>) -> Self {
        Query { text: text.into(), values: Vec::new() }
    }

    /// The same with one more value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Ready to be run. PostgreSQL takes no NUL in a text, and so neither database is given one.
    pub(super) fn prepared(
        self,
        is_sqlite: bool,
    ) -> Result<sqlx::query::Query<'static, sqlx::Any, AnyArguments>, Error> {
        let has_nul =
            |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
        if self.values.iter().any(has_nul) {
            return Err(Error::Unkept);
        }
        let text = if is_sqlite { self.text.sqlite } else { self.text.postgres };
        let query = self.values.into_iter().fold(sqlx::query(text), |query, value| match value {
            Value::Text(value) => query.bind(value),
            Value::Number(value) => query.bind(value),
            Value::Real(value) => query.bind(value),
        });
        Ok(query)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Value::Text(Some(text.clone()))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(Some(text.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Value::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Value::Number(number)
    }
}

/// More than databases have becomes the most that they have.
impl From<u64> for Value {
    fn from(count: u64) -> Self {
        number(count).into()
    }
}

impl From<Moment> for Value {
    fn from(moment: Moment) -> Self {
        moment.as_ms().into()
    }
}

impl From<Option<Moment>> for Value {
    fn from(moment: Option<Moment>) -> Self {
        moment.map(Moment::as_ms).into()
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Number(Some(i64::from(truth)))
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Value::Real(Some(number))
    }
}

impl From<Option<f64>> for Value {
    fn from(number: Option<f64>) -> Self {
        Value::Real(number)
    }
}
