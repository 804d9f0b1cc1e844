//! Those who take part, in the conversation's document.

use super::{MongoStore, pending};
use crate::chat::model::Participant;
use crate::chat::store::Answer;
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::Error;
use crate::store::encoding::{name, number};
use crate::store::mongo::{Document, Fields, doc};

/// Attempts at a joining that another joining of the same user is in the way of.
const ATTEMPTS: usize = 3;

pub(super) async fn join(store: &MongoStore, who: &Participant) -> Answer<Participant> {
    let conversations = store.conversations();
    for _ in 0..ATTEMPTS {
        let there = doc! { "_id": &who.conversation_id, "participants.user_id": &who.user_id };
        let back = doc! { "participants.$.role": name(&who.role)?, "participants.$.left_at": null };
        if let Some(found) = conversations.changed(there, doc! { "$set": back }).await? {
            let is_own = |it: &Participant| it.user_id == who.user_id;
            let own = read_all(&who.conversation_id, &found)?.into_iter().find(is_own);
            return own.ok_or_else(|| Error::Damaged("participants: one has gone".to_owned()));
        }
        let new = Participant { delivered_seq: who.delivered_seq.max(who.read_seq), ..who.clone() };
        let missing = doc! { "_id": &who.conversation_id,
        "participants.user_id": { "$ne": &who.user_id } };
        let add = doc! { "$push": { "participants": document(&new)? } };
        if conversations.update(missing, add).await? {
            return Ok(new);
        }
        let own = doc! { "_id": &who.conversation_id };
        if conversations.one(own, doc! { "_id": 1 }).await?.is_none() {
            return Err(Error::Conflict(format!("no conversation {}", who.conversation_id)));
        }
    }
    Err(Error::Contended("the same user joins at this moment".to_owned()))
}

pub(super) async fn leave(
    store: &MongoStore,
    conversation_id: &str,
    user_id: &str,
    at: Moment,
) -> Answer<bool> {
    let one = doc! { "$elemMatch": { "user_id": user_id, "left_at": null } };
    let there = doc! { "_id": conversation_id, "participants": one };
    let left = doc! { "$set": { "participants.$.left_at": at.as_ms() } };
    store.conversations().update(there, left).await
}

pub(super) async fn all(store: &MongoStore, conversation_id: &str) -> Answer<Vec<Participant>> {
    let own = doc! { "_id": conversation_id };
    let Some(found) = store.conversations().one(own, doc! { "participants": 1 }).await? else {
        return Ok(Vec::new());
    };
    let mut all = read_all(conversation_id, &found)?;
    all.sort_by(|a, b| a.user_id.cmp(&b.user_id));
    Ok(all)
}

pub(super) async fn advance(
    store: &MongoStore,
    to: &Participant,
    events: &[Event],
) -> Answer<bool> {
    let (delivered, read) = (number(to.delivered_seq.max(to.read_seq)), number(to.read_seq));
    let behind = doc! { "user_id": &to.user_id, "$or": [
        { "delivered_seq": { "$lt": delivered } },
        { "read_seq": { "$lt": read } },
    ] };
    let behind = doc! { "_id": &to.conversation_id, "participants": { "$elemMatch": behind } };
    let mut with_room = behind.clone();
    with_room.insert(pending::LAST, doc! { "$exists": false });
    let ahead = doc! { "participants.$.delivered_seq": delivered, "participants.$.read_seq": read };
    let change = doc! { "$max": ahead, "$push": pending::push(&[], events)? };
    if store.conversations().update(with_room, change).await? {
        if !events.is_empty() {
            store.0.tell_events();
        }
        return Ok(true);
    }
    match store.conversations().one(behind, doc! { "_id": 1, "version": 1 }).await? {
        Some(_) => Err(pending::full()),
        None => Ok(false),
    }
}

fn document(it: &Participant) -> Answer<Document> {
    Ok(doc! {
        "user_id": &it.user_id,
        "role": name(&it.role)?,
        "delivered_seq": number(it.delivered_seq),
        "read_seq": number(it.read_seq),
        "joined_at": it.joined_at.as_ms(),
        "left_at": it.left_at.map(Moment::as_ms),
        "muted": it.muted,
    })
}

fn read_all(conversation_id: &str, found: &Document) -> Answer<Vec<Participant>> {
    let read = |it: &Document| {
        Ok(Participant {
            conversation_id: conversation_id.to_owned(),
            user_id: it.text("user_id")?,
            role: it.named("role")?,
            delivered_seq: it.count("delivered_seq")?,
            read_seq: it.count("read_seq")?,
            joined_at: it.moment("joined_at")?,
            left_at: it.maybe_moment("left_at")?,
            muted: it.truth("muted")?,
        })
    };
    found.documents("participants")?.iter().map(read).collect()
}
