//! How content a customer was.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// What a customer answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// 1, the worst, to 5, the best.
    pub rating: u8,
    /// In the customer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The rating of one resolution of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rating {
    /// Id.
    pub id: String,
    /// The conversation.
    pub conversation_id: String,
    /// Which of its resolutions; one rating each.
    pub resolution_no: u32,
    /// Who had it when it was resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// What the customer answered.
    #[serde(flatten)]
    pub answer: Answer,
    /// When first.
    pub created_at: Moment,
    /// When last.
    pub updated_at: Moment,
}
