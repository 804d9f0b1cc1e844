//! The table of conversations.

use super::json;
use crate::chat::model::Conversation;
use crate::chat::store::{Answer, readable};
use crate::moment::Moment;
use crate::store::{Database, Query, Row, Work};

/// Adds one; whether there was none of its id.
pub(super) async fn insert(work: &mut Work<'_>, it: &Conversation) -> Answer<bool> {
    let query = Query::new(
        "INSERT INTO conversations (id, customer_id, agent_id, status, waiting_since, \
         snoozed_until, last_message_at, resolved_at, version, body, next_seq) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO NOTHING",
    );
    let query = columns(query, it)?.bind(it.next_seq.max(1));
    Ok(work.execute(query).await? == 1)
}

/// How many conversations of a customer are open.
pub(super) async fn open_of(work: &mut Work<'_>, customer_id: &str) -> Answer<i64> {
    let query = Query::new(
        "SELECT COUNT(*) AS open FROM conversations \
         WHERE customer_id = $1 AND status IN ('waiting', 'active')",
    );
    work.one(query.bind(customer_id)).await?.map_or(Ok(0), |row| row.get("open"))
}

/// Puts one in the place of the version before, and takes so many sequences; the first of them, or
/// none if the stored one is not of that version.
pub(super) async fn replace(
    work: &mut Work<'_>,
    it: &Conversation,
    taken: usize,
) -> Answer<Option<u64>> {
    let query = Query::new(
        "UPDATE conversations SET customer_id = $2, agent_id = $3, status = $4, \
         waiting_since = $5, snoozed_until = $6, last_message_at = $7, resolved_at = $8, \
         version = $9, body = $10, next_seq = next_seq + $11 \
         WHERE id = $1 AND version = $12 RETURNING next_seq",
    );
    let taken = taken as u64;
    let query = columns(query, it)?.bind(taken).bind(it.version.saturating_sub(1));
    match work.one(query).await? {
        Some(row) => Ok(Some(row.get::<u64>("next_seq")?.saturating_sub(taken))),
        None => Ok(None),
    }
}

/// The first ten values.
fn columns(query: Query, it: &Conversation) -> Answer<Query> {
    let query = query.bind(&it.id).bind(&it.customer_id).bind(it.agent_id.clone());
    let query = query.bind(it.status.name()).bind(it.waiting_since).bind(it.snoozed_until);
    let query = query.bind(it.last_message_at).bind(it.resolved_at).bind(it.version);
    Ok(query.bind(json(it)?))
}

pub(super) async fn find(database: &Database, id: &str) -> Answer<Option<Conversation>> {
    let query = Query::new("SELECT body, next_seq FROM conversations WHERE id = $1");
    database.one(query.bind(id)).await?.as_ref().map(read).transpose()
}

pub(super) async fn waiting(database: &Database, max: u32) -> Answer<Vec<Conversation>> {
    let query = Query::new(
        "SELECT body, next_seq FROM conversations \
         WHERE status = 'waiting' AND snoozed_until IS NULL ORDER BY waiting_since, id LIMIT $1",
    );
    all(database, query.bind(i64::from(max))).await
}

pub(super) async fn of_agent(database: &Database, agent_id: &str) -> Answer<Vec<Conversation>> {
    let query = Query::new(
        "SELECT body, next_seq FROM conversations WHERE agent_id = $1 AND status = 'active' \
         ORDER BY id",
    );
    all(database, query.bind(agent_id)).await
}

pub(super) async fn of_customer(
    database: &Database,
    customer_id: &str,
    max: u32,
) -> Answer<Vec<Conversation>> {
    let query = Query::new(
        "SELECT body, next_seq FROM conversations WHERE customer_id = $1 \
         ORDER BY last_message_at DESC, id DESC LIMIT $2",
    );
    all(database, query.bind(customer_id).bind(i64::from(max))).await
}

pub(super) async fn rested(
    database: &Database,
    woken: Moment,
    resolved: Moment,
    max: u32,
) -> Answer<Vec<Conversation>> {
    let mut found = Vec::new();
    for (until, query) in [
        (
            woken,
            "SELECT body, next_seq FROM conversations \
             WHERE status = 'waiting' AND snoozed_until <= $1 ORDER BY snoozed_until LIMIT $2",
        ),
        (
            resolved,
            "SELECT body, next_seq FROM conversations \
             WHERE status = 'resolved' AND resolved_at <= $1 ORDER BY resolved_at LIMIT $2",
        ),
    ] {
        let query = Query::new(query).bind(until).bind(i64::from(max));
        found.extend(all(database, query).await?);
    }
    Ok(found)
}

async fn all(database: &Database, query: Query) -> Answer<Vec<Conversation>> {
    readable(database.all(query).await?.iter().map(read))
}

fn read(row: &Row) -> Answer<Conversation> {
    let body: Conversation = row.json("body")?;
    Ok(Conversation { next_seq: row.get("next_seq")?, ..body })
}
