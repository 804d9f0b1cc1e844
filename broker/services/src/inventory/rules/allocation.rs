//! Stock over several locations: what all have together, and which gives what.

use serde::{Deserialize, Serialize};

use crate::inventory::model::Level;

/// A location's stock of one product and variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The location.
    pub location: String,
    /// Whether customers can buy from it.
    pub is_sellable: bool,
    /// The lower goes first.
    pub rank: u32,
    /// What it has.
    pub level: Level,
}

/// How locations are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// By rank.
    #[default]
    Ranked,
    /// Who has most goes first: the fewest parcels.
    MostFirst,
}

/// What the locations have together: one that has promised too much takes nothing from the others.
#[must_use]
pub fn online(places: &[Place]) -> i64 {
    let sellable = places.iter().filter(|place| place.is_sellable);
    sellable.fold(0, |sum: i64, place| sum.saturating_add(place.level.available().max(0)))
}

/// Which locations give how much, or what all have if that is not enough. One that can give all of
/// it is chosen before several.
///
/// # Errors
/// What is available.
pub fn allocate(places: &[Place], quantity: i64, order: Order) -> Result<Vec<(&str, i64)>, i64> {
    let mut able: Vec<&Place> =
        places.iter().filter(|place| place.is_sellable && place.level.available() > 0).collect();
    able.sort_by_key(|place| {
        let is_part = place.level.available() < quantity;
        let most = match order {
            Order::Ranked => 0,
            Order::MostFirst => -place.level.available(),
        };
        (is_part, most, place.rank, place.location.as_str())
    });
    let (mut left, mut out) = (quantity, Vec::new());
    for place in able {
        let given = place.level.available().min(left);
        if given <= 0 {
            break;
        }
        out.push((place.location.as_str(), given));
        left -= given;
    }
    if quantity > 0 && left == 0 { Ok(out) } else { Err(online(places)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(location: &str, rank: u32, on_hand: i64) -> Place {
        let level = Level { on_hand, ..Level::default() };
        Place { location: location.to_owned(), is_sellable: true, rank, level }
    }

    #[test]
    fn a_location_that_promised_too_much_takes_nothing_from_the_others() {
        let mut short = place("short", 0, 2);
        short.level.reserved = 12;
        let closed = Place { is_sellable: false, ..place("closed", 0, 99) };
        let places = [short, place("full", 1, 5), closed];
        assert_eq!(online(&places), 5);
        assert_eq!(allocate(&places, 5, Order::Ranked), Ok(vec![("full", 5)]));
        assert_eq!(allocate(&places, 6, Order::Ranked), Err(5));
    }

    #[test]
    fn one_parcel_goes_before_two_and_then_the_order_is_the_shops() {
        let places = [place("a", 0, 2), place("b", 1, 4), place("c", 2, 6)];
        assert_eq!(allocate(&places, 2, Order::Ranked), Ok(vec![("a", 2)]));
        assert_eq!(allocate(&places, 3, Order::Ranked), Ok(vec![("b", 3)]));
        assert_eq!(allocate(&places, 7, Order::Ranked), Ok(vec![("a", 2), ("b", 4), ("c", 1)]));
        assert_eq!(allocate(&places, 7, Order::MostFirst), Ok(vec![("c", 6), ("b", 1)]));
        for bad in [0, -1, i64::MIN] {
            assert!(allocate(&places, bad, Order::Ranked).is_err());
        }
    }
}
