//! The stock of a transaction: its items are locked, its levels change, and what is to be told
//! leaves with the commit.
//!
//! Every change of a level or a hold happens under the lock of its item, which all transactions
//! take first and in one order. What follows reads what nobody else changes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Error, alarms, events};
use crate::inventory::model::{Hold, Item, Key, Level, Reason};
use crate::inventory::rules::allocation::{self, Place};
use crate::inventory::rules::edge;
use crate::inventory::rules::hold::Delta;
use crate::moment::Moment;
use crate::outbox::{self, Event};
use crate::refusal::Refusal;
use crate::store::{self, Query, Row, Work};

/// What was told of an item whose viewers were told nothing yet.
pub(super) const UNTOLD: i64 = -1;

/// The stock of a transaction.
#[derive(Debug)]
pub(super) struct Books<'d> {
    pub(super) work: Work<'d>,
    /// The database's clock, read under the locks.
    pub(super) now: Moment,
    items: BTreeMap<Item, Told>,
    events: Vec<Event>,
}

/// What the viewers of an item know.
#[derive(Debug)]
struct Told {
    version: u64,
    available: i64,
    is_stale: bool,
}

impl<'d> Books<'d> {
    /// Locks these items.
    ///
    /// # Errors
    /// `NotFound` if there is no such product; those of the database.
    pub(super) async fn open(mut work: Work<'d>, items: &BTreeSet<Item>) -> Result<Self, Error> {
        let mut locked = BTreeMap::new();
        for item in items {
            let query = Query::new(
                "UPDATE stock_items SET version = version + 1 \
                 WHERE product_id = $1 AND variant_id = $2 RETURNING version, available, is_stale",
            );
            let query = query.bind(&item.product_id).bind(&item.variant_id);
            let row = work.one(query).await?;
            let row = row.ok_or(Refusal::NotFound("there is no such product or variant"))?;
            let told = Told {
                version: row.get("version")?,
                available: row.get("available")?,
                is_stale: row.get("is_stale")?,
            };
            locked.insert(item.clone(), told);
        }
        let now = work.now().await?;
        Ok(Books { work, now, items: locked, events: Vec::new() })
    }

    /// Lets an event leave with the commit.
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Changes a level, if at least so much of it is available; whether it was.
    pub(super) async fn change(
        &mut self,
        key: &Key,
        delta: &Delta,
        available_min: Option<i64>,
        reference: &str,
    ) -> Result<bool, store::Error> {
        let Some(reason) = delta.reason else { return Ok(true) };
        let query = Query::new(
            "UPDATE stock_levels SET on_hand = on_hand + $4, reserved = reserved + $5, \
             version = version + 1 WHERE product_id = $1 AND variant_id = $2 AND location = $3 \
             AND on_hand - reserved - safety_stock >= $6 RETURNING *",
        );
        let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
        let query = query.bind(delta.on_hand).bind(delta.reserved);
        let Some(row) = self.work.one(query.bind(available_min.unwrap_or(i64::MIN))).await? else {
            return Ok(false);
        };
        let after = level(&row)?;
        let before = Level {
            on_hand: after.on_hand - delta.on_hand,
            reserved: after.reserved - delta.reserved,
            ..after
        };
        self.note(key, &before, &row, reason, reference).await?;
        Ok(true)
    }

    /// Puts a hold in the place of another and changes its level by what follows, if at least so
    /// much is available; whether it was.
    pub(super) async fn follow(
        &mut self,
        before: &Hold,
        (after, delta): &(Hold, Delta),
        available_min: Option<i64>,
    ) -> Result<bool, store::Error> {
        super::holds::replace(&mut self.work, before, after).await?;
        let reference = after.order_id.as_ref().unwrap_or(&after.id);
        self.change(&before.key, delta, available_min, reference).await
    }

    /// Writes a change of a level down, and tells the shop of it. `row` is the level after it.
    pub(super) async fn note(
        &mut self,
        key: &Key,
        before: &Level,
        row: &Row,
        reason: Reason,
        reference: &str,
    ) -> Result<(), store::Error> {
        let after = level(row)?;
        let query = Query::new(
            "INSERT INTO stock_movements (product_id, variant_id, location, version, on_hand, \
             reserved, reason, ref, at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        );
        let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
        let query = query.bind(after.version).bind(after.on_hand - before.on_hand);
        let query = query.bind(after.reserved - before.reserved).bind(reason.name());
        self.work.execute(query.bind(reference).bind(self.now.as_ms())).await?;
        if let Some(update) = edge::update(key, before, &after, reason, self.now) {
            self.tell(events::changed(&update)?);
        }
        let low = alarms::judge(&mut self.work, key, row, after.available(), self.now).await?;
        if let Some(low) = low {
            self.tell(events::low(&low, self.now)?);
        }
        Ok(())
    }

    /// Makes everything lasting, once those who look at the items are told what is available now.
    pub(super) async fn commit(mut self) -> Result<(), store::Error> {
        for (item, told) in std::mem::take(&mut self.items) {
            let available = allocation::online(&places(&mut self.work, &item).await?);
            if available == told.available && !told.is_stale {
                continue;
            }
            let query = Query::new(
                "UPDATE stock_items SET available = $3, is_stale = 0 \
                 WHERE product_id = $1 AND variant_id = $2",
            );
            let query = query.bind(&item.product_id).bind(&item.variant_id);
            self.work.execute(query.bind(available)).await?;
            let view = edge::view(&item, available, told.version);
            self.tell(events::viewed(&item, &view, self.now)?);
            let edge = edge::edge(told.available, available).filter(|_| told.available != UNTOLD);
            if let Some(edge) = edge {
                self.tell(events::edge(&item, edge, &view, self.now)?);
            }
        }
        // One order for all, since the outbox holds the lane of each until the commit.
        self.events.sort_by(|a, b| (a.topic.as_str(), &a.key).cmp(&(b.topic.as_str(), &b.key)));
        for event in &self.events {
            outbox::add(&mut self.work, event).await?;
        }
        self.work.commit().await
    }
}

/// The locations of an item, as the transaction sees them.
pub(super) async fn places(work: &mut Work<'_>, item: &Item) -> Result<Vec<Place>, store::Error> {
    let query = Query::new(
        "SELECT * FROM stock_levels JOIN stock_locations USING (location) \
         WHERE product_id = $1 AND variant_id = $2 ORDER BY rank, location",
    );
    let query = query.bind(&item.product_id).bind(&item.variant_id);
    work.all(query).await?.iter().map(place).collect()
}

/// A location's stock.
pub(super) fn place(row: &Row) -> Result<Place, store::Error> {
    Ok(Place {
        location: row.get("location")?,
        is_sellable: row.get("is_sellable")?,
        rank: u32::try_from(row.get::<i64>("rank")?).unwrap_or(u32::MAX),
        level: level(row)?,
    })
}

/// A level.
pub(super) fn level(row: &Row) -> Result<Level, store::Error> {
    Ok(Level {
        on_hand: row.get("on_hand")?,
        reserved: row.get("reserved")?,
        safety_stock: row.get("safety_stock")?,
        version: row.get("version")?,
    })
}
