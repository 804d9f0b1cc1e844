//! The collection of messages.

use super::conversations::settled;
use super::duty::{Duty, settle_or_leave};
use super::{MongoStore, pending};
use crate::chat::model::{Message, Revision};
use crate::chat::store::events::received;
use crate::chat::store::step::{draft, terms};
use crate::chat::store::{Answer, Page, Search};
use crate::store::Error;
use crate::store::encoding::{json, number};
use crate::store::mongo::{Document, Fields, doc};

/// Conversations of one customer that are searched, the newest.
const PLACES_MAX: u32 = 1_000;
/// Attempts at a rewriting that finds others in its way.
const ATTEMPTS: usize = 8;

/// The message that had come before under the same id of its sender, and whether it asked the same.
pub(super) async fn earlier(
    store: &MongoStore,
    message: &Message,
) -> Answer<Option<(Message, bool)>> {
    let key = doc! { "conversation_id": &message.conversation_id, "sender_id": &message.sender_id,
    "client_message_id": &message.client_message_id };
    let either = doc! { "$or": [key, { "_id": &message.id }] };
    let Some(found) = store.messages().one(either, doc! { "_id": 1 }).await? else {
        return Ok(None);
    };
    // Whoever is told of it relies on it: it must be there for good.
    let found = store.messages().lasting(&found.text("_id")?).await?;
    let found = found.ok_or_else(|| Error::Contended("a message has gone".to_owned()))?;
    let earlier: Message = found.json("body")?;
    let of = |it: &Message| {
        (it.conversation_id.clone(), it.sender_id.clone(), it.client_message_id.clone())
    };
    if of(&earlier) != of(message) {
        return Err(Error::Conflict(format!("the message {} is another", message.id)));
    }
    let is_same = found.text("draft")? == draft(message)?;
    Ok(Some((earlier, is_same)))
}

/// Adds a message at its place, unless it is there.
pub(super) async fn insert(store: &MongoStore, message: &Message) -> Answer<()> {
    let document = doc! {
        "_id": &message.id,
        "conversation_id": &message.conversation_id,
        "seq": number(message.seq),
        "sender_id": &message.sender_id,
        "client_message_id": &message.client_message_id,
        "draft": draft(message)?,
        "updated_at": message.updated_at.as_ms(),
        "body": json(message)?,
        "words": words(message),
        "rewrites": 0_i64,
        "revisions": [],
    };
    if store.messages().insert(&document).await? {
        return Ok(());
    }
    let own = doc! { "_id": &message.id, "conversation_id": &message.conversation_id };
    match store.messages().one(own, doc! { "_id": 1 }).await? {
        Some(_) => Ok(()),
        None => Err(Error::Damaged(format!("the place of message {} is taken", message.id))),
    }
}

/// Lets a message say something else, unless it does.
pub(super) async fn replace(
    store: &MongoStore,
    message: &Message,
    revision: &Revision,
    no: i64,
) -> Answer<()> {
    let before = doc! { "_id": &message.id, "rewrites": no };
    let says = doc! { "body": json(message)?, "updated_at": message.updated_at.as_ms(),
    "words": words(message) };
    let change = doc! { "$set": says, "$inc": { "rewrites": 1_i64 },
    "$push": { "revisions": json(revision)? } };
    store.messages().update(before, change).await.map(|_| ())
}

/// What a message is found by.
fn words(message: &Message) -> Vec<String> {
    terms(message).split_whitespace().map(str::to_owned).collect()
}

pub(super) async fn search(store: &MongoStore, wanted: &Search) -> Answer<Vec<Message>> {
    let mut filter = doc! { "words": { "$all": &wanted.terms } };
    let mut places = Vec::new();
    if let Some(customer) = &wanted.customer_id {
        let own = doc! { "customer_id": customer };
        let newest = doc! { "last_message_at": -1 };
        let found = store.conversations().all(own, doc! { "_id": 1 }, newest, PLACES_MAX).await?;
        let ids = found.iter().map(|found| found.text("_id")).collect::<Answer<Vec<_>>>()?;
        places.push(doc! { "conversation_id": { "$in": ids } });
    }
    if let Some(id) = &wanted.conversation_id {
        places.push(doc! { "conversation_id": id });
    }
    if !places.is_empty() {
        filter.insert("$and", places);
    }
    if let Some(id) = &wanted.before {
        let Some(before) = document(store, id).await? else { return Ok(Vec::new()) };
        let at = before.number("updated_at")?;
        let as_old = doc! { "updated_at": at, "_id": { "$lt": id } };
        filter.insert("$or", vec![doc! { "updated_at": { "$lt": at } }, as_old]);
    }
    let newest = doc! { "updated_at": -1, "_id": -1 };
    let found = store.messages().all(filter, doc! { "body": 1 }, newest, wanted.max).await?;
    found.iter().map(read).collect()
}

pub(super) async fn find(store: &MongoStore, id: &str) -> Answer<Option<Message>> {
    if let Some(found) = document(store, id).await? {
        return read(&found).map(Some);
    }
    // It may be stored and not yet at its place.
    let coming = doc! { "pending.id": id };
    let Some(of) = store.conversations().one(coming, doc! { "_id": 1 }).await? else {
        return Ok(None);
    };
    settled(store, &of.text("_id")?).await?;
    document(store, id).await?.as_ref().map(read).transpose()
}

async fn document(store: &MongoStore, id: &str) -> Answer<Option<Document>> {
    store.messages().one(doc! { "_id": id }, doc! {}).await
}

pub(super) async fn page(
    store: &MongoStore,
    conversation_id: &str,
    page: Page,
) -> Answer<Vec<Message>> {
    settled(store, conversation_id).await?;
    let (seqs, order, max) = match page {
        Page::After(seq, max) => (doc! { "$gt": number(seq) }, 1, max),
        Page::Before(seq, max) => (doc! { "$lt": number(seq) }, -1, max),
        Page::Last(max) => (doc! { "$gt": 0_i64 }, -1, max),
    };
    if max == 0 {
        return Ok(Vec::new());
    }
    let filter = doc! { "conversation_id": conversation_id, "seq": seqs };
    let found =
        store.messages().all(filter, doc! { "body": 1 }, doc! { "seq": order }, max).await?;
    let mut found: Vec<Message> = found.iter().map(read).collect::<Answer<_>>()?;
    if order < 0 {
        found.reverse();
    }
    Ok(found)
}

/// All rewritings in a conversation come one after the other, by a count in its document.
pub(super) async fn rewrite(
    store: &MongoStore,
    before: &Message,
    after: &Message,
    revision: &Revision,
) -> Answer<bool> {
    let id = &before.conversation_id;
    for _ in 0..ATTEMPTS {
        let Some(head) = settled(store, id).await? else { return Ok(false) };
        let Some(stored) = document(store, &before.id).await? else { return Ok(false) };
        if read(&stored)? != *before {
            return Ok(false);
        }
        head.check_room()?;
        let duties = [pending::new(Duty::Rewrite {
            message: Box::new(after.clone()),
            revision: Box::new(revision.clone()),
            no: stored.number("rewrites")?,
        })];
        let guard = doc! { "_id": id, "rewrites": head.rewrites };
        let push = pending::push(&duties, &[received(after)?])?;
        let change = doc! { "$inc": { "rewrites": 1_i64 }, "$push": push };
        if store.conversations().update(guard, change).await? {
            settle_or_leave(store, id, &duties).await;
            store.0.tell_events();
            return Ok(true);
        }
    }
    Err(Error::Contended("other messages are rewritten at this moment".to_owned()))
}

pub(super) async fn revisions(store: &MongoStore, message_id: &str) -> Answer<Vec<Revision>> {
    let Some(found) = document(store, message_id).await? else { return Ok(Vec::new()) };
    let wrong = |why: &dyn std::fmt::Display| Error::Damaged(format!("revisions: {why}"));
    let texts = found.get_array("revisions").map_err(|error| wrong(&error))?;
    let read = |text: &crate::store::mongo::Bson| {
        serde_json::from_str(text.as_str().unwrap_or_default()).map_err(|error| wrong(&error))
    };
    texts.iter().map(read).collect()
}

fn read(document: &Document) -> Answer<Message> {
    document.json("body")
}
