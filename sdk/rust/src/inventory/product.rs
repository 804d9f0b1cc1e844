//! Questions and answers about products and where they are.

use serde::{Deserialize, Serialize};

/// What stock is of, and where. No variant is the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// `inventory_update`, `out_of_stock` and `back_in_stock`, as those who look at a product are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// A product by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WantedProduct {
    /// Its id.
    pub product_id: String,
}

/// What there is of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProductStock {
    /// The product.
    pub product_id: String,
    /// Its variants as their viewers are told of them.
    pub variants: Vec<ViewerUpdate>,
    /// Where they are; nothing for customers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<LocationStock>,
}

/// What there is of a variant at a location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LocationStock {
    /// What, and where.
    #[serde(flatten)]
    pub key: Key,
    /// What is there.
    pub on_hand: i64,
    /// Of that, what is held.
    pub reserved: i64,
    /// Of that, what is never sold.
    pub safety_stock: i64,
    /// What can still be held; below 0 if more is kept back than is there.
    pub available: i64,
    /// One more with every change.
    pub version: u64,
}

/// Stock has come, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Restock {
    /// What, 1 to 100. Products and locations that are not known yet are added.
    pub lines: Vec<RestockLine>,
    /// Under which it takes effect once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What has come, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RestockLine {
    /// The product.
    pub product_id: String,
    /// Its variant; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant_id: String,
    /// Where.
    pub location: String,
    /// How much; at least 1.
    pub quantity: i64,
}

/// Stock was counted, or is set right, all of it or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Adjust {
    /// What, 1 to 100. Products and locations that are not known yet are added.
    pub lines: Vec<AdjustLine>,
    /// Under which it takes effect once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// What was counted, and where: at least one of `on_hand`, `by` and `safety_stock`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AdjustLine {
    /// The product.
    pub product_id: String,
    /// Its variant; empty if it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant_id: String,
    /// Where.
    pub location: String,
    /// So many are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<i64>,
    /// So many more are there, or fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<i64>,
    /// So many are never sold from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_stock: Option<i64>,
}

/// What there is after a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Levels {
    /// What was changed.
    pub levels: Vec<LocationStock>,
}

/// When stock is low: at this many pieces or fewer. What is left out means all: the most exact
/// threshold holds, in the order variant at a location, variant, product, everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The product.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub product_id: String,
    /// Its variant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub variant_id: String,
    /// The location.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// The threshold; none takes it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<i64>,
}

/// What a location is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// The location.
    pub location: String,
    /// Whether customers can buy from it.
    pub is_sellable: bool,
    /// The lower gives first to those who name no location.
    #[serde(default)]
    pub rank: u32,
}

/// Of which product viewers are to be told anew; of all, if none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tell {
    /// Id of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<String>,
}

/// It is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Set {
    /// Always true: what cannot be set is refused.
    pub success: bool,
}
