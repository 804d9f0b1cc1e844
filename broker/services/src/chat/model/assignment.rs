//! The times that agents have had chats.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Reason;
use crate::moment::Moment;

/// Why an agent has a chat no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// It was resolved.
    Resolved,
    /// It was archived.
    Archived,
    /// It was handed to somebody else.
    Transferred,
    /// It was put aside.
    Snoozed,
    /// It was given back to the queue.
    Unassigned,
    /// The agent went offline.
    Offline,
    /// The agent did not reply in time.
    NoReply,
}

/// One time that an agent had a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Assignment {
    /// Id.
    pub id: String,
    /// The chat.
    pub conversation_id: String,
    /// The agent.
    pub agent_id: String,
    /// Which time; once per chat.
    pub epoch: u64,
    /// Why it began.
    pub reason: Reason,
    /// When it began.
    pub assigned_at: Moment,
    /// When the agent first replied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_reply_at: Option<Moment>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Moment>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
}
