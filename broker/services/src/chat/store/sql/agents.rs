//! The tables of agents and of who had what when.

use super::{add_all, json, name};
use crate::chat::model::{Agent, AgentStatus, Assignment, EndReason};
use crate::chat::store::{Answer, Choice, Room, readable};
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::{Database, Error, Query, Row, Work};

pub(super) async fn put(database: &Database, agent: &Agent) -> Answer<Agent> {
    let mut work = database.begin().await?;
    let query = Query::new(
        "INSERT INTO agents (id, email, status, concurrent_limit, chats, last_assigned_at, \
         last_seen_at, body) VALUES ($1, $2, $3, $4, 0, $5, $6, $7) \
         ON CONFLICT (id) DO UPDATE SET email = excluded.email, \
         concurrent_limit = excluded.concurrent_limit, load_version = agents.load_version + 1, \
         body = excluded.body RETURNING *",
    );
    let query = query.bind(&agent.id).bind(&agent.email).bind(agent.status.name());
    let query = query.bind(i64::from(agent.concurrent_limit)).bind(agent.last_assigned_at);
    let stored = one(&mut work, query.bind(agent.last_seen_at).bind(json(agent)?)).await?;
    work.commit().await?;
    stored.ok_or_else(|| Error::Program("an upsert without a row".to_owned()))
}

pub(super) async fn find(database: &Database, id: &str) -> Answer<Option<Agent>> {
    let query = Query::new("SELECT * FROM agents WHERE id = $1").bind(id);
    database.one(query).await?.as_ref().map(read).transpose()
}

pub(super) async fn all(database: &Database) -> Answer<Vec<Agent>> {
    let rows = database.all(Query::new("SELECT * FROM agents ORDER BY id")).await?;
    readable(rows.iter().map(read))
}

pub(super) async fn set_status(
    database: &Database,
    id: &str,
    Choice { status, at, is_own }: Choice,
    events: &[Event],
) -> Answer<Option<Agent>> {
    let mut work = database.begin().await?;
    let query = Query::new(
        "UPDATE agents SET status = $2, last_seen_at = COALESCE($3, last_seen_at), \
         offline_since = CASE WHEN $4 = 1 THEN COALESCE(offline_since, $5) END \
         WHERE id = $1 RETURNING *",
    );
    let query = query.bind(id).bind(status.name()).bind(is_own.then_some(at));
    let query = query.bind(status == AgentStatus::Offline).bind(at);
    let Some(agent) = one(&mut work, query).await? else { return Ok(None) };
    add_all(&mut work, events).await?;
    work.commit().await?;
    Ok(Some(agent))
}

/// Notes which agents live and which have gone, but for those who have chosen to be offline, and
/// those who have been seen since `at`.
pub(super) async fn seen(
    database: &Database,
    live: &[String],
    gone: &[String],
    at: Moment,
) -> Answer<()> {
    let mut work = database.begin().await?;
    let notes = [
        (
            live,
            "UPDATE agents SET last_seen_at = $2, offline_since = NULL \
             WHERE id = $1 AND status <> 'offline'",
        ),
        (
            gone,
            "UPDATE agents SET offline_since = COALESCE(offline_since, $2) \
             WHERE id = $1 AND status <> 'offline' AND COALESCE(last_seen_at, $2) <= $2",
        ),
    ];
    for (ids, query) in notes {
        for id in ids {
            work.execute(Query::new(query).bind(id).bind(at)).await?;
        }
    }
    work.commit().await
}

/// Counts the chats of all agents again; how many counts were wrong.
pub(super) async fn recount(database: &Database) -> Answer<u64> {
    let mut work = database.begin().await?;
    let query = Query::new(
        "UPDATE agents SET load_version = load_version + 1, chats = (SELECT COUNT(*) FROM conversations \
         WHERE agent_id = agents.id AND status = 'active') \
         WHERE chats <> (SELECT COUNT(*) FROM conversations \
         WHERE agent_id = agents.id AND status = 'active')",
    );
    let wrong = work.execute(query).await?;
    work.commit().await?;
    Ok(wrong)
}

/// Takes a slot of an agent; whether it had one.
pub(super) async fn take_slot(
    work: &mut Work<'_>,
    id: &str,
    room: Room,
    at: Moment,
) -> Answer<bool> {
    let query = Query::new(match room {
        Room::Online => {
            "UPDATE agents SET chats = chats + 1, load_version = load_version + 1, \
             last_assigned_at = $2 \
             WHERE id = $1 AND chats < concurrent_limit AND status = 'online' \
             AND offline_since IS NULL"
        }
        Room::Slot => {
            "UPDATE agents SET chats = chats + 1, load_version = load_version + 1, \
             last_assigned_at = $2 \
             WHERE id = $1 AND chats < concurrent_limit"
        }
        Room::Nothing => {
            "UPDATE agents SET chats = chats + 1, load_version = load_version + 1, \
             last_assigned_at = $2 WHERE id = $1"
        }
    });
    Ok(work.execute(query.bind(id).bind(at)).await? == 1)
}

/// Gives a slot back.
pub(super) async fn free_slot(work: &mut Work<'_>, id: &str) -> Answer<()> {
    let query = Query::new(
        "UPDATE agents SET chats = chats - 1, load_version = load_version + 1 \
         WHERE id = $1 AND chats > 0",
    );
    work.execute(query.bind(id)).await.map(|_| ())
}

pub(super) async fn begin(work: &mut Work<'_>, it: &Assignment) -> Answer<()> {
    let query = Query::new(
        "INSERT INTO assignments (id, conversation_id, agent_id, epoch, reason, assigned_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    );
    let query = query.bind(&it.id).bind(&it.conversation_id).bind(&it.agent_id);
    let query = query.bind(it.epoch).bind(name(&it.reason)?).bind(it.assigned_at);
    work.execute(query).await.map(|_| ())
}

pub(super) async fn end(
    work: &mut Work<'_>,
    conversation_id: &str,
    epoch: u64,
    reason: EndReason,
    at: Moment,
) -> Answer<()> {
    let query = Query::new(
        "UPDATE assignments SET ended_at = $3, end_reason = $4 \
         WHERE conversation_id = $1 AND epoch = $2 AND ended_at IS NULL",
    );
    let query = query.bind(conversation_id).bind(epoch).bind(at);
    work.execute(query.bind(name(&reason)?)).await.map(|_| ())
}

pub(super) async fn first_reply(
    work: &mut Work<'_>,
    conversation_id: &str,
    epoch: u64,
    at: Moment,
) -> Answer<()> {
    let query = Query::new(
        "UPDATE assignments SET first_reply_at = $3 \
         WHERE conversation_id = $1 AND epoch = $2 AND first_reply_at IS NULL",
    );
    let query = query.bind(conversation_id).bind(epoch).bind(at);
    work.execute(query).await.map(|_| ())
}

pub(super) async fn assignments(
    database: &Database,
    conversation_id: &str,
) -> Answer<Vec<Assignment>> {
    let query = Query::new("SELECT * FROM assignments WHERE conversation_id = $1 ORDER BY epoch");
    let rows = database.all(query.bind(conversation_id)).await?;
    let read = |row: &Row| {
        Ok(Assignment {
            id: row.get("id")?,
            conversation_id: row.get("conversation_id")?,
            agent_id: row.get("agent_id")?,
            epoch: row.get("epoch")?,
            reason: row.named("reason")?,
            assigned_at: row.get("assigned_at")?,
            first_reply_at: row.get("first_reply_at")?,
            ended_at: row.get("ended_at")?,
            end_reason: match row.get::<Option<String>>("end_reason")? {
                Some(_) => Some(row.named("end_reason")?),
                None => None,
            },
        })
    };
    rows.iter().map(read).collect()
}

async fn one(work: &mut Work<'_>, query: Query) -> Answer<Option<Agent>> {
    work.one(query).await?.as_ref().map(read).transpose()
}

fn read(row: &Row) -> Answer<Agent> {
    let body: Agent = row.json("body")?;
    Ok(Agent {
        status: row.named("status")?,
        current_conversations: u32::try_from(row.get::<u64>("chats")?).unwrap_or(u32::MAX),
        load_version: row.get("load_version")?,
        last_assigned_at: row.get("last_assigned_at")?,
        last_seen_at: row.get("last_seen_at")?,
        offline_since: row.get("offline_since")?,
        ..body
    })
}
