//! Questions and answers about what customers hold.

use serde::{Deserialize, Serialize};

use super::{Item, Key, ONLINE};

/// What a customer wants to hold: `lines`, or one product in their place. All of it is held, or
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reserve {
    /// The product, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<String>,
    /// Its variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<String>,
    /// Where; anywhere if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// How much of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// Several products.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// For whom; a customer reserves for nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// Under which it takes effect once, for each customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

impl Reserve {
    /// So much of a product without variants, wherever it is, for the asker.
    #[must_use]
    pub fn one(product_id: &str, quantity: i64) -> Self {
        let (product_id, quantity) = (Some(product_id.to_owned()), Some(quantity));
        Reserve { product_id, quantity, ..Reserve::default() }
    }
}

/// One product that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The product.
    pub product_id: String,
    /// Its variant; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant_id: String,
    /// Where; anywhere if it is left out.
    #[serde(default = "online")]
    pub location: String,
    /// How much; at least 1.
    pub quantity: i64,
}

fn online() -> String {
    ONLINE.to_owned()
}

impl Line {
    /// So much of an item, wherever it is.
    #[must_use]
    pub fn of(item: &Item, quantity: i64) -> Self {
        let Key { product_id, variant_id, location } = item.at(ONLINE);
        Line { product_id, variant_id, location, quantity }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reserved {
    /// Whether it is held.
    pub success: bool,
    /// What is held.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub reservation: Option<Reservation>,
    /// Of what there is not enough.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub short: Option<Short>,
}

/// Of what there is not enough.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Short {
    /// What, and where.
    #[serde(flatten)]
    pub key: Key,
    /// How much this customer could hold.
    pub available: i64,
}

/// What a customer holds by one request: it is paid whole, given up whole, or over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reservation {
    /// Its id.
    pub reservation_id: String,
    /// Whose.
    pub customer_id: String,
    /// Where it stands: that of the line that can still change most.
    pub status: HoldStatus,
    /// Until when it holds.
    #[cfg_attr(feature = "schema", schemars(extend("format" = "date-time")))]
    pub expires_at: String,
    /// The order that it was paid for, or was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// What is held, and where.
    pub lines: Vec<ReservedLine>,
}

/// A line of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReservedLine {
    /// What of, and where.
    #[serde(flatten)]
    pub key: Key,
    /// How much.
    pub quantity: i64,
    /// Where it stands.
    pub status: HoldStatus,
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HoldStatus {
    /// The customer has it for a while.
    #[default]
    Held,
    /// The customer is paying; it is kept longer.
    PaymentPending,
    /// It is paid.
    Committed,
    /// It was given up.
    Released,
    /// Its time was over.
    Expired,
}

impl HoldStatus {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HoldStatus::Held => "held",
            HoldStatus::PaymentPending => "payment_pending",
            HoldStatus::Committed => "committed",
            HoldStatus::Released => "released",
            HoldStatus::Expired => "expired",
        }
    }

    /// Whether it keeps stock from others.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, HoldStatus::Held | HoldStatus::PaymentPending)
    }
}

/// A reservation by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WantedReservation {
    /// Its id.
    pub reservation_id: String,
}

/// A reservation is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// Its id.
    pub reservation_id: String,
    /// The order; the same again changes nothing.
    pub order_id: String,
}

/// Whose reservations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OfCustomer {
    /// The customer; a customer asks for nobody else's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
}

/// What a customer holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Reservations {
    /// The oldest first, without lines that have ended.
    pub reservations: Vec<Reservation>,
}
