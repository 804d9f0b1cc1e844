//! Migrations: how tables come to be what this program expects.
//!
//! A schema is a list of steps, and its version the number of those that were carried out. They run
//! in one transaction that all processes take in turn, so that two may start at once and a crash
//! leaves the version before.

use super::Error;
use super::sql::{Database, Query, Text, each};

/// The tables of one part, as the steps that lead to them. A step that has shipped never changes.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// What the tables are for; one word.
    pub name: &'static str,
    /// The statements of each step.
    pub steps: &'static [&'static [Text]],
}

/// PostgreSQL lets two transactions create one table at once, and fails one of them. SQLite has one
/// writer at a time.
const IN_TURN: Text = each(
    "SELECT 1 AS one",
    "SELECT 1 AS one FROM (SELECT pg_advisory_xact_lock(7391200417)) AS held",
);

/// Brings a database's tables to what `schemas` say.
///
/// # Errors
/// `Newer` if a newer program was here; nothing was changed then. Those of the database.
pub async fn migrate(database: &Database, schemas: &[Schema]) -> Result<(), Error> {
    let mut work = database.begin().await?;
    work.one(Query::new(IN_TURN)).await?;
    let table =
        "CREATE TABLE IF NOT EXISTS schemas (name TEXT PRIMARY KEY, version BIGINT NOT NULL)";
    work.execute(Query::new(table)).await?;
    for schema in schemas {
        let found = Query::new("SELECT version FROM schemas WHERE name = $1").bind(schema.name);
        let found = match work.one(found).await? {
            Some(row) => row.get("version")?,
            None => 0,
        };
        let known = i64::try_from(schema.steps.len()).unwrap_or(i64::MAX);
        let newer = Error::Newer { schema: schema.name, found, known };
        let done = usize::try_from(found).map_err(|_| newer.clone())?;
        for step in schema.steps.get(done..).ok_or(newer)? {
            for text in *step {
                work.execute(Query::new(*text)).await?;
            }
        }
        let reached = Query::new(
            "INSERT INTO schemas (name, version) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET version = excluded.version",
        );
        work.execute(reached.bind(schema.name).bind(known)).await?;
    }
    work.commit().await
}
