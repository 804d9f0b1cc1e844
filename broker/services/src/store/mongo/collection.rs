//! A collection, and the few things that are done with its documents.

use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::{Acknowledgment, ReadConcern, ReturnDocument, WriteConcern};

use super::server::{Mongo, answer};
use crate::store::Error;

/// A collection of documents.
#[derive(Clone, Debug)]
pub(crate) struct Collection {
    server: Mongo,
    name: &'static str,
    is_hasty: bool,
}

impl Collection {
    pub(super) fn new(server: &Mongo, name: &'static str) -> Self {
        Collection { server: server.clone(), name, is_hasty: false }
    }

    /// The same, whose updates are told as soon as one server has them: for what is done again if it
    /// is lost.
    pub(crate) fn hasty(&self) -> Self {
        Collection { is_hasty: true, ..self.clone() }
    }

    async fn inner(&self) -> Result<mongodb::Collection<Document>, Error> {
        Ok(self.server.database().await?.collection(self.name))
    }

    /// The document that matches, with these fields; an empty list means all.
    pub(crate) async fn one(
        &self,
        filter: Document,
        fields: Document,
    ) -> Result<Option<Document>, Error> {
        answer(self.inner().await?.find_one(filter).projection(fields)).await
    }

    /// The document of this id as most members have it for good.
    pub(crate) async fn lasting(&self, id: &str) -> Result<Option<Document>, Error> {
        let inner = self.inner().await?;
        answer(inner.find_one(doc! { "_id": id }).read_concern(ReadConcern::linearizable())).await
    }

    /// The documents that match, with these fields, in this order, at most `max`.
    pub(crate) async fn all(
        &self,
        filter: Document,
        fields: Document,
        order: Document,
        max: u32,
    ) -> Result<Vec<Document>, Error> {
        let inner = self.inner().await?;
        let found = inner.find(filter).projection(fields).sort(order).limit(i64::from(max));
        let mut cursor = answer(found).await?;
        let mut all = Vec::new();
        while answer(cursor.advance()).await? {
            all.push(cursor.deserialize_current()?);
        }
        Ok(all)
    }

    /// Adds a document; whether there was none with the same unique fields.
    pub(crate) async fn insert(&self, document: &Document) -> Result<bool, Error> {
        match answer(self.inner().await?.insert_one(document)).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes the first document that matches; whether one did.
    pub(crate) async fn update(&self, filter: Document, change: Document) -> Result<bool, Error> {
        let inner = self.inner().await?;
        let update = inner.update_one(filter, change);
        let update = match self.is_hasty {
            true => {
                update.write_concern(WriteConcern::builder().w(Acknowledgment::Nodes(1)).build())
            }
            false => update,
        };
        Ok(answer(update).await?.matched_count > 0)
    }

    /// Changes the document that matches, or adds what the change makes of none; whether it could:
    /// not if one that does not match has the same unique fields.
    pub(crate) async fn upsert(&self, filter: Document, change: Document) -> Result<bool, Error> {
        match answer(self.inner().await?.update_one(filter, change).upsert(true)).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes the document that matches; as it is then.
    pub(crate) async fn changed(
        &self,
        filter: Document,
        change: Document,
    ) -> Result<Option<Document>, Error> {
        let inner = self.inner().await?;
        let update = inner.find_one_and_update(filter, change);
        answer(update.return_document(ReturnDocument::After)).await
    }

    /// Removes the document that matches; whether one did.
    pub(crate) async fn remove(&self, filter: Document) -> Result<bool, Error> {
        Ok(answer(self.inner().await?.delete_one(filter)).await?.deleted_count > 0)
    }

    /// Takes an index away, if there is one of the name.
    pub(super) async fn drop_index(&self, name: &str) -> Result<(), Error> {
        let inner = self.inner().await?;
        let dropped = async {
            match inner.drop_index(name).await {
                Err(error) if is_unknown_index(&error) => Ok(()),
                dropped => dropped,
            }
        };
        answer(dropped).await
    }

    /// Makes indexes that are missing.
    pub(super) async fn indexes(&self, indexes: Vec<Document>) -> Result<(), Error> {
        let command = doc! { "createIndexes": self.name, "indexes": indexes };
        self.server.command(command).await.map(|_| ())
    }
}

/// Whether the server says that there is no such index.
fn is_unknown_index(error: &mongodb::error::Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == 27)
}
