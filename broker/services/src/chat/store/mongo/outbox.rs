//! The relay's view: the lists `pending` of conversations and agents.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::warn;

use super::duty::settle;
use super::schema::{AGENTS, CONVERSATIONS, REFUSED};
use super::{MongoStore, pending, recount};
use crate::outbox::{Done, Open, Source};
use crate::store::mongo::{Bson, Document, Fields, doc};
use crate::store::{Error, Leases};

/// Documents of one round, of each collection.
const DOCUMENTS: u32 = 32;
/// Entries of each.
const ENTRIES: i64 = 64;

/// Where an entry is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    collection: &'static str,
    document: String,
    entry: String,
}

impl Leases for MongoStore {
    async fn take(&self, name: &str, owner: &str, ttl_ms: i64) -> Result<bool, Error> {
        self.0.take(name, owner, ttl_ms).await
    }

    async fn give_back(&self, name: &str, owner: &str) -> Result<(), Error> {
        self.0.give_back(name, owner).await
    }
}

impl Source for MongoStore {
    type Key = Key;

    /// What a crash has left half done is seen to so soon.
    const UPKEEP: Duration = Duration::from_secs(5);

    async fn open(&self, passed: &[String]) -> Result<Vec<Open<Key>>, Error> {
        loop {
            let (mut open, mut found) = (Vec::new(), 0);
            for collection in [CONVERSATIONS, AGENTS] {
                for document in self.oldest(collection, passed).await? {
                    found += 1;
                    open.extend(self.entries(collection, &document).await?);
                }
            }
            // Documents that had nothing but duties have made place for others.
            if found == 0 || !open.is_empty() {
                return Ok(open);
            }
        }
    }

    /// Those with a failure go to the collection `refused`, for people.
    async fn mark(&self, done: Vec<Done<Key>>) -> Result<(), Error> {
        let mut documents: BTreeMap<(&'static str, String), Vec<String>> = BTreeMap::new();
        for Done { key, failure } in done {
            if let Some(failure) = failure {
                self.set_aside(&key, &failure).await?;
            }
            documents.entry((key.collection, key.document)).or_default().push(key.entry);
        }
        for ((collection, document), entries) in documents {
            let own = doc! { "_id": document };
            // What is published twice, the broker takes once.
            self.0.collection(collection).hasty().update(own, pending::pull(&entries)).await?;
        }
        Ok(())
    }

    async fn upkeep(&self) -> Result<(), Error> {
        let wrong = recount::recount(self).await?;
        if wrong > 0 {
            warn!(wrong, "slots of agents were not what their chats say; they are now");
        }
        Ok(())
    }

    async fn wake(&self) {
        self.0.events().await;
    }
}

impl MongoStore {
    /// The documents with the oldest entries.
    async fn oldest(
        &self,
        collection: &'static str,
        passed: &[String],
    ) -> Result<Vec<Document>, Error> {
        let prefix = format!("{collection}/");
        let passed: Vec<&str> =
            passed.iter().filter_map(|place| place.strip_prefix(&prefix)).collect();
        let filter = doc! { "pending.id": { "$gt": "" }, "_id": { "$nin": passed } };
        let fields = doc! { "version": 1, "pending": { "$slice": ENTRIES } };
        let order = doc! { "pending.id": 1 };
        self.0.collection(collection).all(filter, fields, order, DOCUMENTS).await
    }

    /// The events of a document, whose duties are carried out first. What is neither is told as such.
    async fn entries(
        &self,
        collection: &'static str,
        found: &Document,
    ) -> Result<Vec<Open<Key>>, Error> {
        let id = found.text("_id")?;
        let mut open = Vec::new();
        for entry in found.documents("pending")? {
            let event = match pending::duty(&entry) {
                Ok(Some(duty)) => match settle(self, &id, &[duty]).await {
                    Ok(()) => continue,
                    Err(error @ Error::Damaged(_)) => Err(error),
                    Err(error) => return Err(error),
                },
                Ok(None) => pending::event(&entry),
                Err(error) => Err(error),
            };
            let key = Key { collection, document: id.clone(), entry: entry.text("id")? };
            open.push(Open { key, place: format!("{collection}/{id}"), event });
        }
        Ok(open)
    }

    async fn set_aside(&self, key: &Key, failure: &str) -> Result<(), Error> {
        let own = doc! { "_id": &key.document, "pending.id": &key.entry };
        let fields = doc! { "pending": { "$elemMatch": { "id": &key.entry } } };
        let Some(found) = self.0.collection(key.collection).one(own, fields).await? else {
            return Ok(());
        };
        let entry = found.documents("pending")?.pop().map_or(Bson::Null, Bson::Document);
        let refused = doc! { "_id": &key.entry, "collection": key.collection,
        "document": &key.document, "failure": failure, "entry": entry };
        self.0.collection(REFUSED).insert(&refused).await.map(|_| ())
    }
}
