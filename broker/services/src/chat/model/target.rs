//! To whom chats are handed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// To whom a chat is handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TransferTarget {
    /// One agent, by id.
    Agent(String),
    /// Whoever has this skill.
    Skill(String),
}
