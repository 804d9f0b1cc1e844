//! Stock and holds, under the names they have on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// What stock is of, and where. No variant is the empty one.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Key {
    /// The product.
    pub product_id: String,
    /// Its variant; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant_id: String,
    /// The location.
    pub location: String,
}

impl Key {
    /// What it is of.
    #[must_use]
    pub fn item(&self) -> Item {
        Item { product_id: self.product_id.clone(), variant_id: self.variant_id.clone() }
    }
}

/// What stock is of, wherever it is. No variant is the empty one.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct Item {
    /// The product.
    pub product_id: String,
    /// Its variant; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant_id: String,
}

impl Item {
    /// Its stock at a location.
    #[must_use]
    pub fn at(&self, location: &str) -> Key {
        let Item { product_id, variant_id } = self.clone();
        Key { product_id, variant_id, location: location.to_owned() }
    }
}

/// The location that is all of them together: whoever reserves there is given what is anywhere.
pub const ONLINE: &str = "online";

/// Stock of one product, variant and location.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Level {
    /// What is there.
    pub on_hand: i64,
    /// Of that, what is held.
    pub reserved: i64,
    /// Of that, what is never sold.
    pub safety_stock: i64,
    /// One more with every change.
    pub version: u64,
}

impl Level {
    /// What can still be held; below 0 if more is promised than is there.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.on_hand.saturating_sub(self.reserved).saturating_sub(self.safety_stock)
    }
}

/// What changed stock: `change_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ChangeType {
    /// It was sold.
    Sale,
    /// More came.
    Restock,
    /// It was counted anew.
    Adjustment,
    /// It was held, or is no longer.
    Reservation,
}

/// Why stock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// A customer holds it.
    Reserved,
    /// The hold was given up.
    Released,
    /// The hold's time is over.
    Expired,
    /// The hold was paid.
    Committed,
    /// More came.
    Restocked,
    /// It was counted anew.
    Adjusted,
}

impl Reason {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Reserved => "reserved",
            Reason::Released => "released",
            Reason::Expired => "expired",
            Reason::Committed => "committed",
            Reason::Restocked => "restocked",
            Reason::Adjusted => "adjusted",
        }
    }

    /// The type under which the requirements know it.
    #[must_use]
    pub const fn change_type(self) -> ChangeType {
        match self {
            Reason::Reserved | Reason::Released | Reason::Expired => ChangeType::Reservation,
            Reason::Committed => ChangeType::Sale,
            Reason::Restocked => ChangeType::Restock,
            Reason::Adjusted => ChangeType::Adjustment,
        }
    }
}

/// `InventoryUpdate` of the requirements, as the shop is told it. Quantities are available ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InventoryUpdate {
    /// The product.
    pub product_id: String,
    /// Its variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<String>,
    /// What was available.
    pub previous_quantity: i64,
    /// What is available.
    pub current_quantity: i64,
    /// What changed it.
    pub change_type: ChangeType,
    /// Where.
    pub location: String,
    /// When.
    pub timestamp: Moment,
    /// The level's version since.
    pub version: u64,
    /// Why.
    pub reason: Reason,
}

/// `inventory_update`, as those who look at a product are told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ViewerUpdate {
    /// The product.
    pub product_id: String,
    /// Its variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_id: Option<String>,
    /// What is available, never below 0.
    pub available_quantity: i64,
    /// Whether any is.
    pub is_in_stock: bool,
    /// Of two updates the one with the higher version holds.
    pub version: u64,
}

/// Where a hold stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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

/// A hold on stock: one line of a reservation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Id of the reservation.
    pub id: String,
    /// What of, and where.
    #[serde(flatten)]
    pub key: Key,
    /// How much; at least 1.
    pub quantity: i64,
    /// Whose.
    pub customer_id: String,
    /// Where it stands.
    pub status: HoldStatus,
    /// Until when it holds.
    pub expires_at: Moment,
    /// Whether it was made longer, which it is once.
    #[serde(default)]
    pub is_extended: bool,
    /// The order that it was paid for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// When it was made.
    pub created_at: Moment,
}

/// What a customer holds by one request: it is paid whole, given up whole, or over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reservation {
    /// Its id.
    pub reservation_id: String,
    /// Whose.
    pub customer_id: String,
    /// Where it stands: that of the line that can still change most.
    pub status: HoldStatus,
    /// Until when it holds.
    pub expires_at: Moment,
    /// The order that it was paid for, or was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// What is held, and where.
    pub lines: Vec<ReservedLine>,
}

/// A line of a reservation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservedLine {
    /// What of, and where.
    #[serde(flatten)]
    pub key: Key,
    /// How much.
    pub quantity: i64,
    /// Where it stands.
    pub status: HoldStatus,
}

impl Reservation {
    /// The reservation of these holds; none without holds.
    #[must_use]
    pub fn of(holds: &[Hold]) -> Option<Self> {
        let line = |hold: &Hold| ReservedLine {
            key: hold.key.clone(),
            quantity: hold.quantity,
            status: hold.status,
        };
        let first = holds.iter().min_by_key(|hold| match hold.status {
            HoldStatus::PaymentPending => 0,
            HoldStatus::Held => 1,
            HoldStatus::Committed => 2,
            HoldStatus::Expired => 3,
            HoldStatus::Released => 4,
        })?;
        Some(Reservation {
            reservation_id: first.id.clone(),
            customer_id: first.customer_id.clone(),
            status: first.status,
            expires_at: first.expires_at,
            order_id: first.order_id.clone(),
            lines: holds.iter().map(line).collect(),
        })
    }
}

/// `low_stock_alert`: a stock has fallen to its threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LowStock {
    /// What of, and where.
    #[serde(flatten)]
    pub key: Key,
    /// What is available.
    pub current_quantity: i64,
    /// The threshold.
    pub threshold: i64,
    /// What the threshold is of.
    pub level: ThresholdLevel,
}

/// What a threshold is of, the most exact first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ThresholdLevel {
    /// A variant at a location.
    Location,
    /// A variant.
    Variant,
    /// A product.
    Product,
    /// Everything.
    Global,
}
