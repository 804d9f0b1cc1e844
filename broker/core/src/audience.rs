//! The sessions of one shard that a topic flows to.

use std::sync::Arc;

use crate::directory::Entry;

/// One topic's subscribers on this shard.
#[derive(Debug)]
pub(crate) struct Audience {
    pub(crate) entry: Arc<Entry>,
    /// Session index and feed index.
    pub(crate) members: Vec<(u32, u32)>,
    /// Subscriptions to the topic by name, also those not yet confirmed; while there is one, the
    /// owner sends the topic here.
    pub(crate) named: u32,
}

impl Audience {
    pub(crate) fn new(entry: Arc<Entry>) -> Self {
        Audience { entry, members: Vec::new(), named: 0 }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.named == 0
    }
}
