//! How content a customer was.

use serde::{Deserialize, Serialize};

/// What a customer answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Answer {
    /// 1, the worst, to 5, the best.
    pub rating: u8,
    /// In the customer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

/// The rating of one resolution of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Rating"))]
pub struct Rating<Time = String> {
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
    pub created_at: Time,
    /// When last.
    pub updated_at: Time,
}
