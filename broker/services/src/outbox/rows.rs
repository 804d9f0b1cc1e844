//! The table of events.

use std::time::Duration;

use sampan_client::Topic;

use super::event::Event;
use super::source::{Done, Open, Source};
use crate::moment::Moment;
use crate::store::{Database, Error, Query, Row, Schema, Work, both, each};

/// Events of one round.
const BATCH: i64 = 256;
/// Published events that are kept: so long, in milliseconds, for people who look for what happened.
const KEEP_MS: i64 = 3_600_000;

pub(crate) const SCHEMA: Schema = Schema {
    name: "outbox",
    steps: &[&[
        each(
            "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, \
             event_id TEXT NOT NULL UNIQUE, lane TEXT NOT NULL, topic TEXT NOT NULL, \
             name TEXT NOT NULL, key TEXT, version BIGINT, producer TEXT NOT NULL, \
             occurred_at BIGINT NOT NULL, payload TEXT NOT NULL, done_at BIGINT, failure TEXT)",
            "CREATE TABLE outbox (seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, \
             event_id TEXT NOT NULL UNIQUE, lane TEXT NOT NULL, topic TEXT NOT NULL, \
             name TEXT NOT NULL, key TEXT, version BIGINT, producer TEXT NOT NULL, \
             occurred_at BIGINT NOT NULL, payload TEXT NOT NULL, done_at BIGINT, failure TEXT)",
        ),
        both("CREATE INDEX outbox_open ON outbox (seq) WHERE done_at IS NULL"),
        both("CREATE INDEX outbox_done ON outbox (done_at) WHERE done_at IS NOT NULL"),
    ]],
};

/// Adds an event to a transaction.
///
/// # Errors
/// Those of the database.
pub async fn add(work: &mut Work<'_>, event: &Event) -> Result<(), Error> {
    event.check()?;
    // PostgreSQL gives numbers out before the commits: holding the lane until the commit makes the
    // order of its numbers that of its commits.
    work.hold(&event.lane()).await?;
    add_of_row(work, event).await
}

/// The same for an event whose key is a row's that this transaction has written or locked, as every
/// other that tells of it: their lane is in order without a lock of its own, of which a transaction
/// has no thousands.
///
/// # Errors
/// Those of the database.
pub async fn add_of_row(work: &mut Work<'_>, event: &Event) -> Result<(), Error> {
    let lane = event.lane();
    let version = event.version.map(|version| i64::try_from(version).unwrap_or(i64::MAX));
    let query = Query::new(
        "INSERT INTO outbox \
         (event_id, lane, topic, name, key, version, producer, occurred_at, payload) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    );
    let query = query.bind(&event.id).bind(lane).bind(event.topic.as_str()).bind(&event.name);
    let query = query.bind(event.key.clone()).bind(version).bind(&event.producer);
    work.execute(query.bind(event.occurred_at.as_ms()).bind(&event.payload)).await?;
    work.note_event();
    Ok(())
}

impl Source for Database {
    type Key = i64;

    const UPKEEP: Duration = Duration::from_secs(60);

    async fn open(&self, passed: &[String]) -> Result<Vec<Open<i64>>, Error> {
        let query = Query::new(each(
            "SELECT * FROM outbox WHERE done_at IS NULL \
             AND lane NOT IN (SELECT value FROM json_each($1)) ORDER BY seq LIMIT $2",
            "SELECT * FROM outbox WHERE done_at IS NULL \
             AND lane NOT IN (SELECT jsonb_array_elements_text(CAST($1 AS jsonb))) \
             ORDER BY seq LIMIT $2",
        ));
        let passed = serde_json::to_string(passed);
        let passed = passed.map_err(|error| Error::Program(error.to_string()))?;
        let rows = self.all(query.bind(passed).bind(BATCH)).await?;
        let open = |row: &Row| {
            Ok(Open { key: row.get("seq")?, place: row.get("lane")?, event: read(row) })
        };
        rows.iter().map(open).collect()
    }

    /// Those with a failure stay for people.
    async fn mark(&self, done: Vec<Done<i64>>) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let now = work.now().await?;
        for Done { key, failure } in done {
            let query = Query::new("UPDATE outbox SET done_at = $2, failure = $3 WHERE seq = $1");
            work.execute(query.bind(key).bind(now).bind(failure)).await?;
        }
        work.commit().await
    }

    /// Removes events that were published a while ago.
    async fn upkeep(&self) -> Result<(), Error> {
        let mut work = self.begin().await?;
        let until = work.now().await?.as_ms() - KEEP_MS;
        let query = Query::new("DELETE FROM outbox WHERE done_at < $1 AND failure IS NULL");
        work.execute(query.bind(until)).await?;
        work.commit().await
    }

    async fn wake(&self) {
        self.events().await;
    }
}

fn read(row: &Row) -> Result<Event, Error> {
    let topic: String = row.get("topic")?;
    let topic = Topic::parse(&topic)
        .map_err(|error| Error::Damaged(format!("outbox: topic {topic:?}: {error}")))?;
    let version: Option<i64> = row.get("version")?;
    Ok(Event {
        id: row.get("event_id")?,
        topic,
        name: row.get("name")?,
        key: row.get("key")?,
        version: version.and_then(|version| u64::try_from(version).ok()),
        producer: row.get("producer")?,
        occurred_at: Moment::from_ms(row.get("occurred_at")?),
        payload: row.get("payload")?,
    })
}
