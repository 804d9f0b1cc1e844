//! The collection of assignments.

use super::MongoStore;
use super::conversations::settled;
use crate::chat::model::{Assignment, EndReason};
use crate::chat::store::Answer;
use crate::moment::Moment;
use crate::store::encoding::{name, number};
use crate::store::mongo::{Document, Fields, doc};

/// An assignment begins, unless it has.
pub(super) async fn begin(store: &MongoStore, it: &Assignment) -> Answer<()> {
    let own = doc! { "conversation_id": &it.conversation_id, "epoch": number(it.epoch) };
    let new = doc! { "$setOnInsert": {
        "_id": &it.id,
        "agent_id": &it.agent_id,
        "reason": name(&it.reason)?,
        "assigned_at": it.assigned_at.as_ms(),
        "first_reply_at": null,
        "ended_at": null,
        "end_reason": null,
    } };
    store.assignments().upsert(own, new).await.map(|_| ())
}

/// An assignment ends, unless it has.
pub(super) async fn end(
    store: &MongoStore,
    conversation_id: &str,
    epoch: u64,
    reason: EndReason,
    at: Moment,
) -> Answer<()> {
    let open = doc! { "conversation_id": conversation_id, "epoch": number(epoch),
    "ended_at": null };
    let ended = doc! { "$set": { "ended_at": at.as_ms(), "end_reason": name(&reason)? } };
    store.assignments().update(open, ended).await.map(|_| ())
}

/// The agent has replied, unless it had before.
pub(super) async fn first_reply(
    store: &MongoStore,
    conversation_id: &str,
    epoch: u64,
    at: Moment,
) -> Answer<()> {
    let silent = doc! { "conversation_id": conversation_id, "epoch": number(epoch),
    "first_reply_at": null };
    let replied = doc! { "$set": { "first_reply_at": at.as_ms() } };
    store.assignments().update(silent, replied).await.map(|_| ())
}

pub(super) async fn all(store: &MongoStore, conversation_id: &str) -> Answer<Vec<Assignment>> {
    settled(store, conversation_id).await?;
    let (own, order) = (doc! { "conversation_id": conversation_id }, doc! { "epoch": 1 });
    let read = |found: &Document| {
        Ok(Assignment {
            id: found.text("_id")?,
            conversation_id: found.text("conversation_id")?,
            agent_id: found.text("agent_id")?,
            epoch: found.count("epoch")?,
            reason: found.named("reason")?,
            assigned_at: found.moment("assigned_at")?,
            first_reply_at: found.maybe_moment("first_reply_at")?,
            ended_at: found.maybe_moment("ended_at")?,
            end_reason: match found.maybe_text("end_reason")? {
                Some(_) => Some(found.named("end_reason")?),
                None => None,
            },
        })
    };
    store.assignments().all(own, doc! {}, order, u32::MAX).await?.iter().map(read).collect()
}
