//! Texts that agents keep at hand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Who may use a canned response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One agent; the owner is its id.
    Personal,
    /// One team; the owner is its name.
    Team,
    /// Every agent; there is no owner.
    Global,
}

/// A text that an agent calls up by a shortcut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// A response to keep. It takes the place of its owner's with the same shortcut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Put"))]
#[serde(deny_unknown_fields)]
pub struct CannedPut {
    /// Who may use it.
    pub scope: Scope,
    /// Agent or team; the asker, if it is personal and nothing is said.
    #[serde(default)]
    pub owner: String,
    /// What is typed to call it up.
    pub shortcut: String,
    /// The text. `{{name}}` stands for a variable.
    pub text: String,
}

/// Which response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Wanted"))]
#[serde(deny_unknown_fields)]
pub struct CannedOf {
    /// Id.
    pub id: String,
}

/// Whether a response was there, and is no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Deleted"))]
pub struct CannedDeleted {
    /// Whether it was there.
    pub deleted: bool,
}

/// Which responses; those that the asker may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ListWanted"))]
#[serde(deny_unknown_fields)]
pub struct CannedListWanted {
    /// Those behind this id: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A page of responses, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "List"))]
pub struct CannedList {
    /// The responses.
    pub responses: Vec<CannedResponse>,
    /// What the next page is asked with, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A response to fill in: the asker's own before its teams' before everybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Use"))]
#[serde(deny_unknown_fields)]
pub struct CannedUse {
    /// What it is called.
    pub shortcut: String,
    /// A value for each of its variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A response with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Filled"))]
pub struct CannedFilled {
    /// The response.
    pub id: String,
    /// What is to be sent.
    pub text: String,
}
