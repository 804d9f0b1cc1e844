//! What a database of MongoDB has to have before it is used: indexes, and a version to be known.

use mongodb::bson::{Document, doc};

use super::field::Fields;
use super::server::Mongo;
use crate::store::Error;

/// An index, which is made if it is missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    /// The collection.
    pub(crate) collection: &'static str,
    /// Its name there.
    pub(crate) name: &'static str,
    /// The fields that it goes by; all of them up.
    pub(crate) fields: &'static [&'static str],
    /// Whether no two documents may have the same.
    pub(crate) is_unique: bool,
}

/// The collections of one part. Whatever a newer version of it holds must be readable for each older
/// version that is not below `version`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// What the collections are for; one word.
    pub(crate) name: &'static str,
    /// One more with every change that an older program could do harm to.
    pub(crate) version: i64,
    /// The indexes.
    pub(crate) indexes: &'static [Index],
    /// Indexes that an older program made and none needs: collections and names.
    pub(crate) dropped: &'static [(&'static str, &'static str)],
}

/// Brings a database to what `shape` says. Any number of processes may do so at once.
///
/// # Errors
/// `Newer` if a newer program was here; nothing was changed then. Those of the database.
pub(crate) async fn shape(server: &Mongo, shape: &Shape) -> Result<(), Error> {
    let schemas = server.collection("schemas");
    let found = schemas.one(doc! { "_id": shape.name }, doc! {}).await?;
    let found = found.map_or(Ok(0), |found| found.number("version"))?;
    if found > shape.version {
        return Err(Error::Newer { schema: shape.name, found, known: shape.version });
    }
    for index in shape.indexes {
        let fields: Document =
            index.fields.iter().map(|&field| (field.to_owned(), 1.into())).collect();
        let wanted = doc! { "key": fields, "name": index.name, "unique": index.is_unique };
        server.collection(index.collection).indexes(vec![wanted]).await?;
    }
    for &(collection, name) in shape.dropped {
        server.collection(collection).drop_index(name).await?;
    }
    let reached = doc! { "$max": { "version": shape.version } };
    schemas.upsert(doc! { "_id": shape.name }, reached).await.map(|_| ())
}
