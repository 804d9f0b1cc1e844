//! What a waiting chat asks of an agent, and what it is once it has one.

use serde::{Deserialize, Serialize};

/// What an agent should be able to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Wants {
    /// Skills without which it does not go.
    #[serde(default)]
    pub required_skills: Vec<String>,
    /// Skills that would be good to have.
    #[serde(default)]
    pub preferred_skills: Vec<String>,
}

/// Why an agent was given a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
