//! A transaction.

use sqlx::{Any, Transaction};

use super::database::Database;
use super::query::{Query, each};
use super::row::Row;
use crate::moment::Moment;
use crate::store::Error;

/// A transaction that may write. Dropping it takes everything back.
pub struct Work<'d> {
    database: &'d Database,
    transaction: Transaction<'static, Any>,
    has_events: bool,
}

impl std::fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("has_events", &self.has_events).finish_non_exhaustive()
    }
}

impl<'d> Work<'d> {
    pub(super) fn new(database: &'d Database, transaction: Transaction<'static, Any>) -> Self {
        Work { database, transaction, has_events: false }
    }

    /// Carries a statement out; how many rows it has changed.
    ///
    /// # Errors
    /// Any of [`Error`] but `Newer`. The transaction cannot go on after one.
    pub async fn execute(&mut self, query: Query) -> Result<u64, Error> {
        let query = query.prepared(self.database.is_sqlite())?;
        Ok(query.execute(&mut *self.transaction).await?.rows_affected())
    }

    /// The rows of a statement.
    ///
    /// # Errors
    /// As for [`Work::execute`].
    pub async fn all(&mut self, query: Query) -> Result<Vec<Row>, Error> {
        let query = query.prepared(self.database.is_sqlite())?;
        Ok(query.fetch_all(&mut *self.transaction).await?.into_iter().map(Row).collect())
    }

    /// The first row of a statement.
    ///
    /// # Errors
    /// As for [`Work::execute`].
    pub async fn one(&mut self, query: Query) -> Result<Option<Row>, Error> {
        let query = query.prepared(self.database.is_sqlite())?;
        Ok(query.fetch_optional(&mut *self.transaction).await?.map(Row))
    }

    /// The database's clock: the one clock of all that share it.
    ///
    /// # Errors
    /// As for [`Work::execute`].
    pub async fn now(&mut self) -> Result<Moment, Error> {
        time(self.one(clock()).await?.as_ref())
    }

    /// Lets no other transaction that wants the same go on before this one has ended.
    ///
    /// # Errors
    /// As for [`Work::execute`].
    pub async fn hold(&mut self, name: &str) -> Result<(), Error> {
        // SQLite has one writer at a time.
        let hold = each(
            "SELECT 1 AS one WHERE $1 <> ''",
            "SELECT 1 AS one FROM (SELECT pg_advisory_xact_lock(hashtextextended($1, 41))) AS held",
        );
        self.one(Query::new(hold).bind(name)).await.map(|_| ())
    }

    /// Notes that the transaction holds events, which its commit tells the relay.
    pub(crate) fn note_event(&mut self) {
        self.has_events = true;
    }

    /// Makes everything lasting.
    ///
    /// # Errors
    /// `Unavailable` if the database was lost meanwhile, and then nobody knows whether it happened;
    /// `Contended`, `Conflict`.
    pub async fn commit(self) -> Result<(), Error> {
        self.transaction.commit().await?;
        if self.has_events {
            self.database.tell_events();
        }
        Ok(())
    }
}

/// Asks the database's clock.
pub(super) fn clock() -> Query {
    Query::new(each(
        "SELECT CAST(unixepoch('subsec') * 1000 AS BIGINT) AS now",
        "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) AS now",
    ))
}

/// What the database's clock says.
pub(super) fn time(row: Option<&Row>) -> Result<Moment, Error> {
    row.ok_or_else(|| Error::Program("a clock without an answer".to_owned()))?.get("now")
}
