//! Pages of kept messages.

use crate::Received;

/// One page of a topic's kept messages.
#[derive(Clone, Debug)]
pub struct Page {
    /// Epoch of the offsets.
    pub epoch: u64,
    /// First offset still kept.
    pub floor: u64,
    /// Offset to continue from with `HistoryFrom::Offset`: behind the last message here, or where
    /// the topic stands if the page is empty.
    pub next: u64,
    /// The messages, by rising offset.
    pub messages: Vec<Received>,
}
