//! What is asked about orders, and answered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::{Checkpoint, Location, Order, Source, Status};
use crate::id::check_id;
use crate::moment::Moment;
use crate::service::Problem;

/// Bytes of an address or of a note.
const TEXT_BYTES_MAX: usize = 1_000;
/// Rows of a page.
pub(super) const PAGE_MAX: u32 = 100;

/// What the shop tells of an order beside its status. It takes the place of what was told before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upsert {
    /// Id.
    pub id: String,
    /// Whose it is.
    pub customer_id: String,
    /// The support agent who looks after it.
    #[serde(default)]
    pub agent_id: Option<String>,
    /// Who carries it.
    #[serde(default)]
    pub carrier: Option<String>,
    /// The carrier's number for it. With a carrier and a number the order is tracked.
    #[serde(default)]
    pub tracking_number: Option<String>,
    /// When it should come.
    #[serde(default)]
    pub estimated_delivery: Option<Moment>,
    /// When it was placed; now, if it is new and nothing is said.
    #[serde(default)]
    pub placed_at: Option<Moment>,
}

/// The shop says where an order stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusTold {
    /// The order.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// Since when; now, if nothing is said. The same at the same time counts once.
    #[serde(default)]
    pub event_time: Option<Moment>,
    /// Where it is.
    #[serde(default)]
    pub location: Option<Location>,
    /// When it should come.
    #[serde(default)]
    pub estimated_delivery: Option<Moment>,
    /// In words.
    #[serde(default)]
    pub notes: Option<String>,
}

/// Which order is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Id.
    pub id: String,
}

/// Which orders are asked for. Customers and agents get their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListWanted {
    /// Whose; anybody's if nothing is said.
    #[serde(default)]
    pub customer_id: Option<String>,
    /// Those that stand there.
    #[serde(default)]
    pub status: Option<Status>,
    /// Those placed before this order.
    #[serde(default)]
    pub before: Option<String>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Orders, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// The orders.
    pub orders: Vec<Order>,
}

/// Which part of an order's history is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HistoryWanted {
    /// The order.
    pub id: String,
    /// How many of the newest at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// What was heard of an order, in the order in which it was so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// What was heard.
    pub checkpoints: Vec<Checkpoint>,
}

/// What has become of what was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heard {
    /// The order as it stands.
    pub order: Order,
    /// Whether its status has changed by it.
    pub changed: bool,
}

/// How all orders stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

impl Upsert {
    /// Refuses what cannot be true.
    ///
    /// # Errors
    /// A problem that names the field.
    pub fn check(&self) -> Result<(), Problem> {
        let texts = [
            ("id", Some(&self.id)),
            ("customer_id", Some(&self.customer_id)),
            ("agent_id", self.agent_id.as_ref()),
            ("carrier", self.carrier.as_ref()),
            ("tracking_number", self.tracking_number.as_ref()),
        ];
        for (field, text) in texts {
            text.map_or(Ok(()), |text| check_id(field, text))?;
        }
        if self.tracking_number.is_some() && self.carrier.is_none() {
            return Err(Problem::field("carrier", "a number is worth nothing without it"));
        }
        Ok(())
    }
}

impl StatusTold {
    /// What is heard by it; refuses what cannot be true.
    ///
    /// # Errors
    /// A problem that names the field.
    pub fn checkpoint(self) -> Result<Checkpoint, Problem> {
        let address = self.location.as_ref().map(|location| &location.address);
        for (field, text) in [("location", address), ("notes", self.notes.as_ref())] {
            if text.is_some_and(|text| text.len() > TEXT_BYTES_MAX) {
                return Err(Problem::field(field, "at most 1,000 bytes"));
            }
        }
        let is_on_earth = |location: &Location| {
            location.latitude.abs() <= 90.0 && location.longitude.abs() <= 180.0
        };
        if self.location.as_ref().is_some_and(|location| !is_on_earth(location)) {
            return Err(Problem::field("location", "no such place"));
        }
        Ok(Checkpoint {
            source: Source::Admin,
            carrier: String::new(),
            tracking_number: String::new(),
            raw_code: self.status.name().to_owned(),
            status: Some(self.status),
            event_time: self.event_time.unwrap_or_default(),
            observed_at: Moment::default(),
            location: self.location,
            estimated_delivery: self.estimated_delivery,
            notes: self.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shop_tells_is_checked_field_by_field() {
        let good =
            Upsert { id: "o/1".to_owned(), customer_id: "c".to_owned(), ..Upsert::default() };
        assert_eq!(good.check(), Ok(()));
        let number = Some("TH1".to_owned());
        for (field, bad) in [
            ("id", Upsert { id: String::new(), ..good.clone() }),
            ("id", Upsert { id: "x".repeat(129), ..good.clone() }),
            ("customer_id", Upsert { customer_id: "a\nb".to_owned(), ..good.clone() }),
            ("carrier", Upsert { tracking_number: number.clone(), ..good.clone() }),
            ("carrier", Upsert { carrier: Some(" ".to_owned()), ..good.clone() }),
        ] {
            let problem = bad.check().expect_err(field);
            assert!(problem.reason.starts_with(field), "{problem:?}");
        }
    }

    #[test]
    fn a_place_is_on_earth_and_words_have_an_end() {
        let told = |location, notes| StatusTold {
            id: "o".to_owned(),
            status: Status::Shipped,
            event_time: None,
            location,
            estimated_delivery: None,
            notes,
        };
        let place = |latitude, longitude| {
            Some(Location { latitude, longitude, address: "ที่นี่".to_owned() })
        };
        assert!(told(place(13.7, 100.5), None).checkpoint().is_ok());
        for bad in [place(91.0, 0.0), place(0.0, -181.0), place(f64::NAN, 0.0)] {
            assert!(told(bad, None).checkpoint().is_err());
        }
        assert!(told(None, Some("x".repeat(1_001))).checkpoint().is_err());
    }
}
