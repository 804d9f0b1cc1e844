//! Leases in MongoDB.

use mongodb::bson::doc;

use super::server::Mongo;
use crate::store::Error;
use crate::store::lease::Leases;

/// The collection of leases.
const LEASES: &str = "leases";

impl Leases for Mongo {
    async fn take(&self, name: &str, owner: &str, ttl_ms: i64) -> Result<bool, Error> {
        let now = self.now().await?;
        let free = doc! { "$or": [{ "owner": owner }, { "until": { "$lte": now } }], "_id": name };
        let taken = doc! { "$set": { "owner": owner, "until": now.saturating_add(ttl_ms) } };
        // A lease that another holds does not match, and cannot be added a second time.
        self.collection(LEASES).upsert(free, taken).await
    }

    async fn give_back(&self, name: &str, owner: &str) -> Result<(), Error> {
        let held = doc! { "_id": name, "owner": owner };
        self.collection(LEASES).remove(held).await.map(|_| ())
    }
}
