//! An open database.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Executor;
use sqlx::any::AnyPoolOptions;
use tokio::sync::Notify;

use super::query::{Query, both};
use super::row::Row;
use super::work::{Work, clock, time};
use crate::moment::Moment;
use crate::store::{Address, Error};

/// How long a statement may wait for a connection, before the database counts as not available.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections to PostgreSQL, and readers of SQLite.
const CONNECTIONS_MAX: u32 = 8;

/// What each connection is told first. SQLite: readers beside the writer, and a commit that is on
/// the disk. PostgreSQL: nothing that hangs may hold others up.
const SQLITE_FIRST: &str = "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
     PRAGMA foreign_keys = ON";
const POSTGRES_FIRST: &str = "SET application_name = 'sampan'; SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET client_min_messages = 'warning'";

/// A database of SQLite or PostgreSQL. Cloning gives another handle of the same.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    is_sqlite: bool,
    reads: sqlx::AnyPool,
    /// SQLite has one writer; PostgreSQL's are those that read.
    writes: sqlx::AnyPool,
    events: Notify,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("is_sqlite", &self.0.is_sqlite).finish()
    }
}

impl Database {
    /// The database at `sqlite:...`, `postgres:...` or `postgresql:...`. It need not be up: it is
    /// reached when it is asked.
    ///
    /// # Errors
    /// `Setup` if the address is none of these.
    pub fn open(address: &Address) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        let url = address.as_str();
        let is_sqlite = match url.split(':').next() {
            Some("sqlite") => true,
            Some("postgres" | "postgresql") => false,
            _ => {
                let why = "the address starts with none of sqlite:, postgres: and postgresql:";
                return Err(Error::Setup(why.to_owned()));
            }
        };
        let pool = |connections| {
            AnyPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(ACQUIRE_TIMEOUT)
                .after_connect(move |connection, _| Box::pin(first(connection, is_sqlite)))
                .connect_lazy(url)
        };
        let reads = pool(CONNECTIONS_MAX)?;
        let writes = if is_sqlite { pool(1)? } else { reads.clone() };
        Ok(Database(Arc::new(Inner { is_sqlite, reads, writes, events: Notify::new() })))
    }

    /// Whether it is SQLite, which only one machine can use.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.0.is_sqlite
    }

    /// Begins a transaction that may write. Dropping it takes everything back.
    ///
    /// # Errors
    /// `Unavailable`, `Contended`, `Setup`.
    pub async fn begin(&self) -> Result<Work<'_>, Error> {
        let pool = &self.0.writes;
        // A transaction that begins with a read could not write after another has.
        let transaction = match self.0.is_sqlite {
            true => pool.begin_with("BEGIN IMMEDIATE").await?,
            false => pool.begin().await?,
        };
        Ok(Work::new(self, transaction))
    }

    /// Reads the rows of a query outside of a transaction.
    ///
    /// # Errors
    /// `Unavailable`, `Contended`, `Setup`, `Program`, `Unkept`.
    pub async fn all(&self, query: Query) -> Result<Vec<Row>, Error> {
        let query = query.prepared(self.0.is_sqlite)?;
        Ok(query.fetch_all(&self.0.reads).await?.into_iter().map(Row).collect())
    }

    /// Reads the first row of a query outside of a transaction.
    ///
    /// # Errors
    /// As for [`Database::all`].
    pub async fn one(&self, query: Query) -> Result<Option<Row>, Error> {
        let query = query.prepared(self.0.is_sqlite)?;
        Ok(query.fetch_optional(&self.0.reads).await?.map(Row))
    }

    /// The database's clock, outside of a transaction.
    ///
    /// # Errors
    /// As for [`Database::all`].
    pub async fn now(&self) -> Result<Moment, Error> {
        time(self.one(clock()).await?.as_ref())
    }

    /// Asks whether the database answers.
    ///
    /// # Errors
    /// As for [`Database::all`].
    pub async fn ping(&self) -> Result<(), Error> {
        self.one(Query::new(both("SELECT 1 AS one"))).await.map(|_| ())
    }

    /// Waits until a transaction of this handle, or of a clone, has committed events.
    pub(crate) async fn events(&self) {
        self.0.events.notified().await;
    }

    pub(super) fn tell_events(&self) {
        self.0.events.notify_one();
    }

    /// Closes all connections, when what is under way has ended.
    pub async fn close(&self) {
        self.0.writes.close().await;
        self.0.reads.close().await;
    }
}

async fn first(connection: &mut sqlx::AnyConnection, is_sqlite: bool) -> Result<(), sqlx::Error> {
    let text = if is_sqlite { SQLITE_FIRST } else { POSTGRES_FIRST };
    connection.execute(text).await.map(|_| ())
}
