//! Texts that agents keep at hand.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may use a canned response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// One agent; the owner is its id.
    Personal,
    /// One team; the owner is its name.
    Team,
    /// Every agent; there is no owner.
    Global,
}

/// A text that an agent calls up by a shortcut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CannedResponse {
    /// Id.
    pub id: String,
    /// Who may use it.
    pub scope: Scope,
    /// Agent or team; empty for global ones.
    #[serde(default)]
    pub owner: String,
    /// What is typed to call it up; once per scope and owner.
    pub shortcut: String,
    /// The text. `{{name}}` stands for a variable.
    pub text: String,
}
