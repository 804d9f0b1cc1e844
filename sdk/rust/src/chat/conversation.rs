//! A conversation between a customer and the shop.

use serde::{Deserialize, Serialize};

use super::waiting::{Reason, Wants};

/// Where a conversation stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// An agent has it.
    Active,
    /// It waits for an agent.
    #[default]
    Waiting,
    /// It is answered; the customer may come back to it for a while.
    Resolved,
    /// It is over for good, and nothing is added.
    Archived,
}

impl Status {
    /// All of them.
    pub const ALL: &[Status] =
        &[Status::Active, Status::Waiting, Status::Resolved, Status::Archived];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Waiting => "waiting",
            Status::Resolved => "resolved",
            Status::Archived => "archived",
        }
    }
}

/// How urgent it is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// It can wait.
    Low,
    /// As most are.
    #[default]
    Medium,
    /// Sooner than most.
    High,
    /// At once.
    Urgent,
}

/// Where a customer writes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// A browser.
    #[default]
    Web,
    /// The shop's application.
    Mobile,
    /// Facebook.
    Facebook,
    /// LINE.
    Line,
}

/// How a conversation began: its `metadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// Where the customer writes from.
    pub source: Source,
    /// The page on which it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_url: Option<String>,
    /// The customer's program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The customer's language, such as `th`.
    pub language: String,
}

/// A chat that is being handed to somebody who has not answered yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Transfer"))]
pub struct Transfer<Time = String> {
    /// Who hands it over.
    pub from: String,
    /// The agent who is asked.
    pub to: String,
    /// What the one tells the other; customers do not see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When it was asked.
    pub asked_at: Time,
    /// When it no longer holds.
    pub expires_at: Time,
}

/// A conversation. Everything about who has it is here, so that one guarded update on `version`
/// changes all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Conversation"))]
pub struct Conversation<Time = String> {
    /// Id.
    pub id: String,
    /// Whose it is.
    pub customer_id: String,
    /// Who has it: exactly while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// How urgent it is.
    #[serde(default)]
    pub priority: Priority,
    /// Words of the shop's own.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How it began.
    pub metadata: Origin,
    /// When it began.
    pub created_at: Time,
    /// When the last message came.
    pub last_message_at: Time,
    /// When it was last resolved, while it is resolved or archived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<Time>,
    /// Since when the customer waits for an agent; kept while an agent has it who has not replied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_since: Option<Time>,
    /// Until when it is put aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snoozed_until: Option<Time>,
    /// When its agent was given it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Time>,
    /// Why its agent was given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_reason: Option<Reason>,
    /// When the agent first replied since it last began to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_reply_at: Option<Time>,
    /// Who had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_agent_id: Option<String>,
    /// What its agent should be able to do.
    #[serde(default)]
    pub wants: Wants,
    /// Agents who did not reply in time; not asked again before somebody else has had it.
    #[serde(default)]
    pub excluded_agents: Vec<String>,
    /// A hand-over that waits for an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transfer: Option<Transfer<Time>>,
    /// Times it was resolved.
    #[serde(default)]
    pub resolution_no: u32,
    /// Times it was given to an agent. Only the last counts.
    #[serde(default)]
    pub epoch: u64,
    /// Sequence of the next message; the first is 1.
    #[serde(default)]
    pub next_seq: u64,
    /// One more with every change: what a change is guarded by.
    #[serde(default)]
    pub version: u64,
}

impl<Time: Clone + Default> Conversation<Time> {
    /// A conversation that begins, and waits.
    #[must_use]
    pub fn new(id: &str, customer_id: &str, metadata: Origin, now: Time) -> Self {
        Conversation {
            id: id.to_owned(),
            customer_id: customer_id.to_owned(),
            metadata,
            created_at: now.clone(),
            last_message_at: now.clone(),
            waiting_since: Some(now),
            next_seq: 1,
            version: 1,
            ..Conversation::default()
        }
    }

    /// Whether it takes an agent's time or will: neither answered nor put aside.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.status, Status::Waiting | Status::Active)
    }

    /// Whether an agent is to be found for it.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.status == Status::Waiting && self.snoozed_until.is_none()
    }
}
