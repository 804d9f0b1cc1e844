//! What is forgotten: what came to nothing, once nobody asks for it any more. Sales and what moved
//! stock stay.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Stock, requests};
use crate::moment::Moment;
use crate::store::{Error, Query};

/// How long a reservation that nobody paid is kept, and a movement of what is held only.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// Reservations of one transaction, and movements.
const RESERVATIONS: usize = 256;
const MOVEMENTS: u64 = 2_000;

/// Forgets what is too old; how many rows.
pub(super) async fn prune(stock: &Stock) -> Result<u64, Error> {
    let mut work = stock.database.begin().await?;
    let now = work.now().await?;
    let requests = requests::prune(&mut work, now).await?;
    work.commit().await?;
    let before = now.before(KEEP);
    Ok(requests + reservations(stock, before).await? + movements(stock, before).await?)
}

/// Reservations that were made before a moment, and have ended unpaid. Their days keep the number.
async fn reservations(stock: &Stock, before: Moment) -> Result<u64, Error> {
    let mut pruned = 0;
    loop {
        let mut work = stock.database.begin().await?;
        let query = Query::new(
            "SELECT DISTINCT id FROM reservations AS r \
             WHERE status IN ('released', 'expired') AND created_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM reservations AS o WHERE o.id = r.id \
             AND o.status NOT IN ('released', 'expired')) LIMIT $2",
        );
        let ids = work.all(query.bind(before.as_ms()).bind(RESERVATIONS as u64)).await?;
        let mut days: BTreeMap<i64, u64> = BTreeMap::new();
        for id in &ids {
            let query = Query::new(
                "DELETE FROM reservations WHERE id = $1 RETURNING created_at / 86400000 AS day",
            );
            let lines = work.all(query.bind(id.get::<String>("id")?)).await?;
            if let Some(line) = lines.first() {
                *days.entry(line.get("day")?).or_default() += 1;
            }
            pruned += lines.len() as u64;
        }
        for (day, made) in days {
            let query = Query::new(
                "INSERT INTO reservation_days (day, made) VALUES ($1, $2) ON CONFLICT (day) \
                 DO UPDATE SET made = reservation_days.made + excluded.made",
            );
            work.execute(query.bind(day).bind(made)).await?;
        }
        work.commit().await?;
        if ids.len() < RESERVATIONS {
            return Ok(pruned);
        }
    }
}

async fn movements(stock: &Stock, before: Moment) -> Result<u64, Error> {
    let mut pruned = 0;
    loop {
        let mut work = stock.database.begin().await?;
        let query = Query::new(
            "DELETE FROM stock_movements WHERE seq IN (SELECT seq FROM stock_movements \
             WHERE on_hand = 0 AND at < $1 ORDER BY at LIMIT $2)",
        );
        let gone = work.execute(query.bind(before.as_ms()).bind(MOVEMENTS)).await?;
        work.commit().await?;
        pruned += gone;
        if gone < MOVEMENTS {
            return Ok(pruned);
        }
    }
}
