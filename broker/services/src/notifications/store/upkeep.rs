//! What time does to notifications.

use std::time::Duration;

use super::{Notifications, devices};
use crate::moment::Moment;
use crate::store::{Error, Query, Work};

/// How long a notification is kept, with what came of it. It holds personal data.
const KEEP: Duration = Duration::from_secs(30 * 86_400);
/// How long it is kept that a page has an event.
const TAKEN_KEEP: Duration = Duration::from_secs(86_400);
/// How long it is kept what a gateway said of a message that nobody knew.
const RECEIPT_KEEP: Duration = Duration::from_secs(3_600);
/// Rows that one transaction takes away.
const BATCH: i64 = 1_000;

impl Notifications {
    /// Forgets what is old, and retires devices that have been silent for 270 days; how many rows
    /// went.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn keep_up(&self) -> Result<u64, Error> {
        let mut gone = 0;
        loop {
            let mut work = self.0.begin().await?;
            let now = work.now().await?;
            let round = round(&mut work, now).await?;
            work.commit().await?;
            gone += round;
            if round == 0 {
                return Ok(gone);
            }
        }
    }
}

async fn round(work: &mut Work<'_>, now: Moment) -> Result<u64, Error> {
    let old = [
        (
            Query::new(
                "DELETE FROM notifications WHERE id IN (SELECT id FROM notifications \
                 WHERE created_at < $1 AND expires_at < $3 ORDER BY created_at LIMIT $2)",
            ),
            now.before(KEEP),
        ),
        (
            Query::new(
                "DELETE FROM notification_keys WHERE until < $3 AND (caller, name) IN \
                 (SELECT caller, name FROM notification_keys WHERE until < $1 LIMIT $2)",
            ),
            now,
        ),
        (
            Query::new(
                "DELETE FROM notification_taken WHERE at < $3 AND (user_id, event_id) IN \
                 (SELECT user_id, event_id FROM notification_taken WHERE at < $1 LIMIT $2)",
            ),
            now.before(TAKEN_KEEP),
        ),
        (
            Query::new(
                "DELETE FROM early_receipts WHERE at < $3 AND message_id IN \
                 (SELECT message_id FROM early_receipts WHERE at < $1 LIMIT $2)",
            ),
            now.before(RECEIPT_KEEP),
        ),
        (
            Query::new(
                "DELETE FROM bulk_jobs WHERE updated_at < $3 AND id IN (SELECT id FROM bulk_jobs \
                 WHERE updated_at < $1 AND state IN ('open', 'done', 'cancelled') LIMIT $2)",
            ),
            now.before(KEEP),
        ),
    ];
    let mut gone = devices::retire_silent(work, now).await?;
    for (query, before) in old {
        gone += work.execute(query.bind(before).bind(BATCH).bind(now)).await?;
    }
    Ok(gone)
}
