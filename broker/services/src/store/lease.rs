//! Leases: which of the processes that share a database does what only one should do.
//!
//! Time is that of the database. A lease spares double work; what is done under it must also be
//! right when two do it at once, since a process may be stopped at any moment and go on later.

use std::future::Future;

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

/// Where leases are kept.
pub trait Leases: Clone + Send + Sync + 'static {
    /// Takes or renews one; whether the owner holds it.
    fn take(
        &self,
        name: &str,
        owner: &str,
        ttl_ms: i64,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Gives one back that the owner holds.
    fn give_back(&self, name: &str, owner: &str) -> impl Future<Output = Result<(), Error>> + Send;
}

impl Leases for Database {
    async fn take(&self, name: &str, owner: &str, ttl_ms: i64) -> Result<bool, Error> {
        let mut work = self.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO leases (name, owner, until) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until \
             WHERE leases.owner = excluded.owner OR leases.until <= $4",
        );
        let query = query.bind(name).bind(owner).bind(now.as_ms().saturating_add(ttl_ms)).bind(now);
        let is_held = work.execute(query).await? == 1;
        work.commit().await?;
        Ok(is_held)
    }

    async fn give_back(&self, name: &str, owner: &str) -> Result<(), Error> {
        let query = Query::new("DELETE FROM leases WHERE name = $1 AND owner = $2");
        let mut work = self.begin().await?;
        work.execute(query.bind(name).bind(owner)).await?;
        work.commit().await
    }
}

/// A thing that one process at a time does.
#[derive(Debug)]
pub struct Lease<L = Database> {
    leases: L,
    name: &'static str,
    owner: String,
    ttl_ms: i64,
}

impl<L: Leases> Lease<L> {
    /// A lease that is not held yet, and that ends by itself `ttl_ms` after it was last taken.
    #[must_use]
    pub fn new(leases: &L, name: &'static str, ttl_ms: i64) -> Self {
        Lease { leases: leases.clone(), name, owner: Id::new().to_string(), ttl_ms }
    }

    /// Takes or renews it; whether this process holds it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn take(&self) -> Result<bool, Error> {
        self.leases.take(self.name, &self.owner, self.ttl_ms).await
    }

    /// Gives it back, so that another need not wait for its end.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn give_back(&self) -> Result<(), Error> {
        self.leases.give_back(self.name, &self.owner).await
    }
}
