//! What time does to stock, and what is set right when it is found wrong.

use std::collections::BTreeSet;

use super::books::{Books, level};
use super::{Error, Stock, holds};
use crate::inventory::model::{Item, Key, Level, Reason};
use crate::inventory::rules::hold::Event;
use crate::moment::Moment;
use crate::store::{self, Query, Row};

/// Reservations, items or levels of one round.
const BATCH: i64 = 256;

/// Ends what is over by now; how many reservations.
pub(super) async fn sweep(stock: &Stock) -> Result<u64, store::Error> {
    let now = now(stock).await?;
    let mut swept = 0;
    loop {
        let overdue = holds::overdue(&stock.database, now, BATCH).await?;
        if overdue.is_empty() {
            return Ok(swept);
        }
        let ended = expire(stock, &overdue).await?;
        swept += ended;
        if ended == 0 {
            // Others end them at this moment, or something keeps them: the next sweep looks again.
            return Ok(swept);
        }
    }
}

/// As [`sweep`], of these items.
pub(super) async fn expire_of(stock: &Stock, items: &BTreeSet<Item>) -> Result<u64, store::Error> {
    let now = now(stock).await?;
    let mut ended = 0;
    for item in items {
        let overdue = holds::overdue_of(&stock.database, item, now).await?;
        ended += expire(stock, &overdue).await?;
    }
    Ok(ended)
}

async fn expire(stock: &Stock, ids: &[String]) -> Result<u64, store::Error> {
    let mut ended = 0;
    for id in ids {
        match stock.step(id, &Event::Expire).await {
            Ok(_) => ended += 1,
            // Another was first, or it was made longer.
            Err(Error::Refused(_) | Error::Database(store::Error::Contended(_))) => {}
            Err(Error::Database(error)) if error.is_retryable() => return Err(error),
            // One that cannot be ended keeps no other from it.
            Err(Error::Database(error)) => {
                tracing::error!(%error, reservation = id, "a reservation is not ended");
            }
        }
    }
    Ok(ended)
}

async fn now(stock: &Stock) -> Result<Moment, store::Error> {
    stock.database.begin().await?.now().await
}

/// Tells viewers anew what is available of items of which something else has changed, such as what
/// locations sell.
pub(super) async fn refresh(stock: &Stock) -> Result<(), store::Error> {
    let query = Query::new(
        "SELECT product_id, variant_id FROM stock_items WHERE is_stale = 1 \
         ORDER BY product_id, variant_id LIMIT $1",
    );
    loop {
        let rows = stock.database.all(query.clone().bind(BATCH)).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in &rows {
            let item =
                Item { product_id: row.get("product_id")?, variant_id: row.get("variant_id")? };
            let books = Books::open(stock.database.begin().await?, &BTreeSet::from([item])).await;
            books.map_err(database)?.commit().await?;
        }
    }
}

/// Sets right what is counted as held where it is not the sum of the live holds; how many levels
/// were wrong.
pub(super) async fn reconcile(stock: &Stock) -> Result<u64, store::Error> {
    let query = Query::new(
        "SELECT * FROM stock_levels AS l WHERE reserved <> (SELECT COALESCE(SUM(quantity), 0) \
         FROM reservations AS r WHERE r.product_id = l.product_id \
         AND r.variant_id = l.variant_id AND r.location = l.location \
         AND r.status IN ('held', 'payment_pending')) LIMIT $1",
    );
    let mut wrong = 0;
    for row in stock.database.all(query.bind(BATCH)).await? {
        let key = key(&row)?;
        // What was in change as it was read is right under the lock.
        if recount(stock, &key).await? {
            tracing::error!(?key, "what was counted as held was not; it is set right");
            wrong += 1;
        }
    }
    Ok(wrong)
}

async fn recount(stock: &Stock, key: &Key) -> Result<bool, store::Error> {
    let items = BTreeSet::from([key.item()]);
    let mut books = Books::open(stock.database.begin().await?, &items).await.map_err(database)?;
    let find = Query::new(
        "SELECT * FROM stock_levels WHERE product_id = $1 AND variant_id = $2 AND location = $3",
    );
    let find = find.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
    let Some(row) = books.work.one(find).await? else { return Ok(false) };
    let before: Level = level(&row)?;
    let query = Query::new(
        "UPDATE stock_levels SET version = version + 1, reserved = (SELECT \
         COALESCE(SUM(quantity), 0) FROM reservations AS r WHERE r.product_id = $1 \
         AND r.variant_id = $2 AND r.location = $3 AND r.status IN ('held', 'payment_pending')) \
         WHERE product_id = $1 AND variant_id = $2 AND location = $3 RETURNING *",
    );
    let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
    let Some(row) = books.work.one(query).await? else { return Ok(false) };
    if level(&row)?.reserved == before.reserved {
        return Ok(false);
    }
    books.note(key, &before, &row, Reason::Adjusted, "reconciled").await?;
    books.commit().await?;
    Ok(true)
}

fn key(row: &Row) -> Result<Key, store::Error> {
    Ok(Key {
        product_id: row.get("product_id")?,
        variant_id: row.get("variant_id")?,
        location: row.get("location")?,
    })
}

/// Items that were read are there: what is left are errors of the database.
fn database(error: Error) -> store::Error {
    match error {
        Error::Database(error) => error,
        Error::Refused(refusal) => store::Error::Damaged(refusal.to_string()),
    }
}
