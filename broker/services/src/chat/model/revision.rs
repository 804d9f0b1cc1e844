//! What a message said before it was changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Content;
use crate::moment::Moment;

/// What a message said before it was changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// What it said.
    pub content: Content,
    /// Until when.
    pub until: Moment,
}
