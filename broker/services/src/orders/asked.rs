//! What is asked about orders, and answered; questions that cannot be true are refused.

use sampan_client::orders as told;
pub use sampan_client::orders::{HistoryWanted, ListWanted, Summary, Wanted};

use super::model::{Checkpoint, Location, Source};
use crate::id::check_id;
use crate::moment::Moment;
use crate::service::Problem;

/// Bytes of an address or of a note.
const TEXT_BYTES_MAX: usize = 1_000;
/// Rows of a page.
pub(super) const PAGE_MAX: u32 = 100;

/// What the shop tells of an order beside its status.
pub type Upsert = told::Upsert<Moment>;
/// The shop says where an order stands.
pub type StatusTold = told::StatusTold<Moment>;
/// Orders, the newest first.
pub type List = told::List<Moment>;
/// What was heard of an order, in the order in which it was so.
pub type History = told::History<Moment>;
/// What has become of what was told.
pub type Heard = told::Heard<Moment>;

/// What the shop tells, before it is believed.
pub trait Checked {
    /// What it is once it is checked.
    type Checked;

    /// Refuses what cannot be true.
    ///
    /// # Errors
    /// A problem that names the field.
    fn checked(self) -> Result<Self::Checked, Problem>;
}

impl Checked for Upsert {
    type Checked = Self;

    fn checked(self) -> Result<Self, Problem> {
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
        Ok(self)
    }
}

impl Checked for StatusTold {
    /// What is heard by it.
    type Checked = Checkpoint;

    fn checked(self) -> Result<Checkpoint, Problem> {
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
    use super::super::model::Status;
    use super::*;

    #[test]
    fn what_the_shop_tells_is_checked_field_by_field() {
        let good =
            Upsert { id: "o/1".to_owned(), customer_id: "c".to_owned(), ..Upsert::default() };
        assert_eq!(good.clone().checked(), Ok(good.clone()));
        let number = Some("TH1".to_owned());
        for (field, bad) in [
            ("id", Upsert { id: String::new(), ..good.clone() }),
            ("id", Upsert { id: "x".repeat(129), ..good.clone() }),
            ("customer_id", Upsert { customer_id: "a\nb".to_owned(), ..good.clone() }),
            ("carrier", Upsert { tracking_number: number.clone(), ..good.clone() }),
            ("carrier", Upsert { carrier: Some(" ".to_owned()), ..good.clone() }),
        ] {
            let problem = bad.checked().expect_err(field);
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
        assert!(told(place(13.7, 100.5), None).checked().is_ok());
        for bad in [place(91.0, 0.0), place(0.0, -181.0), place(f64::NAN, 0.0)] {
            assert!(told(bad, None).checked().is_err());
        }
        assert!(told(None, Some("x".repeat(1_001))).checked().is_err());
    }
}
