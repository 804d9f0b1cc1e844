//! The table of users.

use std::collections::BTreeSet;

use super::model::{Upsert, User, plain};
use crate::moment::Moment;
use crate::store::encoding::json;
use crate::store::{Database, Error, Query, Row, Schema, Work, both, each};

pub(crate) const SCHEMA: Schema = Schema {
    name: "users",
    steps: &[&[both(
        "CREATE TABLE users (id TEXT PRIMARY KEY, role TEXT NOT NULL, name TEXT, \
         vip BIGINT NOT NULL, lifetime_value DOUBLE PRECISION NOT NULL, locale TEXT, \
         time_zone TEXT, email TEXT, email_verified_at BIGINT, phone TEXT, \
         phone_verified_at BIGINT, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL)",
    )]],
};

/// The users of a database.
#[derive(Clone, Debug)]
pub struct Users(Database);

impl Users {
    /// The users of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Users(database.clone())
    }

    /// Puts a user in the place of the one with the same id, or adds it; how it stands then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn upsert(&self, user: &Upsert) -> Result<User, Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO users (id, role, name, vip, lifetime_value, locale, time_zone, email, \
             email_verified_at, phone, phone_verified_at, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12) \
             ON CONFLICT (id) DO UPDATE SET role = excluded.role, name = excluded.name, \
             vip = excluded.vip, lifetime_value = excluded.lifetime_value, \
             locale = excluded.locale, time_zone = excluded.time_zone, email = excluded.email, \
             email_verified_at = excluded.email_verified_at, phone = excluded.phone, \
             phone_verified_at = excluded.phone_verified_at, updated_at = excluded.updated_at \
             RETURNING *",
        );
        let query = query.bind(&user.id).bind(user.role.name()).bind(user.name.clone());
        let query = query.bind(user.vip).bind(user.lifetime_value).bind(user.locale.clone());
        let query = query.bind(user.time_zone.clone()).bind(user.email.clone());
        let query = query.bind(user.email_verified_at.map(Moment::as_ms)).bind(user.phone.clone());
        let query = query.bind(user.phone_verified_at.map(Moment::as_ms)).bind(now);
        let row = work.one(query).await?;
        let row = row.ok_or_else(|| Error::Program("an upsert without a row".to_owned()))?;
        let stored = read(&row)?;
        work.commit().await?;
        Ok(stored)
    }

    /// The user with this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, id: &str) -> Result<Option<User>, Error> {
        let query = Query::new("SELECT * FROM users WHERE id = $1").bind(id);
        self.0.one(query).await?.as_ref().map(read).transpose()
    }

    /// As [`Users::known_or_plain`], within a transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn known_or_plain_in(work: &mut Work<'_>, id: &str) -> Result<User, Error> {
        let query = Query::new("SELECT * FROM users WHERE id = $1").bind(id);
        let user = work.one(query).await?.as_ref().map(read).transpose()?;
        Ok(user.unwrap_or_else(|| plain(id)))
    }

    /// Those of these users that somebody has told of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn known(&self, ids: &BTreeSet<&str>) -> Result<Vec<User>, Error> {
        let text = each(
            "SELECT * FROM users WHERE id IN (SELECT value FROM json_each($1))",
            "SELECT * FROM users WHERE id IN (SELECT jsonb_array_elements_text($1::jsonb))",
        );
        self.0.all(Query::new(text).bind(json(ids)?)).await?.iter().map(read).collect()
    }

    /// The user with this id, or what is taken for true of one that nobody has told of.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn known_or_plain(&self, id: &str) -> Result<User, Error> {
        Ok(self.find(id).await?.unwrap_or_else(|| plain(id)))
    }
}

fn read(row: &Row) -> Result<User, Error> {
    Ok(User {
        user: Upsert {
            id: row.get("id")?,
            role: row.named("role")?,
            name: row.get("name")?,
            vip: row.get("vip")?,
            lifetime_value: row.get("lifetime_value")?,
            locale: row.get("locale")?,
            time_zone: row.get("time_zone")?,
            email: row.get("email")?,
            email_verified_at: row.get::<Option<i64>>("email_verified_at")?.map(Moment::from_ms),
            phone: row.get("phone")?,
            phone_verified_at: row.get::<Option<i64>>("phone_verified_at")?.map(Moment::from_ms),
        },
        created_at: Moment::from_ms(row.get("created_at")?),
        updated_at: Moment::from_ms(row.get("updated_at")?),
    })
}
