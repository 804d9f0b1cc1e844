//! A message, as it is stored and sent, and as a client asks for one.

use serde::{Deserialize, Serialize};

use super::attachment::Attachment;
use super::extra::Extra;

/// As what a user takes part: `sender_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Sender {
    /// The customer.
    Customer,
    /// An agent, or an admin who writes as one.
    Agent,
    /// The shop itself.
    System,
}

/// What a message is: `message_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Text.
    #[default]
    Text,
    /// Pictures, with or without text.
    Image,
    /// Files, with or without text.
    File,
    /// What the shop itself says.
    System,
    /// A question with answers to choose from, or such an answer.
    QuickReply,
}

/// How far a message has come, derived from the cursors of those it is for: `status`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Receipt {
    /// The shop has it.
    #[default]
    Sent,
    /// It has reached somebody it is for.
    Delivered,
    /// Somebody it is for has read it.
    Read,
}

/// One of the answers that a message offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct QuickReply {
    /// Id, once per message.
    pub id: String,
    /// What the customer sees.
    pub title: String,
    /// What it means to the shop.
    pub payload: String,
}

/// What a message of the shop itself tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "line", rename_all = "snake_case")]
pub enum SystemLine {
    /// An agent has the chat.
    Assigned {
        /// The agent.
        agent_id: String,
    },
    /// The chat waits for an agent again.
    Requeued,
    /// One agent has handed it to another.
    Transferred {
        /// Who had it.
        from: String,
        /// Who has it.
        to: String,
    },
    /// It is answered.
    Resolved,
    /// The customer has come back to it.
    Reopened,
    /// Nobody is there; somebody will answer later.
    OutOfHours,
}

/// What goes with a message, `MessageMetadata` of the requirements.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Metadata {
    /// Answers to choose from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quick_replies: Vec<QuickReply>,
    /// The answer that was chosen, of the message that `reply_to` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quick_reply_id: Option<String>,
    /// What the shop itself tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<SystemLine>,
    /// What clients add for one another.
    #[serde(flatten)]
    pub other: Extra,
}

/// What a message says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Content {
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// A message, `ChatMessage` of the requirements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Message"))]
pub struct Message<Time = String> {
    /// Id.
    pub id: String,
    /// Its conversation.
    pub conversation_id: String,
    /// Its place there; the order of messages is that of their sequences.
    pub seq: u64,
    /// The sender's own id for it; once per conversation and sender.
    pub client_message_id: String,
    /// Who sent it.
    pub sender_id: String,
    /// As what.
    pub sender_type: Sender,
    /// What it says; empty once it is deleted.
    pub content: Content,
    /// What it is.
    pub message_type: Kind,
    /// How far it has come.
    #[serde(default)]
    pub status: Receipt,
    /// When it came.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
    /// Times its conversation had been given to an agent when it came.
    #[serde(default)]
    pub epoch: u64,
    /// Id of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether only agents see it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub private: bool,
    /// When it was edited last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edited_at: Option<Time>,
    /// When it was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Time>,
}

/// What a client asks to be said.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DraftContent {
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Ids of files that the sender has uploaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<String>,
    /// What goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

/// What a client sends, `MessagePayload` of `message:send`. What only the shop can know is no
/// part of it, and is passed over if a client gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Draft {
    /// The conversation.
    pub conversation_id: String,
    /// The sender's own id; a draft that is sent again with it is one message.
    pub client_message_id: String,
    /// What it is to say.
    pub content: DraftContent,
    /// What it is.
    #[serde(default)]
    pub message_type: Kind,
    /// Id of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Whether only agents are to see it.
    #[serde(default)]
    pub private: bool,
}
