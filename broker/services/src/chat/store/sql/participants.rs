//! The table of participants.

use super::{add_all, name};
use crate::chat::model::Participant;
use crate::chat::store::Answer;
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::{Database, Error, Query, Row, each};

pub(super) async fn join(database: &Database, who: &Participant) -> Answer<Participant> {
    let mut work = database.begin().await?;
    let query = Query::new(
        "INSERT INTO participants (conversation_id, user_id, role, delivered_seq, read_seq, \
         joined_at, left_at, muted) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (conversation_id, user_id) DO UPDATE \
         SET role = excluded.role, left_at = NULL RETURNING *",
    );
    let query = query.bind(&who.conversation_id).bind(&who.user_id).bind(name(&who.role)?);
    let query = query.bind(who.delivered_seq.max(who.read_seq)).bind(who.read_seq);
    let query = query.bind(who.joined_at).bind(who.left_at).bind(who.muted);
    let row = work.one(query).await?;
    let row = row.ok_or_else(|| Error::Program("an upsert without a row".to_owned()))?;
    let stored = read(&row)?;
    work.commit().await?;
    Ok(stored)
}

pub(super) async fn leave(
    database: &Database,
    conversation_id: &str,
    user_id: &str,
    at: Moment,
) -> Answer<bool> {
    let mut work = database.begin().await?;
    let query = Query::new(
        "UPDATE participants SET left_at = $3 \
         WHERE conversation_id = $1 AND user_id = $2 AND left_at IS NULL",
    );
    let query = query.bind(conversation_id).bind(user_id).bind(at);
    let has_left = work.execute(query).await? == 1;
    work.commit().await?;
    Ok(has_left)
}

pub(super) async fn all(database: &Database, conversation_id: &str) -> Answer<Vec<Participant>> {
    let query =
        Query::new("SELECT * FROM participants WHERE conversation_id = $1 ORDER BY user_id");
    database.all(query.bind(conversation_id)).await?.iter().map(read).collect()
}

pub(super) async fn advance(
    database: &Database,
    to: &Participant,
    events: &[Event],
) -> Answer<bool> {
    let mut work = database.begin().await?;
    let query = Query::new(each(
        "UPDATE participants SET delivered_seq = MAX(delivered_seq, $3), \
         read_seq = MAX(read_seq, $4) WHERE conversation_id = $1 AND user_id = $2 \
         AND (delivered_seq < $3 OR read_seq < $4)",
        "UPDATE participants SET delivered_seq = GREATEST(delivered_seq, $3), \
         read_seq = GREATEST(read_seq, $4) WHERE conversation_id = $1 AND user_id = $2 \
         AND (delivered_seq < $3 OR read_seq < $4)",
    ));
    let query = query.bind(&to.conversation_id).bind(&to.user_id);
    let query = query.bind(to.delivered_seq.max(to.read_seq)).bind(to.read_seq);
    if work.execute(query).await? == 0 {
        return Ok(false);
    }
    add_all(&mut work, events).await?;
    work.commit().await?;
    Ok(true)
}

fn read(row: &Row) -> Answer<Participant> {
    Ok(Participant {
        conversation_id: row.get("conversation_id")?,
        user_id: row.get("user_id")?,
        role: row.named("role")?,
        delivered_seq: row.get("delivered_seq")?,
        read_seq: row.get("read_seq")?,
        joined_at: row.get("joined_at")?,
        left_at: row.get("left_at")?,
        muted: row.get("muted")?,
    })
}
