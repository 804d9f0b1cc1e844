//! Events of a chat, by name and payload.
//!
//! The fields in camel case are those of the requirements; the ones beside them came later.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::agent::Status as AgentStatus;
use super::conversation::Status;
use super::waiting::Reason;
use crate::moment::Moment;

macro_rules! names {
    ($($name:ident = $text:literal, $doc:literal;)*) => {
        /// The name of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Name { $(#[doc = $doc] $name,)* }

        impl Name {
            /// All of them.
            pub const ALL: &[Name] = &[$(Name::$name),*];

            /// The name on the wire.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Name::$name => $text,)* }
            }
        }
    };
}

names! {
    Typing = "user:typing", "Somebody types, or has stopped.";
    Receive = "message:receive", "A message has come, or has changed.";
    Delivered = "message:delivered", "Messages have reached a user.";
    Read = "message:read", "A user has read.";
    Join = "conversation:join", "A user looks at a conversation.";
    Leave = "conversation:leave", "A user looks at it no longer.";
    Status = "conversation:status", "A conversation stands differently.";
    Archived = "conversation:archived", "A conversation is over for good.";
    Assigned = "agent:assigned", "An agent has a conversation.";
    Transfer = "agent:transfer", "One agent has handed it to another.";
    Available = "agent:available", "An agent takes chats, or no longer.";
    Load = "agent:load", "An agent has more chats, or fewer.";
    Entered = "queue:entered", "A conversation waits.";
    Left = "queue:left", "A conversation waits no longer.";
    Position = "queue:position", "A conversation's place among those that wait.";
}

/// `user:typing`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypingEvent {
    /// Who types.
    pub user_id: String,
    /// Where.
    pub conversation_id: String,
    /// Whether, or no longer.
    #[serde(default = "yes")]
    pub typing: bool,
    /// When it no longer holds.
    #[serde(default, rename = "expires_at", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Moment>,
}

fn yes() -> bool {
    true
}

/// `message:delivered` and `message:read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct JoinEvent {
    /// The conversation.
    pub conversation_id: String,
    /// Who.
    pub user_id: String,
}

/// `conversation:status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ArchivedEvent {
    /// The conversation.
    pub conversation_id: String,
}

/// `agent:assigned`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailableEvent {
    /// The agent.
    pub agent_id: String,
    /// Whether the agent takes chats.
    pub status: AgentStatus,
}

/// `agent:load`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadEvent {
    /// The agent.
    pub agent_id: String,
    /// Chats that the agent has.
    pub current: u32,
    /// Chats that the agent may have at once.
    pub limit: u32,
}

/// `queue:position`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
