//! What a waiting chat asks of an agent, and what it is once it has one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// What an agent should be able to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Wants {
    /// Skills without which it does not go.
    #[serde(default)]
    pub required_skills: Vec<String>,
    /// Skills that would be good to have.
    #[serde(default)]
    pub preferred_skills: Vec<String>,
}

/// Why an agent was given a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The routing chose.
    Auto,
    /// The agent picked it, or an admin chose.
    Manual,
    /// Another agent handed it over.
    Transfer,
    /// The agent before went offline.
    ReassignOffline,
    /// The agent before did not reply in time.
    ReassignTimeout,
}

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
