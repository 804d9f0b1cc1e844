//! What is read of notifications, taken back, and tried anew.

use std::time::Duration;

use tracing::warn;

use super::super::asked::{Accepted, Attempt, DeliveryOf, Outcome, Replay, Report};
use super::super::model::State;
use super::claim::Standing;
use super::record::cancel;
use super::{Notifications, tell};
use crate::moment::Moment;
use crate::service::Problem;
use crate::store::{Error, Query, Row, Work, each};

impl Notifications {
    /// A notification with all that came of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn report(&self, id: &str) -> Result<Option<Report>, Error> {
        let query = Query::new("SELECT * FROM notifications WHERE id = $1").bind(id);
        let Some(row) = self.0.one(query).await? else { return Ok(None) };
        let query = Query::new(
            "SELECT * FROM delivery_attempts WHERE delivery_id IN (SELECT id FROM deliveries \
             WHERE notification_id = $1) ORDER BY at, delivery_id, n",
        );
        let attempts = self.0.all(query.bind(id)).await?;
        let deliveries = self.0.all(of(id)).await?;
        Ok(Some(Report {
            notification_id: row.get("id")?,
            user_id: row.get("user_id")?,
            kind: row.named("kind")?,
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            deliveries: deliveries.iter().map(delivery).collect::<Result<_, _>>()?,
            attempts: attempts.iter().map(attempt).collect::<Result<_, _>>()?,
        }))
    }

    /// The newest deliveries that were given up, at most `max`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn failed(&self, max: u32) -> Result<Vec<Outcome>, Error> {
        let query = Query::new(
            "SELECT d.*, n.kind AS kind FROM deliveries AS d JOIN notifications AS n \
             ON n.id = d.notification_id WHERE d.state = 'failed' \
             ORDER BY d.updated_at DESC LIMIT $1",
        );
        let rows = self.0.all(query.bind(i64::from(max))).await?;
        // One that cannot be read hides no other.
        Ok(rows.iter().filter_map(|row| outcome(row).ok()).collect())
    }

    /// Takes back what of a notification has not been sent; `None` if there is no such one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cancel(&self, id: &str) -> Result<Option<()>, Error> {
        let mut work = self.0.begin().await?;
        let there = Query::new("SELECT 1 AS one FROM notifications WHERE id = $1").bind(id);
        if work.one(there).await?.is_none() {
            return Ok(None);
        }
        let now = work.now().await?;
        let text = each(
            "SELECT * FROM deliveries WHERE notification_id = $1 \
             AND state IN ('queued', 'deferred')",
            "SELECT * FROM deliveries WHERE notification_id = $1 \
             AND state IN ('queued', 'deferred') FOR UPDATE",
        );
        for row in work.all(Query::new(text).bind(id)).await? {
            cancel(&mut work, &row, None, now).await?;
        }
        work.commit().await?;
        Ok(Some(()))
    }

    /// Gives a delivery that was given up eight more attempts.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` if it was not given up, or is worth nothing any more and no new time
    /// is given; those of the database.
    pub async fn replay(&self, asked: &Replay) -> Result<DeliveryOf, Problem> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let text = each(
            "SELECT * FROM deliveries WHERE id = $1",
            "SELECT * FROM deliveries WHERE id = $1 FOR UPDATE",
        );
        let row = work.one(Query::new(text).bind(&asked.delivery_id)).await?;
        let row = row.ok_or_else(|| Problem::not_found("there is no such delivery"))?;
        let before = Standing::of(&row)?;
        if !matches!(before.state, State::Failed | State::Expired) {
            return Err(Problem::conflict("it was not given up"));
        }
        let expires_at = match asked.ttl {
            Some(ttl) => now.after(Duration::from_secs(u64::from(ttl))),
            None if before.expires_at > now => before.expires_at,
            None => {
                return Err(Problem::conflict("it is worth nothing any more; say for how long"));
            }
        };
        // Its attempts are counted anew, so that those of before make room.
        let query = Query::new("DELETE FROM delivery_attempts WHERE delivery_id = $1");
        work.execute(query.bind(&asked.delivery_id)).await?;
        let query = Query::new(
            "UPDATE deliveries SET state = 'queued', is_open = 1, due_at = $2, created_at = $2, \
             expires_at = $3, reason = NULL, attempts = 0, updated_at = $2 WHERE id = $1",
        );
        work.execute(query.bind(&asked.delivery_id).bind(now).bind(expires_at)).await?;
        work.commit().await?;
        let Standing { id: delivery_id, channel, .. } = before;
        Ok(DeliveryOf { delivery_id, channel, state: State::Queued, reason: None, attempts: 0 })
    }
}

/// What has become of the delivery of a row, with the kind of its notification. Its body, which may be
/// damaged, is not looked at.
fn outcome(row: &Row) -> Result<Outcome, Error> {
    let standing = Standing::of(row)?;
    Ok(Outcome {
        delivery_id: standing.id,
        notification_id: standing.notification_id,
        user_id: standing.user_id,
        kind: row.named("kind")?,
        channel: standing.channel,
        provider: standing.provider,
        state: standing.state,
        reason: row.get("reason")?,
        attempts: standing.attempts,
        job: standing.job,
        at: row.get("updated_at")?,
    })
}

/// Ends a delivery that cannot be read, or of which nothing can be written, and tells of it what can
/// be told.
pub(super) async fn set_aside(
    work: &mut Work<'_>,
    id: &str,
    error: &Error,
    now: Moment,
) -> Result<(), Error> {
    warn!(id, %error, "a delivery is damaged, and is not sent");
    let query = Query::new(
        "UPDATE deliveries SET state = 'failed', is_open = 0, reason = 'damaged', updated_at = $2 \
         WHERE id = $1",
    );
    work.execute(query.bind(id).bind(now)).await?;
    let query = Query::new(
        "SELECT d.*, n.kind AS kind FROM deliveries AS d JOIN notifications AS n \
         ON n.id = d.notification_id WHERE d.id = $1",
    );
    match work.one(query.bind(id)).await?.as_ref().map(outcome) {
        Some(Ok(outcome)) => tell(work, &outcome).await,
        _ => Ok(()),
    }
}

/// What was accepted before.
pub(super) async fn accepted(work: &mut Work<'_>, id: &str) -> Result<Accepted, Error> {
    let rows = work.all(of(id)).await?;
    let deliveries = rows.iter().map(delivery).collect::<Result<_, _>>()?;
    Ok(Accepted { notification_id: id.to_owned(), deliveries })
}

fn of(id: &str) -> Query {
    Query::new("SELECT * FROM deliveries WHERE notification_id = $1 ORDER BY id").bind(id)
}

fn delivery(row: &Row) -> Result<DeliveryOf, Error> {
    Ok(DeliveryOf {
        delivery_id: row.get("id")?,
        channel: row.named("channel")?,
        state: row.named("state")?,
        reason: row.get("reason")?,
        attempts: count(row, "attempts")?,
    })
}

fn attempt(row: &Row) -> Result<Attempt, Error> {
    let at: Moment = row.get("at")?;
    Ok(Attempt {
        delivery_id: row.get("delivery_id")?,
        n: count(row, "n")?,
        at,
        ms: row.get("ms")?,
        provider: row.get("provider")?,
        class: row.get("class")?,
        status: row.get("status")?,
        code: row.get("code")?,
    })
}

fn count(row: &Row, name: &str) -> Result<u32, Error> {
    Ok(u32::try_from(row.get::<u64>(name)?).unwrap_or(u32::MAX))
}
