//! The map from topic name to id, class and owner, shared by all shards.

use std::sync::Arc;

use sampan_protocol::Topic;

use crate::class::Rule;

/// What is fixed about a topic for the life of the broker process.
#[derive(Debug)]
pub struct Entry {
    /// Broker-wide id, never reused within the process.
    pub id: u64,
    /// The topic's name.
    pub topic: Topic,
    /// The shard that orders the topic's messages.
    pub owner: u8,
    /// The topic's class and retention.
    pub rule: Arc<Rule>,
}

/// The directory holds as many topics as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The shared directory. An implementation is safe to call from every shard at once and never
/// hands out a guard.
pub trait Directory: Send + Sync {
    /// The entry of `topic`, made now if the topic is new.
    ///
    /// # Errors
    /// `Full` if the topic is new and the directory holds its most.
    fn resolve(&self, topic: &Topic) -> Result<Arc<Entry>, Full>;

    /// The entry of `topic`, if it exists.
    fn find(&self, topic: &Topic) -> Option<Arc<Entry>>;

    /// The entry with this id, if it exists.
    fn by_id(&self, id: u64) -> Option<Arc<Entry>>;
}

/// The shard that owns `topic`, the same in every run with the same number of shards.
///
/// FNV-1a over the name, folded; its spread is enough for a handful of shards.
#[must_use]
pub fn owner(topic: &Topic, shards: u8) -> u8 {
    let hash = topic.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let folded = (hash >> 32) ^ hash;
    u8::try_from(folded % u64::from(shards.max(1))).unwrap_or(0)
}
