//! The table of canned responses.

use crate::chat::model::CannedResponse;
use crate::id::Id;
use crate::store::encoding::{json, name};
use crate::store::{Database, Error, Query, Row, Schema, both, each};

/// Responses of one owner.
const OWNED_MAX: i64 = 500;

pub(crate) const SCHEMA: Schema = Schema {
    name: "canned",
    steps: &[&[both(
        "CREATE TABLE canned_responses (id TEXT PRIMARY KEY, scope TEXT NOT NULL, \
         owner TEXT NOT NULL, shortcut TEXT NOT NULL, text TEXT NOT NULL, \
         UNIQUE (scope, owner, shortcut))",
    )]],
};

/// For whom responses are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// An agent, with its teams.
    Agent(String, Vec<String>),
    /// One who sees them all.
    Everything,
}

/// The canned responses of a database.
#[derive(Clone, Debug)]
pub struct Shelf(Database);

impl Shelf {
    /// The canned responses of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Shelf(database.clone())
    }

    /// Puts a response in the place of its owner's with the same shortcut, or adds it; none if its
    /// owner has 500 others. It keeps the id that it got first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn put(&self, response: &CannedResponse) -> Result<Option<CannedResponse>, Error> {
        let scope = name(&response.scope)?;
        let mut work = self.0.begin().await?;
        let query = Query::new(
            "INSERT INTO canned_responses (id, scope, owner, shortcut, text) \
             VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (scope, owner, shortcut) DO UPDATE SET text = excluded.text RETURNING *",
        );
        let query = query.bind(Id::new().to_string()).bind(&scope).bind(&response.owner);
        let row = work.one(query.bind(&response.shortcut).bind(&response.text)).await?;
        let row = row.ok_or_else(|| Error::Program("an upsert without a row".to_owned()))?;
        let stored = read(&row)?;
        let count = Query::new(
            "SELECT COUNT(*) AS owned FROM canned_responses WHERE scope = $1 AND owner = $2",
        );
        let row = work.one(count.bind(&scope).bind(&response.owner)).await?;
        if row.map_or(Ok(0), |row| row.get("owned"))? > OWNED_MAX {
            return Ok(None);
        }
        work.commit().await?;
        Ok(Some(stored))
    }

    /// The response of this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, id: &str) -> Result<Option<CannedResponse>, Error> {
        let query = Query::new("SELECT * FROM canned_responses WHERE id = $1").bind(id);
        self.0.one(query).await?.as_ref().map(read).transpose()
    }

    /// Removes the response of this id; whether it was there.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn delete(&self, id: &str) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let query = Query::new("DELETE FROM canned_responses WHERE id = $1").bind(id);
        let was_there = work.execute(query).await? == 1;
        work.commit().await?;
        Ok(was_there)
    }

    /// What the reader may use, by id, from behind `after`; with a shortcut, only those called so.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(
        &self,
        reader: &Reader,
        shortcut: Option<&str>,
        after: &str,
        max: u32,
    ) -> Result<Vec<CannedResponse>, Error> {
        let text = each(
            "SELECT * FROM canned_responses WHERE id > $1 AND ($2 = '' OR shortcut = $2) \
             AND ($3 = 1 OR scope = 'global' OR (scope = 'personal' AND owner = $4) \
             OR (scope = 'team' AND owner IN (SELECT value FROM json_each($5)))) \
             ORDER BY id LIMIT $6",
            "SELECT * FROM canned_responses WHERE id > $1 AND ($2 = '' OR shortcut = $2) \
             AND ($3 = 1 OR scope = 'global' OR (scope = 'personal' AND owner = $4) \
             OR (scope = 'team' AND owner IN (SELECT jsonb_array_elements_text($5::jsonb)))) \
             ORDER BY id LIMIT $6",
        );
        let (is_everything, agent, teams) = match reader {
            Reader::Everything => (true, "", &[][..]),
            Reader::Agent(agent, teams) => (false, agent.as_str(), teams.as_slice()),
        };
        let teams = json(teams)?;
        let query = Query::new(text).bind(after).bind(shortcut.unwrap_or(""));
        let query = query.bind(is_everything).bind(agent).bind(teams).bind(i64::from(max));
        self.0.all(query).await?.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<CannedResponse, Error> {
    Ok(CannedResponse {
        id: row.get("id")?,
        scope: row.named("scope")?,
        owner: row.get("owner")?,
        shortcut: row.get("shortcut")?,
        text: row.get("text")?,
    })
}
