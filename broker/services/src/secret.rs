//! Secrets that the services make for themselves: one for each purpose, kept in the database, so
//! that all processes which share it sign alike.

use aws_lc_rs::rand;

use crate::signature::{Secret, hex, unhex};
use crate::store::{Database, Error, Query, Schema, both};

/// Bytes of a secret.
const BYTES: usize = 32;

pub(crate) const SCHEMA: Schema = Schema {
    name: "secrets",
    steps: &[&[both("CREATE TABLE secrets (purpose TEXT PRIMARY KEY, secret TEXT NOT NULL)")]],
};

/// The secret of a purpose; made when it is asked for first.
///
/// # Errors
/// Those of the database.
pub(crate) async fn secret(database: &Database, purpose: &str) -> Result<Secret, Error> {
    bytes(database, purpose).await.map(|bytes| Secret::new(&bytes))
}

/// As [`secret`], its 32 bytes, for those who make a key of them.
///
/// # Errors
/// Those of the database.
pub(crate) async fn bytes(database: &Database, purpose: &str) -> Result<Vec<u8>, Error> {
    let find = Query::new("SELECT secret FROM secrets WHERE purpose = $1").bind(purpose);
    if let Some(row) = database.one(find.clone()).await? {
        return read(&row.get::<String>("secret")?);
    }
    let mut fresh = [0; BYTES];
    rand::fill(&mut fresh).map_err(|_| Error::Program("no chance to draw from".to_owned()))?;
    let mut work = database.begin().await?;
    let insert = Query::new(
        "INSERT INTO secrets (purpose, secret) VALUES ($1, $2) ON CONFLICT (purpose) DO NOTHING",
    );
    work.execute(insert.bind(purpose).bind(hex(&fresh))).await?;
    work.commit().await?;
    // Another process may have been first.
    let row = database.one(find).await?;
    let row = row.ok_or_else(|| Error::Damaged("a secret has gone".to_owned()))?;
    read(&row.get::<String>("secret")?)
}

fn read(text: &str) -> Result<Vec<u8>, Error> {
    let bytes = unhex(text).filter(|bytes| bytes.len() == BYTES);
    bytes.ok_or_else(|| Error::Damaged("a secret".to_owned()))
}
