//! Stock in SQLite and PostgreSQL: each change is one transaction, with its events and its place in
//! the list of movements.
//!
//! Time is that of the database. Whatever is done twice, by a request that comes again or by two
//! sweepers, takes effect once.

mod adjust;
mod alarms;
mod books;
mod error;
mod events;
mod holds;
mod old;
mod requests;
mod reserve;
mod schema;
mod steps;
mod upkeep;

use std::collections::BTreeSet;

pub use adjust::Change;
pub use error::Error;
pub use reserve::{Outcome, Wanted};
pub(crate) use schema::SCHEMA;

use super::model::{Item, Key, Level, Reason, Reservation, reservation};
use super::rules::allocation::{Order, Place};
use super::rules::hold::Event;
use crate::refusal::Refusal;
use crate::store::{self, Database, Query};

/// The stock of a database.
#[derive(Clone, Debug)]
pub struct Stock {
    database: Database,
    order: Order,
}

/// An item with what there is of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stocked {
    /// What.
    pub item: Item,
    /// One more with every change of any of its locations.
    pub version: u64,
    /// Its locations.
    pub places: Vec<Place>,
}

impl Stock {
    /// The stock of this database. Locations give in this order to those who do not name one.
    #[must_use]
    pub fn new(database: &Database, order: Order) -> Self {
        Stock { database: database.clone(), order }
    }

    /// Holds all that a customer wants, or nothing.
    ///
    /// # Errors
    /// `Field`, `NotFound`, `Differs`, `Full`; those of the database.
    pub async fn reserve(&self, wanted: &Wanted) -> Result<Outcome, Error> {
        reserve::reserve(self, wanted).await
    }

    /// Does to a reservation what happens to it.
    ///
    /// # Errors
    /// `NotFound`, and those of the rules: nothing has changed then. Those of the database.
    pub async fn step(&self, id: &str, event: &Event) -> Result<Reservation, Error> {
        steps::step(self, id, event).await.map(|(reservation, _)| reservation)
    }

    /// Sells what is held, for an order; also when its time is over, if all of it can be had again.
    /// Whether it was not sold to that order before.
    ///
    /// # Errors
    /// `Closed` if it was given up, sold to another order, or is lost: then the money is to be paid
    /// back. `NotFound`; those of the database.
    pub async fn commit(&self, id: &str, order: &str) -> Result<(Reservation, bool), Error> {
        match steps::step(self, id, &Event::Commit(order.to_owned())).await {
            Err(Error::Refused(Refusal::Closed(_))) => {
                Ok((steps::commit_late(self, id, order).await?, true))
            }
            done => done,
        }
    }

    /// Changes what is there, all of it or nothing; the levels after it. Products and locations that
    /// are not known yet are added.
    ///
    /// # Errors
    /// `Field`, `Conflict` if less would be there than is held, `Differs`; those of the database.
    pub async fn adjust(
        &self,
        changes: &[Change],
        reason: Reason,
        idempotency_key: Option<&str>,
    ) -> Result<Vec<(Key, Level)>, Error> {
        adjust::adjust(self, changes, reason, idempotency_key).await
    }

    /// Sets the threshold below which stock is low, or takes it away. Empty ids mean all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_threshold(
        &self,
        key: &Key,
        threshold: Option<i64>,
    ) -> Result<(), store::Error> {
        let mut work = self.database.begin().await?;
        alarms::set(&mut work, key, threshold).await?;
        work.commit().await
    }

    /// Says whether customers can buy from a location, and its place in the order. Viewers are told
    /// by [`Stock::refresh`].
    ///
    /// # Errors
    /// Those of the database.
    pub async fn set_location(
        &self,
        location: &str,
        is_sellable: bool,
        rank: u32,
    ) -> Result<(), store::Error> {
        let mut work = self.database.begin().await?;
        let query = Query::new(
            "INSERT INTO stock_locations (location, is_sellable, rank) VALUES ($1, $2, $3) \
             ON CONFLICT (location) DO UPDATE SET is_sellable = excluded.is_sellable, \
             rank = excluded.rank",
        );
        work.execute(query.bind(location).bind(is_sellable).bind(i64::from(rank))).await?;
        let query = Query::new(
            "UPDATE stock_items SET is_stale = 1 WHERE EXISTS (SELECT 1 FROM stock_levels AS l \
             WHERE l.product_id = stock_items.product_id \
             AND l.variant_id = stock_items.variant_id AND l.location = $1)",
        );
        work.execute(query.bind(location)).await?;
        work.commit().await
    }

    /// Lets viewers be told anew what is available, of one product or of all: of a broker that has
    /// lost what it knew, nobody else tells them.
    ///
    /// # Errors
    /// `NotFound` if there is no such product; those of the database.
    pub async fn tell(&self, product_id: Option<&str>) -> Result<(), Error> {
        let mut work = self.database.begin().await?;
        let query =
            Query::new("UPDATE stock_items SET is_stale = 1 WHERE $1 = '' OR product_id = $1");
        let marked = work.execute(query.bind(product_id.unwrap_or_default())).await?;
        if marked == 0 && product_id.is_some() {
            return Err(Refusal::NotFound("there is no such product").into());
        }
        Ok(work.commit().await?)
    }

    /// What there is of a product, by variant.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn product(&self, product_id: &str) -> Result<Vec<Stocked>, store::Error> {
        let query = Query::new(
            "SELECT i.variant_id AS variant, i.version AS item_version, l.*, s.* \
             FROM stock_items AS i \
             JOIN stock_levels AS l ON l.product_id = i.product_id AND l.variant_id = i.variant_id \
             JOIN stock_locations AS s ON s.location = l.location \
             WHERE i.product_id = $1 ORDER BY i.variant_id, s.rank, l.location",
        );
        let mut found: Vec<Stocked> = Vec::new();
        for row in self.database.all(query.bind(product_id)).await? {
            let (product_id, variant_id) = (product_id.to_owned(), row.get("variant")?);
            let item = Item { product_id, variant_id };
            let place = books::place(&row)?;
            match found.last_mut().filter(|last| last.item == item) {
                Some(last) => last.places.push(place),
                None => {
                    let version = row.get("item_version")?;
                    found.push(Stocked { item, version, places: vec![place] });
                }
            }
        }
        Ok(found)
    }

    /// The reservation of this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reservation(&self, id: &str) -> Result<Option<Reservation>, store::Error> {
        Ok(reservation(&holds::of(&self.database, id).await?))
    }

    /// The reservations that a customer has and that have not ended, without lines that have.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reservations(&self, customer: &str) -> Result<Vec<Reservation>, store::Error> {
        let holds = holds::live_of(&self.database, customer).await?;
        let of_one = holds.chunk_by(|a, b| a.id == b.id);
        Ok(of_one.filter_map(reservation).collect())
    }

    /// Ends reservations whose time is over; how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep(&self) -> Result<u64, store::Error> {
        upkeep::sweep(self).await
    }

    /// As [`Stock::sweep`], of these items.
    async fn expire_of(&self, items: &BTreeSet<Item>) -> Result<u64, store::Error> {
        upkeep::expire_of(self, items).await
    }

    /// Tells viewers what is available of items that a change of a location has touched, or of which
    /// they are to be told anew.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refresh(&self) -> Result<(), store::Error> {
        upkeep::refresh(self).await
    }

    /// Compares what is counted as held with the live holds and sets it right; how many levels were
    /// wrong.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn reconcile(&self) -> Result<u64, store::Error> {
        upkeep::reconcile(self).await
    }

    /// Forgets requests that are too old to come again, and reservations and movements that came to
    /// nothing a month ago; how many rows.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&self) -> Result<u64, store::Error> {
        old::prune(self).await
    }
}
