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

/// Which conversation a customer is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Ask"))]
#[serde(deny_unknown_fields)]
pub struct RatingAsk {
    /// The conversation.
    pub conversation_id: String,
}

/// A link that rates one resolution without a login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Asked"))]
pub struct RatingLink<Time = String> {
    /// Where the answer is sent by POST: a path on the services' HTTP listener.
    pub path: String,
    /// When it no longer holds.
    pub expires_at: Time,
}

/// Which ratings: of a conversation, or of an agent in the last 90 days.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ListWanted"))]
#[serde(deny_unknown_fields)]
pub struct RatingsWanted {
    /// The conversation.
    #[serde(default)]
    pub conversation_id: Option<String>,
    /// The agent.
    #[serde(default)]
    pub agent_id: Option<String>,
}

/// Ratings, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "List"))]
pub struct Ratings<Time = String> {
    /// The ratings, at most 100.
    pub ratings: Vec<Rating<Time>>,
    /// The mean of an agent's; null below five.
    #[serde(default)]
    pub satisfaction: Option<f64>,
}
