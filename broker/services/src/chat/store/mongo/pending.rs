//! The list `pending` of a document: what follows from its changes and has not happened yet.
//!
//! An entry is a duty, which this store carries out, or an event, which the relay publishes. The
//! duties of a change stand before its events.

use sampan_client::Topic;

use super::duty::Duty;
use crate::chat::store::Answer;
use crate::id::Id;
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::Error;
use crate::store::encoding::{json, number};
use crate::store::mongo::{Bson, Document, Fields, doc};

/// Entries of a document. While nothing is published, changes beyond them are refused.
const ENTRIES_MAX: usize = 1_000;
/// What no document with room for another change has.
pub(super) const LAST: &str = "pending.999";

/// What is said to those for whom there is no room.
pub(super) fn full() -> Error {
    Error::Unavailable("too many events of it wait to be published".to_owned())
}

/// Whether there is room for more, with so many entries.
pub(super) fn check_room(entries: usize) -> Answer<()> {
    if entries < ENTRIES_MAX { Ok(()) } else { Err(full()) }
}

/// What an update adds to the list.
pub(super) fn push(duties: &[(String, Duty)], events: &[Event]) -> Answer<Document> {
    let duties = duties.iter().map(|(id, duty)| Ok(doc! { "id": id, "duty": json(duty)? }));
    let entries: Vec<Document> = duties.chain(events.iter().map(entry)).collect::<Answer<_>>()?;
    Ok(doc! { "pending": { "$each": entries } })
}

/// The entries of a document that has just been made.
pub(super) fn entries(events: &[Event]) -> Answer<Vec<Document>> {
    events.iter().map(entry).collect()
}

/// A duty with an id of its own.
pub(super) fn new(duty: Duty) -> (String, Duty) {
    (Id::new().to_string(), duty)
}

fn entry(event: &Event) -> Answer<Document> {
    event.check()?;
    let version = event.version.map(number);
    Ok(
        doc! { "id": &event.id, "topic": event.topic.as_str(), "name": &event.name, "key": event.key.clone(),
        "version": version, "producer": &event.producer, "occurred_at": event.occurred_at.as_ms(),
        "payload": &event.payload },
    )
}

/// An entry's event.
pub(super) fn event(entry: &Document) -> Answer<Event> {
    let topic = entry.text("topic")?;
    let topic = Topic::parse(&topic)
        .map_err(|error| Error::Damaged(format!("pending: topic {topic:?}: {error}")))?;
    Ok(Event {
        id: entry.text("id")?,
        topic,
        name: entry.text("name")?,
        key: entry.maybe_text("key")?,
        version: entry.maybe_number("version")?.and_then(|version| u64::try_from(version).ok()),
        producer: entry.text("producer")?,
        occurred_at: Moment::from_ms(entry.number("occurred_at")?),
        payload: entry.text("payload")?,
    })
}

/// An entry's duty; none if it is an event.
pub(super) fn duty(entry: &Document) -> Answer<Option<(String, Duty)>> {
    if !entry.contains_key("duty") {
        return Ok(None);
    }
    Ok(Some((entry.text("id")?, entry.json("duty")?)))
}

/// The duties among a document's entries.
pub(super) fn duties(entries: &[Document]) -> Answer<Vec<(String, Duty)>> {
    entries.iter().filter_map(|entry| duty(entry).transpose()).collect()
}

/// Takes entries from the list of a document.
pub(super) fn pull(ids: &[String]) -> Document {
    let ids: Vec<Bson> = ids.iter().map(Bson::from).collect();
    doc! { "$pull": { "pending": { "id": { "$in": ids } } } }
}
