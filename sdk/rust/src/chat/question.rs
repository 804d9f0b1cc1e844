//! What is asked of chat, and answered. Members in camel case are those of the requirements; each
//! may be written the other way too.

use serde::{Deserialize, Serialize};

use super::agent::{Agent, Status as AgentStatus};
use super::conversation::{Conversation, Origin, Priority};
use super::message::Message;
use super::participant::Participant;
use super::waiting::Wants;

/// A conversation begins. The same `client_conversation_id` of the same customer is the same
/// conversation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The customer's own id for it.
    pub client_conversation_id: String,
    /// Whose it is, if another than the asker begins it.
    #[serde(default)]
    pub customer_id: Option<String>,
    /// How it began.
    #[serde(default)]
    pub metadata: Option<Origin>,
    /// How urgent it is; the shop's to say.
    #[serde(default)]
    pub priority: Option<Priority>,
    /// Words of the shop's own.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What its agent should be able to do.
    #[serde(default)]
    pub wants: Wants,
}

/// One conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Of {
    /// The conversation.
    #[serde(alias = "conversationId", alias = "id")]
    pub conversation_id: String,
}

/// A conversation as it stands, for one who comes to look at it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Snapshot"))]
pub struct Snapshot<Time = String> {
    /// The conversation.
    pub conversation: Conversation<Time>,
    /// Who takes or took part.
    pub participants: Vec<Participant<Time>>,
    /// Its last messages, in order, each with how far it has come.
    pub messages: Vec<Message<Time>>,
    /// Sequence of its last message. Whoever subscribed before asking has missed none: what comes
    /// live up to this one is in `messages`, or before them.
    pub last_seq: u64,
}

/// A page of a conversation's messages: those before a sequence, those behind one, or the last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PageWanted {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// Those before this sequence.
    #[serde(default)]
    pub before: Option<u64>,
    /// Those behind this sequence.
    #[serde(default)]
    pub after: Option<u64>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// What is sought in messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SearchWanted {
    /// Words, all of which a message has; where a script has no spaces, any part of a text.
    pub text: String,
    /// In this conversation only.
    #[serde(default, alias = "conversationId")]
    pub conversation_id: Option<String>,
    /// Older ones than this message: `next` of the page before.
    #[serde(default)]
    pub before: Option<String>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// What was found, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Found"))]
pub struct Found<Time = String> {
    /// The messages.
    pub messages: Vec<Message<Time>>,
    /// What `before` is for the next page, if there may be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Messages in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Messages"))]
pub struct Messages<Time = String> {
    /// The messages, each with how far it has come.
    pub messages: Vec<Message<Time>>,
}

/// How far the asker has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Come {
    /// A message; all before it are meant too.
    #[serde(default, alias = "messageId")]
    pub message_id: Option<String>,
    /// The conversation, if a sequence is given.
    #[serde(default, alias = "conversationId")]
    pub conversation_id: Option<String>,
    /// A sequence instead of a message.
    #[serde(default)]
    pub up_to_seq: Option<u64>,
    /// The asker, if given.
    #[serde(default, alias = "userId")]
    pub user_id: Option<String>,
}

/// How far the asker has come since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cursors {
    /// The conversation.
    pub conversation_id: String,
    /// All up to this one have reached the asker.
    pub delivered_seq: u64,
    /// All up to this one the asker has read.
    pub read_seq: u64,
}

/// The asker types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Typing {
    /// Where.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// Whether, or no longer.
    #[serde(default = "yes")]
    pub typing: bool,
    /// The asker, if given.
    #[serde(default, alias = "userId")]
    pub user_id: Option<String>,
}

fn yes() -> bool {
    true
}

/// Another text for a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The message.
    #[serde(alias = "messageId")]
    pub message_id: String,
    /// What it is to say.
    pub text: String,
}

/// A message that is to be no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The message.
    #[serde(alias = "messageId")]
    pub message_id: String,
}

/// Which conversations: the asker's own, or those that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListWanted {
    /// A customer's, for those who may see them.
    #[serde(default, alias = "customerId")]
    pub customer_id: Option<String>,
    /// Those that wait for an agent, the longest first; for agents.
    #[serde(default)]
    pub waiting: bool,
}

/// Conversations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "List"))]
pub struct List<Time = String> {
    /// At most 100.
    pub conversations: Vec<Conversation<Time>>,
}

/// An agent hands a conversation over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// Who has it, if another than the asker hands it over.
    #[serde(default, alias = "fromAgent")]
    pub from_agent: Option<String>,
    /// To whom, an agent by id.
    #[serde(default, alias = "toAgent")]
    pub to_agent: Option<String>,
    /// Or to whoever has this skill.
    #[serde(default, alias = "toSkill")]
    pub to_skill: Option<String>,
    /// Whether the agent is asked first, and has 60 s to answer.
    #[serde(default)]
    pub ask: bool,
    /// Whether it goes also to an agent who is offline or has no free slot; for admins.
    #[serde(default)]
    pub force: bool,
    /// For the one who gets it; customers do not see it.
    #[serde(default)]
    pub note: Option<String>,
}

/// The answer to a hand-over that the asker was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HandOverAnswer {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// Whether the asker takes it.
    pub accept: bool,
}

/// A conversation is given to an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Assign {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// To whom; the asker, if nobody is named.
    #[serde(default, alias = "agentId")]
    pub agent_id: Option<String>,
    /// Whether it is given also to one who is offline or has no free slot; for admins.
    #[serde(default)]
    pub force: bool,
}

/// A conversation is put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Snooze"))]
#[serde(deny_unknown_fields)]
pub struct Snooze<Time = String> {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// Until when.
    pub until: Time,
}

/// Whether an agent takes chats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Available {
    /// The agent; the asker, if nobody is named.
    #[serde(default, alias = "agentId")]
    pub agent_id: Option<String>,
    /// Whether.
    pub status: AgentStatus,
}

/// What the shop tells of an agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AgentTold {
    /// Id, as in the subject of the agent's tokens.
    pub id: String,
    /// The name that customers see.
    pub name: String,
    /// E-mail address; one agent's only.
    pub email: String,
    /// What the agent can help with.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Languages the agent writes.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Chats that the agent may have at once, up to 100.
    pub concurrent_limit: u32,
}

/// Agents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Agents"))]
pub struct Agents<Time = String> {
    /// All of them, by id.
    pub agents: Vec<Agent<Time>>,
}

/// A question without members.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A customer rates the last resolution of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The conversation.
    pub conversation_id: String,
    /// 1, the worst, to 5, the best.
    pub rating: u8,
    /// In the customer's words.
    #[serde(default)]
    pub comment: Option<String>,
}
