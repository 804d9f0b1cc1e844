//! What is asked about figures and promises, and answered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::chat::rules::figures::Figures;
use crate::chat::rules::hours::{Hours, Week};
use crate::chat::rules::sla::{Applied, Policy};
use crate::moment::Moment;
use crate::service::Problem;

/// Which figures are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FiguresWanted {
    /// The first day, such as `2026-11-01`, of UTC.
    pub from: String,
    /// The last day.
    pub to: String,
    /// Of this agent only.
    #[serde(default, alias = "agentId")]
    pub agent_id: Option<String>,
}

/// Figures of some days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// All of them together.
    pub total: FiguresShown,
    /// By day and agent, in this order; what belongs to no agent has none.
    pub days: Vec<Day>,
}

/// The figures of a day and an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Day {
    /// The day, of UTC.
    pub day: String,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub figures: FiguresShown,
}

/// Figures with what follows from them; null where there is nothing to divide by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FiguresShown {
    /// The counts.
    #[serde(flatten)]
    pub figures: Figures,
    /// Mean seconds to the first response.
    pub first_response_s: Option<f64>,
    /// Share of first responses within two minutes.
    pub first_response_goal: Option<f64>,
    /// Mean seconds to a resolution.
    pub resolution_s: Option<f64>,
    /// Messages of customers for each conversation.
    pub engagement: Option<f64>,
    /// Mean rating.
    pub satisfaction: Option<f64>,
}

impl From<Figures> for FiguresShown {
    fn from(figures: Figures) -> Self {
        FiguresShown {
            first_response_s: figures.first_response.mean_s(),
            first_response_goal: figures.in_goal(),
            resolution_s: figures.resolution.mean_s(),
            engagement: figures.engagement(),
            satisfaction: figures.satisfaction(),
            figures,
        }
    }
}

/// A promise to customers. That of the id `default` is made to each who begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyPut {
    /// Id.
    pub id: String,
    /// Seconds until the first reply.
    #[serde(default)]
    pub first_response_s: Option<u64>,
    /// Until each reply after it.
    #[serde(default)]
    pub next_response_s: Option<u64>,
    /// Until the resolution.
    #[serde(default)]
    pub resolution_s: Option<u64>,
    /// The hours that count; all, if nothing is said.
    #[serde(default)]
    pub hours: Option<Week>,
}

impl PolicyPut {
    /// What is promised.
    pub(super) fn policy(&self) -> Policy {
        let PolicyPut { id, first_response_s, next_response_s, resolution_s, .. } = self.clone();
        Policy { id, first_response_s, next_response_s, resolution_s }
    }

    /// The hours that count.
    ///
    /// # Errors
    /// A problem of the field that is not valid.
    pub(super) fn open(&self) -> Result<Option<Hours>, Problem> {
        Ok(self.hours.as_ref().map(Hours::new).transpose()?)
    }
}

/// All promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policies {
    /// The promises, by id.
    pub policies: Vec<PolicyPut>,
}

/// A promise is made to one conversation in place of the one it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// The promise.
    pub policy_id: String,
}

/// Which conversation's promise is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlaWanted {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
}

/// The promise to a conversation, and how it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Promise {
    /// The conversation.
    pub conversation_id: String,
    /// The promise; none was made without one.
    pub policy_id: Option<String>,
    /// How it stands.
    pub applied: Applied,
    /// When it is due next, if it is.
    pub due_at: Option<Moment>,
}
