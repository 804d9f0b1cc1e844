//! Questions and answers about orders.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::order::{Checkpoint, Location, Order, Status};

/// What the shop tells of an order beside its status. It takes the place of what was told before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(rename = "Upsert"))]
pub struct Upsert<Time = String> {
    /// Id.
    pub id: String,
    /// Whose it is.
    pub customer_id: String,
    /// The support agent who looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Who carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number for it. With a carrier and a number the order is tracked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// When it should come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Time>,
    /// When it was placed; now, if it is new and nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placed_at: Option<Time>,
}

/// The shop says where an order stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", schemars(rename = "StatusTold"))]
pub struct StatusTold<Time = String> {
    /// The order.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// Since when; now, if nothing is said. The same at the same time counts once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_time: Option<Time>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// When it should come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Time>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// Which order is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Id.
    pub id: String,
}

/// Which orders are asked for. Customers and agents get their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListWanted {
    /// Whose; anybody's if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// Those that stand there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Those placed before this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many at most, up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Orders, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "List"))]
pub struct List<Time = String> {
    /// The orders.
    pub orders: Vec<Order<Time>>,
}

/// Which part of an order's history is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HistoryWanted {
    /// The order.
    pub id: String,
    /// How many of the newest at most, up to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What was heard of an order, in the order in which it was so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "History"))]
pub struct History<Time = String> {
    /// What was heard.
    pub checkpoints: Vec<Checkpoint<Time>>,
}

/// What has become of what was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Heard"))]
pub struct Heard<Time = String> {
    /// The order as it stands.
    pub order: Order<Time>,
    /// Whether its status has changed by it.
    pub changed: bool,
}

/// How all orders stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// How many stand where.
    pub by_status: BTreeMap<String, u64>,
    /// Those that should have come by now.
    pub late: u64,
    /// Those whose carrier is asked.
    pub tracked: u64,
    /// Of these, those whose carrier has failed to answer four times in a row or more.
    pub stuck: u64,
}
