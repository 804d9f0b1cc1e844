//! A row of an answer.

use sqlx::any::AnyRow;

use crate::moment::Moment;
use crate::store::Error;

/// A row of an answer.
pub struct Row(pub(super) AnyRow);

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row")
    }
}

/// What a column can be read as.
pub trait Column: Sized {
    /// Reads the column of this name.
    ///
    /// # Errors
    /// `Damaged` if it holds something else, `Program` if there is none.
    fn of(row: &Row, name: &str) -> Result<Self, Error>;
}

impl Row {
    /// The value of a column.
    ///
    /// # Errors
    /// As for [`Column::of`].
    pub fn get<T: Column>(&self, name: &str) -> Result<T, Error> {
        T::of(self, name)
    }

    /// The column as the value that its text names, such as a variant of an enum.
    ///
    /// # Errors
    /// `Damaged` if nothing has this name.
    pub fn named<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let text: String = self.get(name)?;
        let named = serde_json::from_value(serde_json::Value::String(text));
        named.map_err(|error| Error::Damaged(format!("{name}: {error}")))
    }

    /// The column as an instance of what its JSON says.
    ///
    /// # Errors
    /// `Damaged` if it is no such JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        let text: String = self.get(name)?;
        serde_json::from_str(&text).map_err(|error| Error::Damaged(format!("{name}: {error}")))
    }
}

macro_rules! columns {
    ($($column:ty),*) => {$(
        impl Column for $column {
            fn of(row: &Row, name: &str) -> Result<Self, Error> {
                Ok(sqlx::Row::try_get(&row.0, name)?)
            }
        }
    )*};
}

columns!(String, Option<String>, i64, Option<i64>, f64, Option<f64>);

/// A count.
impl Column for u64 {
    fn of(row: &Row, name: &str) -> Result<Self, Error> {
        let number: i64 = row.get(name)?;
        u64::try_from(number).map_err(|_| Error::Damaged(format!("{name}: a count of {number}")))
    }
}

impl Column for Moment {
    fn of(row: &Row, name: &str) -> Result<Self, Error> {
        row.get(name).map(Moment::from_ms)
    }
}

impl Column for Option<Moment> {
    fn of(row: &Row, name: &str) -> Result<Self, Error> {
        Ok(row.get::<Option<i64>>(name)?.map(Moment::from_ms))
    }
}

impl Column for bool {
    fn of(row: &Row, name: &str) -> Result<Self, Error> {
        Ok(row.get::<i64>(name)? != 0)
    }
}
