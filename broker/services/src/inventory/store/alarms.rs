//! Thresholds, and whether the shop is told that a level is at its own.

use crate::inventory::model::{Key, LowStock};
use crate::inventory::rules::edge::{Alarm, Thresholds, low};
use crate::moment::Moment;
use crate::store::{Error, Query, Row, Work};

/// The threshold of everything for which none is set.
const GLOBAL: i64 = 10;

/// Sets a threshold, or takes it away. Empty ids and locations mean all.
pub(super) async fn set(
    work: &mut Work<'_>,
    key: &Key,
    threshold: Option<i64>,
) -> Result<(), Error> {
    let query = Query::new(match threshold {
        Some(_) => {
            "INSERT INTO stock_thresholds (product_id, variant_id, location, threshold) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (product_id, variant_id, location) \
             DO UPDATE SET threshold = excluded.threshold"
        }
        None => {
            "DELETE FROM stock_thresholds \
             WHERE product_id = $1 AND variant_id = $2 AND location = $3"
        }
    });
    let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
    let query = threshold.into_iter().fold(query, Query::bind);
    work.execute(query).await.map(|_| ())
}

/// Judges a level after a change, whose row is `row`, and notes what comes of it; the alarm, if the
/// shop is told.
pub(super) async fn judge(
    work: &mut Work<'_>,
    key: &Key,
    row: &Row,
    available: i64,
    now: Moment,
) -> Result<Option<LowStock>, Error> {
    let told_at = row.get::<Option<i64>>("told_at")?.map(Moment::from_ms);
    let before = Alarm { is_armed: row.get("is_armed")?, told_at };
    let (threshold, level) = thresholds(work, key).await?.chosen();
    let (after, is_told) = low(before, threshold, available, now);
    if after != before {
        let query = Query::new(
            "UPDATE stock_levels SET is_armed = $4, told_at = $5 \
             WHERE product_id = $1 AND variant_id = $2 AND location = $3",
        );
        let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
        let query = query.bind(after.is_armed).bind(after.told_at.map(Moment::as_ms));
        work.execute(query).await?;
    }
    let key = key.clone();
    Ok(is_told.then_some(LowStock { key, current_quantity: available, threshold, level }))
}

async fn thresholds(work: &mut Work<'_>, key: &Key) -> Result<Thresholds, Error> {
    let query = Query::new(
        "SELECT * FROM stock_thresholds WHERE product_id = '' OR (product_id = $1 \
         AND ((variant_id = '' AND location = '') \
         OR (variant_id = $2 AND location IN ('', $3))))",
    );
    let query = query.bind(&key.product_id).bind(&key.variant_id).bind(&key.location);
    let mut found = Thresholds { global: GLOBAL, ..Thresholds::default() };
    for row in work.all(query).await? {
        let is_any = |column| Ok::<_, Error>(row.get::<String>(column)?.is_empty());
        let threshold = row.get("threshold")?;
        match (is_any("product_id")?, is_any("variant_id")?, is_any("location")?) {
            (true, ..) => found.global = threshold,
            (_, _, false) => found.level = Some(threshold),
            (_, true, _) => found.product = Some(threshold),
            (_, false, _) => found.variant = Some(threshold),
        }
    }
    Ok(found)
}
