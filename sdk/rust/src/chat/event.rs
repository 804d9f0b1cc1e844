//! Payloads of the events of a chat.
//!
//! The fields in camel case are those of the requirements; the ones beside them came later.

use serde::{Deserialize, Serialize};

use super::agent::Status as AgentStatus;
use super::conversation::Status;
use super::waiting::Reason;

/// `user:typing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", schemars(rename = "TypingEvent"))]
pub struct TypingEvent<Time = String> {
    /// Who types.
    pub user_id: String,
    /// Where.
    pub conversation_id: String,
    /// Whether, or no longer.
    #[serde(default = "yes")]
    pub typing: bool,
    /// When it no longer holds.
    #[serde(rename = "expires_at", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,
}

fn yes() -> bool {
    true
}

/// `message:delivered` and `message:read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceiptEvent {
    /// The last message that it is about; all before it are meant too.
    pub message_id: String,
    /// Whom it reached, or who read it.
    pub user_id: String,
    /// The conversation.
    #[serde(default, rename = "conversation_id", skip_serializing_if = "String::is_empty")]
    pub conversation_id: String,
    /// The sequence up to which it holds.
    #[serde(default, rename = "up_to_seq")]
    pub up_to_seq: u64,
}

/// `conversation:join` and `conversation:leave`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct JoinEvent {
    /// The conversation.
    pub conversation_id: String,
    /// Who.
    pub user_id: String,
}

/// `conversation:status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct StatusEvent {
    /// The conversation.
    pub conversation_id: String,
    /// How it stood.
    pub old: Status,
    /// How it stands.
    pub new: Status,
    /// Its version since.
    pub version: u64,
}

/// `conversation:archived`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ArchivedEvent {
    /// The conversation.
    pub conversation_id: String,
}

/// `agent:assigned`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssignedEvent {
    /// The conversation.
    pub conversation_id: String,
    /// Who has it.
    pub agent_id: String,
    /// Times it was given to an agent; one event each.
    pub epoch: u64,
    /// Why.
    pub reason: Reason,
}

/// `agent:transfer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TransferEvent {
    /// The conversation.
    pub conversation_id: String,
    /// Who had it.
    pub from_agent: String,
    /// Who has it.
    pub to_agent: String,
    /// Times it was given to an agent.
    #[serde(default)]
    pub epoch: u64,
}

/// `agent:available`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AvailableEvent {
    /// The agent.
    pub agent_id: String,
    /// Whether the agent takes chats.
    pub status: AgentStatus,
}

/// `agent:load`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LoadEvent {
    /// The agent.
    pub agent_id: String,
    /// Chats that the agent has.
    pub current: u32,
    /// Chats that the agent may have at once.
    pub limit: u32,
    /// The agent's `load_version`: of two loads the one with the higher counts.
    #[serde(default)]
    pub version: u64,
}

/// `queue:position`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PositionEvent {
    /// The conversation.
    pub conversation_id: String,
    /// Its place; the next one's is 1.
    pub position: u32,
    /// Conversations that wait.
    pub total: u32,
    /// Seconds until an agent has it; absent if nobody can say.
    #[serde(default, rename = "eta_seconds", skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u32>,
}
