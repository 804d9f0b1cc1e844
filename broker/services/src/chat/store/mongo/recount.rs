//! The recount: slots that a crash has kept are given back, and those that it has lost are taken.
//!
//! A slot belongs to the conversation whose document names it. One that no document names is kept,
//! or somebody is about to store a change that names it: the conversation's fence makes that fail.

use std::collections::BTreeSet;

use super::conversations::{fence, head};
use super::{MongoStore, agents};
use crate::chat::model::Status;
use crate::chat::store::Answer;
use crate::store::mongo::{Document, Fields, doc};

/// Conversations that are read at once.
const PAGE: u32 = 1_000;

/// Mends the slots of all agents; how many were wrong.
pub(super) async fn recount(store: &MongoStore) -> Answer<u64> {
    Ok(take_lost(store).await? + free_kept(store).await? + count_again(store).await?)
}

/// Takes the slots of conversations whose agents do not have them.
async fn take_lost(store: &MongoStore) -> Answer<u64> {
    let (mut wrong, mut after) = (0, String::new());
    loop {
        let active = doc! { "_id": { "$gt": &after }, "status": Status::Active.name() };
        let (fields, order) = (doc! { "agent_id": 1, "slot": 1 }, doc! { "_id": 1 });
        let page = store.conversations().all(active, fields, order, PAGE).await?;
        let Some(last) = page.last() else { return Ok(wrong) };
        after = last.text("_id")?;
        let slots = page.iter().map(|it| it.text("slot")).collect::<Answer<Vec<_>>>()?;
        let holders = doc! { "active.slot": { "$in": slots } };
        let taken: BTreeSet<String> =
            taken(store, holders).await?.into_iter().map(|it| it.slot).collect();
        for it in &page {
            let (id, slot) = (it.text("_id")?, it.text("slot")?);
            if taken.contains(&slot) {
                continue;
            }
            // Held before the look at the agents and after it, so it was missing.
            let still = doc! { "_id": &id, "slot": &slot };
            if store.conversations().one(still, doc! { "_id": 1 }).await?.is_some() {
                let missing = doc! { "_id": it.text("agent_id")?, "active.slot": { "$ne": &slot } };
                let take = doc! { "$inc": { "free_slots": -1_i64, "load_version": 1_i64 },
                "$push": { "active": { "conversation_id": &id, "slot": &slot } } };
                wrong += u64::from(store.agents().update(missing, take).await?);
            }
        }
    }
}

/// Gives back the slots that no conversation names.
async fn free_kept(store: &MongoStore) -> Answer<u64> {
    let mut wrong = 0;
    for page in taken(store, doc! {}).await?.chunks(PAGE as usize) {
        let named = named(store, page).await?;
        for Taken { agent_id, conversation_id, slot } in page {
            if named.contains(slot) {
                continue;
            }
            let own = doc! { "_id": conversation_id };
            if let Some(head) = head(store, own).await?
                && (head.slot.as_ref() == Some(slot)
                    || !fence(store, conversation_id, &head).await?)
            {
                continue;
            }
            wrong += u64::from(agents::free_slot(store, agent_id, slot).await?);
        }
    }
    Ok(wrong)
}

/// Those of these slots that conversations name.
async fn named(store: &MongoStore, slots: &[Taken]) -> Answer<BTreeSet<String>> {
    let ids: Vec<&str> = slots.iter().map(|it| it.conversation_id.as_str()).collect();
    let (those, fields) = (doc! { "_id": { "$in": ids } }, doc! { "slot": 1 });
    let found = store.conversations().all(those, fields, doc! { "_id": 1 }, u32::MAX).await?;
    let named = found.iter().filter_map(|it| it.maybe_text("slot").transpose());
    named.collect()
}

/// Lets the number of free slots be what the taken ones leave.
async fn count_again(store: &MongoStore) -> Answer<u64> {
    let mut wrong = 0;
    for agent in agents_with(store, doc! {}).await? {
        let (limit, free) = (agent.number("concurrent_limit")?, agent.number("free_slots")?);
        let taken = i64::try_from(agent.documents("active")?.len()).unwrap_or(i64::MAX);
        if free != limit - taken {
            let same = doc! { "_id": agent.text("_id")?, "concurrent_limit": limit,
            "free_slots": free, "active": { "$size": taken } };
            let right = doc! { "$set": { "free_slots": limit - taken } };
            wrong += u64::from(store.agents().update(same, right).await?);
        }
    }
    Ok(wrong)
}

/// A slot that is taken.
struct Taken {
    agent_id: String,
    conversation_id: String,
    slot: String,
}

async fn taken(store: &MongoStore, filter: Document) -> Answer<Vec<Taken>> {
    let mut all = Vec::new();
    for agent in agents_with(store, filter).await? {
        for it in agent.documents("active")? {
            all.push(Taken {
                agent_id: agent.text("_id")?,
                conversation_id: it.text("conversation_id")?,
                slot: it.text("slot")?,
            });
        }
    }
    Ok(all)
}

async fn agents_with(store: &MongoStore, filter: Document) -> Answer<Vec<Document>> {
    let fields = doc! { "active": 1, "free_slots": 1, "concurrent_limit": 1 };
    store.agents().all(filter, fields, doc! { "_id": 1 }, u32::MAX).await
}
