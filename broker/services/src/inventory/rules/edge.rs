//! What a change of stock tells: everybody of its edges, the shop of what runs low, both once.

use std::time::Duration;

use crate::inventory::model::{
    InventoryUpdate, Item, Key, Level, Reason, ThresholdLevel, ViewerUpdate,
};
use crate::moment::Moment;

/// The shop is told of the same stock at most this often.
pub const COOL_DOWN: Duration = Duration::from_secs(3_600);

/// What those who look at a product are told beside its quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// `out_of_stock`.
    OutOfStock,
    /// `back_in_stock`.
    BackInStock,
}

/// The edge that a change of what is available passes. One that failed changes nothing and passes
/// none.
#[must_use]
pub fn edge(previous: i64, current: i64) -> Option<Edge> {
    match (previous > 0, current > 0) {
        (true, false) => Some(Edge::OutOfStock),
        (false, true) => Some(Edge::BackInStock),
        _ => None,
    }
}

/// Thresholds below which stock is low: the most exact one holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Of the variant at the location.
    pub level: Option<i64>,
    /// Of the variant.
    pub variant: Option<i64>,
    /// Of the product.
    pub product: Option<i64>,
    /// Of all.
    pub global: i64,
}

impl Thresholds {
    /// The one that holds, and what it is of.
    #[must_use]
    pub fn chosen(&self) -> (i64, ThresholdLevel) {
        let own = [
            (self.level, ThresholdLevel::Location),
            (self.variant, ThresholdLevel::Variant),
            (self.product, ThresholdLevel::Product),
        ];
        let given = |(threshold, level): (Option<i64>, _)| Some((threshold?, level));
        own.into_iter().find_map(given).unwrap_or((self.global, ThresholdLevel::Global))
    }
}

/// Whether the shop is to be told of a stock the next time it is low.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Whether it was enough since.
    pub is_armed: bool,
    /// When the shop was told last.
    pub told_at: Option<Moment>,
}

impl Default for Alarm {
    fn default() -> Self {
        Alarm { is_armed: true, told_at: None }
    }
}

/// The alarm after a change, and whether the shop is told. It is told when stock falls to the
/// threshold, and again only once it was above by a fifth of it, at least one piece. An alarm that
/// falls into the cool-down stays armed: the next change after it tells.
#[must_use]
pub fn low(alarm: Alarm, threshold: i64, current: i64, now: Moment) -> (Alarm, bool) {
    if current > threshold.saturating_add((threshold / 5).max(1)) {
        return (Alarm { is_armed: true, ..alarm }, false);
    }
    let is_cool = alarm.told_at.is_none_or(|told| now.since(told) >= COOL_DOWN);
    if current > threshold || !alarm.is_armed || !is_cool {
        return (alarm, false);
    }
    (Alarm { is_armed: false, told_at: Some(now) }, true)
}

/// What the shop is told of a change; nothing if none of what is available changed.
#[must_use]
pub fn update(
    key: &Key,
    before: &Level,
    after: &Level,
    reason: Reason,
    now: Moment,
) -> Option<InventoryUpdate> {
    let (previous_quantity, current_quantity) = (before.available(), after.available());
    (previous_quantity != current_quantity || reason == Reason::Committed).then(|| {
        InventoryUpdate {
            product_id: key.product_id.clone(),
            variant_id: variant(&key.variant_id),
            previous_quantity,
            current_quantity,
            change_type: reason.change_type(),
            location: key.location.clone(),
            timestamp: now,
            version: after.version,
            reason,
        }
    })
}

/// What those who look are told: never less than 0.
#[must_use]
pub fn view(item: &Item, available: i64, version: u64) -> ViewerUpdate {
    ViewerUpdate {
        product_id: item.product_id.clone(),
        variant_id: variant(&item.variant_id),
        available_quantity: available.max(0),
        is_in_stock: available > 0,
        version,
    }
}

fn variant(id: &str) -> Option<String> {
    (!id.is_empty()).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    #[test]
    fn only_the_edge_is_told() {
        assert_eq!(edge(1, 0), Some(Edge::OutOfStock));
        assert_eq!(edge(5, -2), Some(Edge::OutOfStock));
        assert_eq!(edge(0, 3), Some(Edge::BackInStock));
        for (previous, current) in [(3, 3), (5, 1), (0, 0), (0, -1), (-3, 0)] {
            assert_eq!(edge(previous, current), None, "{previous} to {current}");
        }
    }

    /// When the shop is told, of quantities a second apart.
    fn told(quantities: &[i64], step: i64) -> Vec<usize> {
        let mut alarm = Alarm::default();
        let mut out = Vec::new();
        for (n, &current) in quantities.iter().enumerate() {
            let (after, is_told) = low(alarm, 10, current, at(n as i64 * step));
            alarm = after;
            out.extend(is_told.then_some(n));
        }
        out
    }

    #[test]
    fn sales_below_the_threshold_raise_one_alarm() {
        assert_eq!(told(&[12, 11, 10, 9, 8, 7, 0], 4_000), [2]);
    }

    #[test]
    fn stock_that_wavers_at_the_threshold_raises_one_alarm() {
        assert_eq!(told(&[10, 11, 10, 12, 10, 11, 9], 4_000), [0]);
        assert_eq!(told(&[10, 13, 10], 4_000), [0, 2]);
    }

    #[test]
    fn an_alarm_in_the_cool_down_is_late_and_not_lost() {
        assert_eq!(told(&[10, 13, 10, 9], 1_500), [0, 3]);
    }

    #[test]
    fn the_most_exact_threshold_holds() {
        let all = Thresholds { level: Some(1), variant: Some(2), product: Some(3), global: 4 };
        assert_eq!(all.chosen(), (1, ThresholdLevel::Location));
        let of_variant = Thresholds { level: None, ..all };
        assert_eq!(of_variant.chosen(), (2, ThresholdLevel::Variant));
        let of_product = Thresholds { variant: None, ..of_variant };
        assert_eq!(of_product.chosen(), (3, ThresholdLevel::Product));
        let of_all = Thresholds { global: 4, ..Thresholds::default() };
        assert_eq!(of_all.chosen(), (4, ThresholdLevel::Global));
    }

    #[test]
    fn an_update_has_what_the_requirements_name_and_the_version() {
        let key = Key { product_id: "p".to_owned(), ..Key::default() };
        let before = Level { on_hand: 5, ..Level::default() };
        let after = Level { reserved: 2, version: 1, ..before };
        let update = update(&key, &before, &after, Reason::Reserved, at(0)).unwrap();
        assert_eq!((update.previous_quantity, update.current_quantity), (5, 3));
        let json = serde_json::to_value(update).unwrap();
        assert_eq!((&json["change_type"], &json["version"]), (&"reservation".into(), &1.into()));
        let seen = view(&key.item(), -3, 1);
        assert_eq!((seen.available_quantity, seen.is_in_stock), (0, false));
    }
}
