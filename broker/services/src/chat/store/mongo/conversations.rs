//! The collection of conversations.

use super::duty::{Duty, settle};
use super::{MongoStore, pending};
use crate::chat::model::{Conversation, Status};
use crate::chat::store::{Answer, readable};
use crate::id::Id;
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::Error;
use crate::store::encoding::{json, number};
use crate::store::mongo::{Document, Fields, doc};

/// Conversations that are looked at in one step of an upgrade.
const BATCH: u32 = 1_000;

/// What a change of a conversation is guarded by and follows on.
pub(super) struct Head {
    pub(super) version: u64,
    pub(super) next_seq: u64,
    /// The slot of the agent that has it.
    pub(super) slot: Option<String>,
    /// One more whenever attempts that are under way are to fail.
    fence: i64,
    /// How often messages were rewritten.
    pub(super) rewrites: i64,
    duties: Vec<(String, Duty)>,
    entries: usize,
}

impl Head {
    /// What the document of a change must be like that counts for it.
    pub(super) fn guard(&self, id: &str) -> Document {
        doc! { "_id": id, "version": number(self.version), "fence": self.fence }
    }

    /// Whether the document takes more entries.
    pub(super) fn check_room(&self) -> Answer<()> {
        pending::check_room(self.entries)
    }
}

/// How a conversation stands, without what was still to follow: that has happened then.
pub(super) async fn settled(store: &MongoStore, id: &str) -> Answer<Option<Head>> {
    let Some(head) = head(store, doc! { "_id": id }).await? else { return Ok(None) };
    settle(store, id, &head.duties).await?;
    Ok(Some(head))
}

/// How a conversation stands.
pub(super) async fn head(store: &MongoStore, filter: Document) -> Answer<Option<Head>> {
    let fields = doc! { "version": 1, "next_seq": 1, "slot": 1, "fence": 1, "rewrites": 1,
    "pending.id": 1, "pending.duty": 1 };
    let Some(found) = store.conversations().one(filter, fields).await? else { return Ok(None) };
    let entries = found.documents("pending")?;
    Ok(Some(Head {
        version: found.count("version")?,
        next_seq: found.count("next_seq")?,
        slot: found.maybe_text("slot")?,
        fence: found.number("fence")?,
        rewrites: found.number("rewrites")?,
        duties: pending::duties(&entries)?,
        entries: entries.len(),
    }))
}

/// Adds one; whether there was none of its id.
pub(super) async fn insert(
    store: &MongoStore,
    it: &Conversation,
    events: &[Event],
) -> Answer<bool> {
    let slot = it.agent_id.as_ref().map(|_| Id::new().to_string());
    let mut document = columns(it, slot)?;
    document.extend(doc! { "_id": &it.id, "next_seq": number(it.next_seq.max(1)), "fence": 0_i64,
    "rewrites": 0_i64, "participants": [], "pending": pending::entries(events)? });
    if !store.conversations().insert(&document).await? {
        return Ok(false);
    }
    store.0.tell_events();
    Ok(true)
}

/// Whether a customer has so many open conversations. One that is added meanwhile is not counted.
pub(super) async fn has_open(store: &MongoStore, customer_id: &str, max: u32) -> Answer<bool> {
    let open = doc! { "$in": [Status::Waiting.name(), Status::Active.name()] };
    let own = doc! { "customer_id": customer_id, "status": open };
    let found = store.conversations().all(own, doc! { "_id": 1 }, doc! {}, max).await?;
    Ok(found.len() >= max as usize)
}

/// What is asked for by a value, and the whole.
pub(super) fn columns(it: &Conversation, slot: Option<String>) -> Answer<Document> {
    Ok(doc! {
        "customer_id": &it.customer_id,
        "agent_id": it.agent_id.clone(),
        "status": it.status.name(),
        "waiting_since": it.waiting_since.map(Moment::as_ms),
        "snoozed_until": it.snoozed_until.map(Moment::as_ms),
        "last_message_at": it.last_message_at.as_ms(),
        "resolved_at": it.resolved_at.map(Moment::as_ms),
        "version": number(it.version),
        "slot": slot,
        "body": json(it)?,
    })
}

pub(super) async fn find(store: &MongoStore, id: &str) -> Answer<Option<Conversation>> {
    let found = store.conversations().one(doc! { "_id": id }, fields()).await?;
    found.as_ref().map(read).transpose()
}

pub(super) async fn waiting(store: &MongoStore, max: u32) -> Answer<Vec<Conversation>> {
    let queued = doc! { "status": Status::Waiting.name(), "snoozed_until": null };
    all(store, queued, doc! { "waiting_since": 1, "_id": 1 }, max).await
}

pub(super) async fn of_agent(store: &MongoStore, agent_id: &str) -> Answer<Vec<Conversation>> {
    let active = doc! { "agent_id": agent_id, "status": Status::Active.name() };
    all(store, active, doc! { "_id": 1 }, u32::MAX).await
}

pub(super) async fn of_customer(
    store: &MongoStore,
    customer_id: &str,
    max: u32,
) -> Answer<Vec<Conversation>> {
    let own = doc! { "customer_id": customer_id };
    all(store, own, doc! { "last_message_at": -1, "_id": -1 }, max).await
}

pub(super) async fn rested(
    store: &MongoStore,
    woken: Moment,
    resolved: Moment,
    max: u32,
) -> Answer<Vec<Conversation>> {
    let until = |at: Moment| doc! { "$lte": at.as_ms() };
    let asleep = doc! { "status": Status::Waiting.name(), "snoozed_until": until(woken) };
    let mut found = all(store, asleep, doc! { "snoozed_until": 1 }, max).await?;
    let over = doc! { "status": Status::Resolved.name(), "resolved_at": until(resolved) };
    found.extend(all(store, over, doc! { "resolved_at": 1 }, max).await?);
    Ok(found)
}

/// Notes of conversations when they were resolved, where an older program has not.
pub(super) async fn note_resolved(store: &MongoStore) -> Answer<()> {
    let mut last = String::new();
    loop {
        let lacking = doc! { "status": Status::Resolved.name(),
        "resolved_at": { "$exists": false }, "_id": { "$gt": &last } };
        let found = store.conversations().all(lacking, fields(), doc! { "_id": 1 }, BATCH).await?;
        let Some(end) = found.last() else { return Ok(()) };
        last = end.text("_id")?;
        for it in readable(found.iter().map(read))? {
            let guard = doc! { "_id": &it.id, "resolved_at": { "$exists": false } };
            let at = it.resolved_at.map(Moment::as_ms);
            store.conversations().update(guard, doc! { "$set": { "resolved_at": at } }).await?;
        }
    }
}

async fn all(
    store: &MongoStore,
    filter: Document,
    order: Document,
    max: u32,
) -> Answer<Vec<Conversation>> {
    if max == 0 {
        return Ok(Vec::new());
    }
    readable(store.conversations().all(filter, fields(), order, max).await?.iter().map(read))
}

fn fields() -> Document {
    doc! { "body": 1, "next_seq": 1 }
}

fn read(document: &Document) -> Answer<Conversation> {
    let body: Conversation = document.json("body")?;
    Ok(Conversation { next_seq: document.count("next_seq")?, ..body })
}

/// Makes all attempts fail that are under way on how the conversation stands now; false if it
/// stands differently meanwhile.
pub(super) async fn fence(store: &MongoStore, id: &str, head: &Head) -> Result<bool, Error> {
    store.conversations().update(head.guard(id), doc! { "$inc": { "fence": 1_i64 } }).await
}
