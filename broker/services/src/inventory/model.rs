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
    #[serde(default)]
    pub variant_id: String,
    /// The location.
    pub location: String,
}

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
    /// What is available, never below 0, and no more than is shown.
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
    /// Whether it keeps stock from others.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, HoldStatus::Held | HoldStatus::PaymentPending)
    }
}

/// A hold on stock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Id: `reservation_id`.
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
