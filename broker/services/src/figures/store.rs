//! Counting what the services have stored.

use std::collections::BTreeMap;

use crate::days::{self, Days};
use crate::store::{Database, Error, Query, Row, both};
use sampan_client::shop::Counts;

/// What the tables of all services tell by day.
#[derive(Clone, Debug)]
pub struct Ledger(Database);

/// Takes the counts of a row.
type Reading = fn(&Row, &mut Counts) -> Result<(), Error>;

/// Counts of one sort by the number of the day. Each statement takes the first moment, and the first
/// that is no part of the days any more.
const COUNTED: [(&str, Reading); 4] = [
    (
        "SELECT created_at / 86400000 AS day, COUNT(DISTINCT id) AS made, \
         COUNT(DISTINCT CASE WHEN status = 'committed' THEN id END) AS sold FROM reservations \
         WHERE created_at >= $1 AND created_at < $2 GROUP BY 1",
        |row, counts| {
            counts.reservations += row.get::<u64>("made")?;
            counts.sold = row.get("sold")?;
            Ok(())
        },
    ),
    (
        "SELECT day, made FROM reservation_days WHERE day * 86400000 >= $1 \
         AND day * 86400000 < $2",
        |row, counts| {
            counts.reservations += row.get::<u64>("made")?;
            Ok(())
        },
    ),
    (
        "SELECT placed_at / 86400000 AS day, COUNT(*) AS placed, \
         COUNT(CASE WHEN status = 'delivered' THEN 1 END) AS came, \
         COUNT(CASE WHEN status IN ('cancelled', 'returned') THEN 1 END) AS back FROM orders \
         WHERE placed_at >= $1 AND placed_at < $2 GROUP BY 1",
        |row, counts| {
            (counts.orders, counts.delivered, counts.cancelled) =
                (row.get("placed")?, row.get("came")?, row.get("back")?);
            Ok(())
        },
    ),
    (
        "SELECT updated_at / 86400000 AS day, \
         COUNT(CASE WHEN state IN ('failed', 'bounced') THEN NULL ELSE 1 END) AS good, \
         COUNT(CASE WHEN state = 'clicked' THEN 1 END) AS opened, \
         COUNT(CASE WHEN state IN ('failed', 'bounced') THEN 1 END) AS lost FROM deliveries \
         WHERE state IN ('sent', 'delivered', 'seen', 'clicked', 'failed', 'bounced') \
         AND updated_at >= $1 AND updated_at < $2 GROUP BY 1",
        |row, counts| {
            (counts.notified, counts.clicked, counts.undelivered) =
                (row.get("good")?, row.get("opened")?, row.get("lost")?);
            Ok(())
        },
    ),
];

impl Ledger {
    /// What this database tells.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Ledger(database.clone())
    }

    /// What is counted of each of these days, by its name; nothing of those without any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn counts(&self, days: &Days) -> Result<BTreeMap<String, Counts>, Error> {
        let (from, until) = days.moments();
        let mut all: BTreeMap<String, Counts> = BTreeMap::new();
        for (text, read) in COUNTED {
            let query = Query::new(both(text)).bind(from).bind(until);
            for row in self.0.all(query).await? {
                read(&row, all.entry(days::numbered(row.get("day")?)).or_default())?;
            }
        }
        Ok(all)
    }
}
