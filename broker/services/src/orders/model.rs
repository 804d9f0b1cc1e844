//! An order on its way, under the names it has on the wire. What clients ask and are told stands in
//! the client's crate; here its times are moments.

use sampan_client::orders as told;
pub use sampan_client::orders::{Location, Source, Status, StopReason, TrackingStopped};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// An order.
pub type Order = told::Order<Moment>;
/// What was said of an order at one point.
pub type Checkpoint = told::Checkpoint<Moment>;
/// What customer and shop are told of a new status.
pub type OrderStatusUpdate = told::OrderStatusUpdate<Moment>;
/// Whatever was heard of an order, also when it changes nothing.
pub type TrackingEvent = told::TrackingEvent<Moment>;

/// `order_status_change`, for those who count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChange {
    /// The order.
    pub order_id: String,
    /// Where it stands.
    pub status: Status,
    /// Whose it is.
    pub customer_id: String,
    /// Where it stood.
    pub previous_status: Status,
    /// Who carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// From when it was so until the shop heard of it, milliseconds.
    pub lag_ms: u64,
}
