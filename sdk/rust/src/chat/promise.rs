//! What a shop promises its customers in time (SLA), and how it was kept.

use serde::{Deserialize, Serialize};

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The first reply.
    FirstResponse,
    /// Every reply after it.
    NextResponse,
    /// The end of it.
    Resolution,
}

/// How well it was kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "State"))]
#[serde(rename_all = "snake_case")]
pub enum PromiseState {
    /// The conversation goes on and nothing was missed.
    #[default]
    Active,
    /// It goes on and something was missed.
    ActiveWithMisses,
    /// It has ended and nothing was missed.
    Hit,
    /// It has ended and something was missed.
    Missed,
}

/// A promise to one conversation, and what was missed of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Applied"))]
#[serde(bound(deserialize = "Time: Deserialize<'de>"))]
pub struct Applied<Time = String> {
    /// How well it was kept.
    pub state: PromiseState,
    /// When the first reply is due, while it is.
    #[serde(default)]
    pub frt_due: Option<Time>,
    /// When the next reply is due, while one is.
    #[serde(default)]
    pub nrt_due: Option<Time>,
    /// When the resolution is due, while it is.
    #[serde(default)]
    pub rt_due: Option<Time>,
    /// The last moment from which each target was missed: a miss counts once.
    #[serde(default)]
    pub missed: Vec<Miss<Time>>,
}

impl<Time> Default for Applied<Time> {
    fn default() -> Self {
        let state = PromiseState::default();
        Applied { state, frt_due: None, nrt_due: None, rt_due: None, missed: Vec::new() }
    }
}

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Miss"))]
pub struct Miss<Time = String> {
    /// Which.
    pub target: Target,
    /// Since when the customer waited.
    pub since: Time,
    /// When it was due.
    pub due: Time,
}

/// A span of a day in minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Span {
    /// The first minute.
    pub from: u16,
    /// The minute after the last; 1,440 is midnight.
    pub to: u16,
}

/// When the shop answers, as it is configured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Week {
    /// Name of the time zone, such as `Asia/Bangkok`.
    pub time_zone: String,
    /// Spans of Monday to Sunday.
    pub days: [Vec<Span>; 7],
    /// Days without any, such as `2026-04-13`.
    #[serde(default)]
    pub holidays: Vec<String>,
}

/// A promise to customers. That of the id `default` is made to each who begins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// All promises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Policies {
    /// The promises, by id.
    pub policies: Vec<PolicyPut>,
}

/// A promise is made to one conversation in place of the one it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Apply"))]
#[serde(deny_unknown_fields)]
pub struct PolicyApply {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
    /// The promise.
    pub policy_id: String,
}

/// Which conversation's promise is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "SlaWanted"))]
#[serde(deny_unknown_fields)]
pub struct PromiseWanted {
    /// The conversation.
    #[serde(alias = "conversationId")]
    pub conversation_id: String,
}

/// The promise to a conversation, and how it was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Promise"))]
pub struct Promise<Time = String> {
    /// The conversation.
    pub conversation_id: String,
    /// The promise; none was made without one.
    pub policy_id: Option<String>,
    /// How it stands.
    pub applied: Applied<Time>,
    /// When it is due next, if it is.
    pub due_at: Option<Time>,
}
