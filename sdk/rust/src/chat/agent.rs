//! A support agent.

use serde::{Deserialize, Serialize};

/// Whether an agent takes chats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Takes new chats.
    Online,
    /// Keeps its chats and takes no new ones by itself.
    Busy,
    /// Has none.
    #[default]
    Offline,
}

impl Status {
    /// All of them.
    pub const ALL: &[Status] = &[Status::Online, Status::Busy, Status::Offline];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Status::Online => "online",
            Status::Busy => "busy",
            Status::Offline => "offline",
        }
    }
}

/// A support agent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Agent"))]
pub struct Agent<Time = String> {
    /// Id, as in the subject of the agent's tokens.
    pub id: String,
    /// The name that customers see.
    pub name: String,
    /// E-mail address; one agent's only.
    pub email: String,
    /// What the agent has chosen.
    pub status: Status,
    /// What the agent can help with.
    #[serde(default)]
    pub skills: Vec<String>,
    /// Languages the agent writes, such as `th`.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Chats that the agent may have at once.
    pub concurrent_limit: u32,
    /// Chats that the agent has: its active ones, never its past.
    #[serde(default)]
    pub current_conversations: u32,
    /// One more with each change of `current_conversations` or `concurrent_limit`.
    #[serde(default)]
    pub load_version: u64,
    /// Mean seconds of a reply in the last 30 days; null without any.
    #[serde(default)]
    pub response_time_avg: Option<f64>,
    /// Mean rating of the last 90 days; null below five.
    #[serde(default)]
    pub satisfaction_rating: Option<f64>,
    /// When a chat was last given to the agent.
    pub last_assigned_at: Option<Time>,
    /// Since when the agent is offline, by choice or because its last session ended.
    pub offline_since: Option<Time>,
    /// When a session of the agent was last seen to live.
    pub last_seen_at: Option<Time>,
}

impl<Time> Agent<Time> {
    /// Chats that the agent could still take.
    #[must_use]
    pub fn free_slots(&self) -> u32 {
        self.concurrent_limit.saturating_sub(self.current_conversations)
    }
}
