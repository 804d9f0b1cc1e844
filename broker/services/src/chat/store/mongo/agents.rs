//! The collection of agents: each with its slots, those that are free and those that are taken.

use super::{MongoStore, pending};
use crate::chat::model::{Agent, AgentStatus};
use crate::chat::store::{Answer, Choice, Room, readable};
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::Error;
use crate::store::encoding::json;
use crate::store::mongo::{Bson, Document, Fields, doc};

/// Attempts at telling of an agent of whom others tell at the same moment.
const ATTEMPTS: usize = 8;

pub(super) async fn put(store: &MongoStore, agent: &Agent) -> Answer<Agent> {
    let (own, limit) = (doc! { "_id": &agent.id }, i64::from(agent.concurrent_limit));
    let told = doc! { "email": &agent.email, "concurrent_limit": limit, "body": json(agent)? };
    for _ in 0..ATTEMPTS {
        let Some(before) = store.agents().one(own.clone(), doc! { "concurrent_limit": 1 }).await?
        else {
            let mut new = told.clone();
            new.extend(doc! {
                "_id": &agent.id,
                "status": agent.status.name(),
                "free_slots": limit,
                "active": [],
                "last_assigned_at": agent.last_assigned_at.map(Moment::as_ms),
                "last_seen_at": agent.last_seen_at.map(Moment::as_ms),
                "pending": [],
            });
            if store.agents().insert(&new).await? {
                return read(&new);
            }
            // Either the same agent was told of meanwhile, or another has its address.
            if store.agents().one(own.clone(), doc! { "_id": 1 }).await?.is_some() {
                continue;
            }
            return Err(Error::Conflict("another agent has this e-mail address".to_owned()));
        };
        let before = before.number("concurrent_limit")?;
        let guard = doc! { "_id": &agent.id, "concurrent_limit": before };
        let change = doc! { "$set": told.clone(), "$inc": { "free_slots": limit - before, "load_version": 1_i64 } };
        if let Some(stored) = store.agents().changed(guard, change).await? {
            return read(&stored);
        }
    }
    Err(Error::Contended("others tell of the same agent".to_owned()))
}

pub(super) async fn find(store: &MongoStore, id: &str) -> Answer<Option<Agent>> {
    let found = store.agents().one(doc! { "_id": id }, doc! { "pending": 0 }).await?;
    found.as_ref().map(read).transpose()
}

pub(super) async fn all(store: &MongoStore) -> Answer<Vec<Agent>> {
    let (fields, order) = (doc! { "pending": 0 }, doc! { "_id": 1 });
    readable(store.agents().all(doc! {}, fields, order, u32::MAX).await?.iter().map(read))
}

pub(super) async fn set_status(
    store: &MongoStore,
    id: &str,
    Choice { status, at, is_own }: Choice,
    events: &[Event],
) -> Answer<Option<Agent>> {
    let with_room = doc! { "_id": id, pending::LAST: { "$exists": false } };
    let mut chosen = doc! { "status": status.name() };
    if is_own {
        chosen.insert("last_seen_at", at.as_ms());
    }
    let mut change = match status {
        AgentStatus::Offline => gone(at),
        _ => doc! { "$unset": { "offline_since": "" } },
    };
    change.extend(doc! { "$set": chosen, "$push": pending::push(&[], events)? });
    let Some(stored) = store.agents().changed(with_room, change).await? else {
        return match find(store, id).await? {
            Some(_) => Err(pending::full()),
            None => Ok(None),
        };
    };
    if !events.is_empty() {
        store.0.tell_events();
    }
    read(&stored).map(Some)
}

/// Notes which agents live and which have gone, but for those who have chosen to be offline, and
/// those who have been seen since `at`.
pub(super) async fn seen(
    store: &MongoStore,
    live: &[String],
    absent: &[String],
    at: Moment,
) -> Answer<()> {
    let lives = doc! { "$set": { "last_seen_at": at.as_ms() }, "$unset": { "offline_since": "" } };
    let before = doc! { "last_seen_at": { "$not": { "$gt": at.as_ms() } } };
    for (ids, change, when) in [(live, lives, doc! {}), (absent, gone(at), before)] {
        for id in ids {
            let mut there = doc! { "_id": id, "status": { "$ne": AgentStatus::Offline.name() } };
            there.extend(when.clone());
            store.agents().update(there, change.clone()).await?;
        }
    }
    Ok(())
}

/// The change that an agent is gone, since it went first.
fn gone(at: Moment) -> Document {
    doc! { "$min": { "offline_since": at.as_ms() } }
}

/// Takes a slot of an agent for a conversation; whether it had one.
pub(super) async fn take_slot(
    store: &MongoStore,
    id: &str,
    (conversation_id, slot): (&str, &str),
    room: Room,
    at: Moment,
) -> Answer<bool> {
    let mut free = doc! { "_id": id, "active.slot": { "$ne": slot } };
    if room != Room::Nothing {
        free.insert("free_slots", doc! { "$gt": 0_i64 });
    }
    if room == Room::Online {
        free.insert("status", AgentStatus::Online.name());
        free.insert("offline_since", Bson::Null);
    }
    let change = doc! {
        "$inc": { "free_slots": -1_i64, "load_version": 1_i64 },
        "$push": { "active": { "conversation_id": conversation_id, "slot": slot } },
        "$set": { "last_assigned_at": at.as_ms() },
    };
    store.agents().update(free, change).await
}

/// Gives a slot back, unless it is free; whether it was not.
pub(super) async fn free_slot(store: &MongoStore, id: &str, slot: &str) -> Answer<bool> {
    let taken = doc! { "_id": id, "active.slot": slot };
    let change = doc! { "$inc": { "free_slots": 1_i64, "load_version": 1_i64 }, "$pull": { "active": { "slot": slot } } };
    store.agents().update(taken, change).await
}

fn read(found: &Document) -> Answer<Agent> {
    let body: Agent = found.json("body")?;
    let chats = found.documents("active")?.len();
    Ok(Agent {
        status: found.named("status")?,
        current_conversations: u32::try_from(chats).unwrap_or(u32::MAX),
        load_version: found.maybe_number("load_version")?.unwrap_or(0).unsigned_abs(),
        last_assigned_at: found.maybe_moment("last_assigned_at")?,
        last_seen_at: found.maybe_moment("last_seen_at")?,
        offline_since: found.maybe_moment("offline_since")?,
        ..body
    })
}
