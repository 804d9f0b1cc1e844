//! How far a user has come in a conversation.

use serde::{Deserialize, Serialize};

use super::message::Sender;

/// A user in a conversation. Both cursors only grow, and `read_seq` is never above `delivered_seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Participant"))]
pub struct Participant<Time = String> {
    /// The conversation.
    pub conversation_id: String,
    /// The user.
    pub user_id: String,
    /// As what.
    pub role: Sender,
    /// Sequence up to which all messages have reached the user.
    pub delivered_seq: u64,
    /// Sequence up to which the user has read.
    pub read_seq: u64,
    /// Since when.
    pub joined_at: Time,
    /// When the user left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_at: Option<Time>,
    /// Whether the user wants no notifications of it.
    #[serde(default)]
    pub muted: bool,
}
