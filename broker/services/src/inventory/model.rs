//! Stock and holds, under the names they have on the wire. What clients ask and are told stands in
//! the client's crate.

pub use sampan_client::inventory::{
    HoldStatus, Item, Key, ONLINE, Reservation, ReservedLine, ViewerUpdate,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

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

/// What these holds of one reservation are together; none without holds.
#[must_use]
pub fn reservation(holds: &[Hold]) -> Option<Reservation> {
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
        expires_at: first.expires_at.to_string(),
        order_id: first.order_id.clone(),
        lines: holds.iter().map(line).collect(),
    })
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
