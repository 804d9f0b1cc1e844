//! What comes, and what is counted.

use std::collections::BTreeSet;

use serde::Serialize;

use super::books::{Books, UNTOLD, level};
use super::{Error, Stock, events, requests};
use crate::inventory::model::{Item, Key, Level, ONLINE, Reason};
use crate::refusal::Refusal;
use crate::store::{self, Query, Work};

/// Pieces of one level.
const ON_HAND_MAX: i64 = 1_000_000_000_000;
/// Lines of one request.
const LINES_MAX: usize = 100;

/// A change of what is there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What of, and where.
    pub key: Key,
    /// So many more, or fewer.
    pub by: i64,
    /// So many are there; `by` counts from here. None: what was there.
    pub counted: Option<i64>,
    /// So many are never sold from now on. None: as before.
    pub safety_stock: Option<i64>,
}

/// Carries all changes out, or none; the levels after them. Products and locations that are not
/// known yet are added.
pub(super) async fn adjust(
    stock: &Stock,
    changes: &[Change],
    reason: Reason,
    idempotency_key: Option<&str>,
) -> Result<Vec<(Key, Level)>, Error> {
    check(changes)?;
    let mut work = stock.database.begin().await?;
    if let Some(key) = idempotency_key {
        let scope = ("adjust", key);
        if requests::once(&mut work, scope, &(reason, changes), "").await?.is_some() {
            return stand(&mut work, changes).await;
        }
    }
    let items: BTreeSet<Item> = changes.iter().map(|change| change.key.item()).collect();
    let keys: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    make_known(&mut work, &items, &keys).await?;
    let mut books = Books::open(work, &items).await?;
    let reference = idempotency_key.unwrap_or_default();
    for change in changes {
        apply(&mut books, change, reason, reference).await?;
    }
    let levels = stand(&mut books.work, changes).await?;
    books.commit().await?;
    Ok(levels)
}

fn check(changes: &[Change]) -> Result<(), Refusal> {
    if changes.is_empty() || changes.len() > LINES_MAX {
        return Err(Refusal::field("lines", "1 to 100"));
    }
    for Change { key, by, counted, safety_stock } in changes {
        events::check(&key.product_id)?;
        if key.location == ONLINE {
            return Err(Refusal::field("location", "online is all locations together"));
        }
        let quantities = [("quantity", Some(by.saturating_abs())), ("on_hand", *counted)];
        let quantities = quantities.into_iter().chain([("safety_stock", *safety_stock)]);
        for (field, quantity) in quantities {
            if quantity.is_some_and(|quantity| !(0..=ON_HAND_MAX).contains(&quantity)) {
                return Err(Refusal::field(field, "0 to 1,000,000,000,000"));
            }
        }
    }
    Ok(())
}

/// Adds what the changes name and the tables do not have.
async fn make_known(
    work: &mut Work<'_>,
    items: &BTreeSet<Item>,
    keys: &BTreeSet<&Key>,
) -> Result<(), store::Error> {
    let locations: BTreeSet<&str> = keys.iter().map(|key| key.location.as_str()).collect();
    for location in locations {
        let query = Query::new(
            "INSERT INTO stock_locations (location, is_sellable, rank) VALUES ($1, 1, 0) \
             ON CONFLICT (location) DO NOTHING",
        );
        work.execute(query.bind(location)).await?;
    }
    for item in items {
        let query = Query::new(
            "INSERT INTO stock_items (product_id, variant_id, version, available, is_stale) \
             VALUES ($1, $2, 0, $3, 0) ON CONFLICT (product_id, variant_id) DO NOTHING",
        );
        work.execute(query.bind(&item.product_id).bind(&item.variant_id).bind(UNTOLD)).await?;
    }
    for key in keys {
        let query = Query::new(
            "INSERT INTO stock_levels (product_id, variant_id, location, on_hand, reserved, \
             safety_stock, version, is_armed) VALUES ($1, $2, $3, 0, 0, 0, 0, 1) \
             ON CONFLICT (product_id, variant_id, location) DO NOTHING",
        );
        let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
        work.execute(query).await?;
    }
    Ok(())
}

async fn apply(
    books: &mut Books<'_>,
    change: &Change,
    reason: Reason,
    reference: &str,
) -> Result<(), Error> {
    let before = find(&mut books.work, &change.key).await?;
    let on_hand = change.counted.unwrap_or(before.on_hand).saturating_add(change.by);
    if on_hand < before.reserved {
        return Err(Refusal::Conflict("customers hold more than would be left").into());
    }
    if on_hand > ON_HAND_MAX {
        return Err(Refusal::Conflict("more would be there than can be counted").into());
    }
    let query = Query::new(
        "UPDATE stock_levels SET on_hand = $4, safety_stock = $5, version = version + 1 \
         WHERE product_id = $1 AND variant_id = $2 AND location = $3 AND reserved <= $4 \
         RETURNING *",
    );
    let Key { product_id, variant_id, location } = &change.key;
    let query = query.bind(product_id).bind(variant_id).bind(location).bind(on_hand);
    let query = query.bind(change.safety_stock.unwrap_or(before.safety_stock));
    let row = books.work.one(query).await?;
    let row = row.ok_or_else(|| store::Error::Contended("a level changed".to_owned()))?;
    Ok(books.note(&change.key, &before, &row, reason, reference).await?)
}

async fn find(work: &mut Work<'_>, key: &Key) -> Result<Level, store::Error> {
    let query = Query::new(
        "SELECT * FROM stock_levels WHERE product_id = $1 AND variant_id = $2 AND location = $3",
    );
    let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
    let row = work.one(query).await?;
    level(&row.ok_or_else(|| store::Error::Contended("a level is gone".to_owned()))?)
}

async fn stand(work: &mut Work<'_>, changes: &[Change]) -> Result<Vec<(Key, Level)>, Error> {
    let keys: BTreeSet<&Key> = changes.iter().map(|change| &change.key).collect();
    let mut levels = Vec::new();
    for key in keys {
        levels.push((key.clone(), find(work, key).await?));
    }
    Ok(levels)
}
