//! Many notifications at once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Channel, Data, Kind};

/// A part of a bulk job. The same part is taken once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkPart {
    /// The job, as its maker calls it.
    pub job_id: String,
    /// Place of the first of these items in the job.
    pub from: u32,
    /// Up to 1,000 items.
    pub items: Vec<BulkItem>,
    /// Whether the job is whole with them and begins.
    #[serde(default)]
    pub is_last: bool,
}

/// One notification of a bulk job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkItem {
    /// The user.
    #[serde(alias = "userId")]
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the templates of this type ask for.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub data: Data,
    /// The ways; push and inbox if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
}

/// A bulk job that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkWanted {
    /// The job.
    pub job_id: String,
}

/// Where a bulk job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its parts are coming.
    Open,
    /// Its notifications are being made and sent.
    Running,
    /// All of its deliveries have ended.
    Done,
    /// It was stopped.
    Cancelled,
}

/// How far a bulk job is: an answer, and the payload of `bulk:progress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// The job.
    pub job_id: String,
    /// Where it stands.
    pub state: JobState,
    /// Items so far.
    pub total: u64,
    /// Of these, those that became notifications.
    pub done: u64,
    /// Those that were refused, such as for a missing variable.
    pub failed: u64,
    /// Deliveries by state.
    pub deliveries: BTreeMap<String, u64>,
}

/// Items of a job that were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Refused {
    /// Place in the job.
    pub n: u64,
    /// Why.
    pub reason: String,
}

/// The items of a job that were refused, the first 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RefusedItems {
    /// The items.
    pub items: Vec<Refused>,
}
