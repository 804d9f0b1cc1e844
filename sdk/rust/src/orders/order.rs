//! An order on its way, and what is told of it.

use serde::{Deserialize, Serialize};

macro_rules! statuses {
    ($first:ident = $first_text:literal, $first_doc:literal;
     $($name:ident = $text:literal, $doc:literal;)*) => {
        /// Where an order stands; later stages come later.
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize,
            Deserialize,
        )]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        pub enum Status {
            #[doc = $first_doc]
            #[default]
            $first,
            $(#[doc = $doc] $name,)*
        }

        impl Status {
            /// All of them, in the order of their stages.
            pub const ALL: &[Status] = &[Status::$first, $(Status::$name),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { Status::$first => $first_text, $(Status::$name => $text,)* }
            }
        }
    };
}

statuses! {
    Pending = "pending", "It was placed.";
    Confirmed = "confirmed", "The shop has taken it.";
    Processing = "processing", "The shop works on it.";
    Packed = "packed", "It waits for the carrier.";
    Shipped = "shipped", "The carrier has it.";
    InTransit = "in_transit", "It is on its way.";
    Exception = "exception", "Something is wrong with it.";
    OutForDelivery = "out_for_delivery", "It comes today.";
    DeliveryAttempted = "delivery_attempted", "Nobody took it.";
    AvailableForPickup = "available_for_pickup", "It waits for its customer.";
    Delivered = "delivered", "Its customer has it.";
    Returning = "returning", "It is on its way back.";
    Returned = "returned", "The shop has it back.";
    Cancelled = "cancelled", "It will not come.";
}

impl Status {
    /// Whether nothing is expected to follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Status::Delivered | Status::Returned | Status::Cancelled)
    }
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// In words.
    pub address: String,
}

/// An order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Order"))]
pub struct Order<Time = String> {
    /// Id.
    pub id: String,
    /// Whose it is.
    pub customer_id: String,
    /// The support agent who looks after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// When it came to stand there, by the carrier's clock.
    pub status_at: Time,
    /// One more with every status; what a change is guarded by.
    pub version: u64,
    /// Who carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// The carrier's number for it. Carriers use numbers again: it is no key by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// When it should come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Time>,
    /// When it was placed.
    pub created_at: Time,
    /// When it was last changed.
    pub updated_at: Time,
}

/// Who says where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The carrier, when asked.
    Poll,
    /// The carrier, by itself.
    Webhook,
    /// The shop.
    Admin,
}

/// What was said of an order at one point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Checkpoint"))]
pub struct Checkpoint<Time = String> {
    /// By whom.
    pub source: Source,
    /// The carrier; empty from the shop.
    pub carrier: String,
    /// The carrier's number; empty from the shop.
    pub tracking_number: String,
    /// The carrier's code.
    pub raw_code: String,
    /// What the code means; nothing if it is not known or says nothing.
    pub status: Option<Status>,
    /// When it was so, by the carrier's clock.
    pub event_time: Time,
    /// When it was heard of.
    pub observed_at: Time,
    /// Where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// When it should come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Time>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

/// What customer and shop are told, `OrderStatusUpdate` of the requirements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "OrderStatusUpdate"))]
pub struct OrderStatusUpdate<Time = String> {
    /// The order.
    pub order_id: String,
    /// Whose it is.
    pub customer_id: String,
    /// Where it stood.
    pub previous_status: Status,
    /// Where it stands.
    pub current_status: Status,
    /// When it came to stand there: the carrier's time, not that of the asking.
    pub timestamp: Time,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// When it should come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Time>,
    /// The carrier's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking_number: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
    /// The order's version since: each is told once.
    pub version: u64,
    /// The same for the same order and version, so that it is taken once.
    pub event_id: String,
    /// Who carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carrier: Option<String>,
    /// As `timestamp`.
    pub event_time: Time,
    /// When the shop heard of it.
    pub observed_at: Time,
}

/// Why an order is tracked no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// It has arrived, in one way or another.
    Terminal,
    /// Seven days are over.
    Expired,
    /// Another number took its place, or the shop said so.
    Withdrawn,
}

/// `order:tracking_stopped`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TrackingStopped {
    /// The order.
    pub order_id: String,
    /// The carrier.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// Why.
    pub reason: StopReason,
}

/// `order:tracking_event`: whatever was heard of an order, also when it changes nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "TrackingEvent"))]
pub struct TrackingEvent<Time = String> {
    /// The order.
    pub order_id: String,
    /// What was heard.
    #[serde(flatten)]
    pub checkpoint: Checkpoint<Time>,
}
