//! Leases: which of the processes that share a database does what only one should do.
//!
//! Time is that of the database. A lease spares double work; what is done under it must also be
//! right when two do it at once, since a process may be stopped at any moment and go on later.

use super::sql::{Database, Query};
use super::{Error, Schema, both};
use crate::id::Id;

/// The table of leases.
pub(crate) const SCHEMA: Schema = Schema {
    name: "lease",
    steps: &[&[both(
        "CREATE TABLE leases (name TEXT PRIMARY KEY, owner TEXT NOT NULL, until BIGINT NOT NULL)",
    )]],
};

/// A thing that one process at a time does.
#[derive(Debug)]
pub struct Lease {
    database: Database,
    name: &'static str,
    owner: String,
    ttl_ms: i64,
}

impl Lease {
    /// A lease that is not held yet, and that ends by itself `ttl_ms` after it was last taken.
    #[must_use]
    pub fn new(database: &Database, name: &'static str, ttl_ms: i64) -> Self {
        Lease { database: database.clone(), name, owner: Id::new().to_string(), ttl_ms }
    }

    /// Takes or renews it; whether this process holds it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take(&self) -> Result<bool, Error> {
        let mut work = self.database.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO leases (name, owner, until) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until \
             WHERE leases.owner = excluded.owner OR leases.until <= $4",
        );
        let until = now + self.ttl_ms;
        let query = query.bind(self.name).bind(&self.owner).bind(until).bind(now);
        let is_held = work.execute(query).await? == 1;
        work.commit().await?;
        Ok(is_held)
    }

    /// Gives it back, so that another need not wait for its end.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn give_back(&self) -> Result<(), Error> {
        let query = Query::new("DELETE FROM leases WHERE name = $1 AND owner = $2");
        let mut work = self.database.begin().await?;
        work.execute(query.bind(self.name).bind(&self.owner)).await?;
        work.commit().await
    }
}
