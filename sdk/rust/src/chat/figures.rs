//! The figures of chats: first response, resolution, engagement and content, by day and agent.

use serde::{Deserialize, Serialize};

/// A sum with its number and what was slowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Times {
    /// How many.
    pub count: u64,
    /// Milliseconds in all.
    pub sum_ms: u64,
    /// Milliseconds of the slowest.
    pub max_ms: u64,
}

impl Times {
    /// Counts all that another has counted.
    pub fn join(&mut self, other: &Times) {
        self.count += other.count;
        self.sum_ms = self.sum_ms.saturating_add(other.sum_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
    }

    /// Mean seconds; `None` of nothing.
    #[must_use]
    pub fn mean_s(&self) -> Option<f64> {
        ratio(self.sum_ms, self.count).map(|ms| ms / 1_000.0)
    }
}

/// The figures of a day, an agent, or both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Figures {
    /// Conversations that customers began or came back to.
    pub conversations: u64,
    /// Messages of customers.
    pub customer_messages: u64,
    /// First responses.
    pub first_response: Times,
    /// Of these within two minutes.
    pub first_response_in_goal: u64,
    /// All replies.
    pub reply: Times,
    /// Resolutions.
    pub resolution: Times,
    /// Ratings of one to five.
    pub ratings: [u64; 5],
}

impl Figures {
    /// Counts all that another has counted.
    pub fn join(&mut self, other: &Figures) {
        self.conversations += other.conversations;
        self.customer_messages += other.customer_messages;
        self.first_response.join(&other.first_response);
        self.first_response_in_goal += other.first_response_in_goal;
        self.reply.join(&other.reply);
        self.resolution.join(&other.resolution);
        for (count, more) in self.ratings.iter_mut().zip(other.ratings) {
            *count += more;
        }
    }

    /// Mean rating; `None` without any.
    #[must_use]
    pub fn satisfaction(&self) -> Option<f64> {
        let sum = (1..).zip(self.ratings).map(|(rating, count): (u64, u64)| rating * count).sum();
        ratio(sum, self.ratings.iter().sum())
    }

    /// Messages of customers per conversation; `None` without any.
    #[must_use]
    pub fn engagement(&self) -> Option<f64> {
        ratio(self.customer_messages, self.conversations)
    }

    /// Share of first responses within the goal; `None` without any.
    #[must_use]
    pub fn in_goal(&self) -> Option<f64> {
        ratio(self.first_response_in_goal, self.first_response.count)
    }
}

/// A part of a whole; `None` of nothing.
#[expect(clippy::cast_precision_loss, reason = "counts of a shop are far below 2^53")]
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Figures with what follows from them; null where there is nothing to divide by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// Which figures are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// The figures of a day and an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Day"))]
pub struct FiguresDay {
    /// The day, of UTC.
    pub day: String,
    /// The agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The figures.
    #[serde(flatten)]
    pub figures: FiguresShown,
}

/// Figures of some days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Shown"))]
pub struct FiguresTold {
    /// All of them together.
    pub total: FiguresShown,
    /// By day and agent, in this order; what belongs to no agent has none.
    pub days: Vec<FiguresDay>,
}
