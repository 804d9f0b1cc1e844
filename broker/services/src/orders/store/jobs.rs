//! The jobs that ask carriers. One is changed under the lock of its order's row only.

use tracing::warn;

use super::super::events;
use super::super::model::StopReason;
use super::super::rules::polling::{Job, expired};
use super::json;
use crate::id::Id;
use crate::moment::Moment;
use crate::outbox;
use crate::store::{Database, Error, Query, Row, Work, each};

/// Orders of one number that are looked at.
const ORDERS_MAX: i64 = 16;
/// How long a job is one process's, milliseconds. An answer takes less.
const LEASE_MS: i64 = 60_000;

/// Begins a job, if there is one; whether it runs. One that has ended begins anew only if it is
/// asked to.
pub(super) async fn begin(
    work: &mut Work<'_>,
    job: Option<Job>,
    again: bool,
) -> Result<bool, Error> {
    let Some(job) = job else { return Ok(false) };
    let query = Query::new(
        "INSERT INTO tracking_jobs (id, order_id, carrier, tracking_number, started_at, \
         next_poll_at, stop_at, errors, lease_until, is_over, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10) \
         ON CONFLICT (order_id, carrier, tracking_number) DO NOTHING",
    );
    let query = query.bind(Id::new().to_string()).bind(&job.order_id).bind(&job.carrier);
    let query = query.bind(&job.tracking_number).bind(job.started_at.as_ms());
    if work.execute(times(query, &job)?).await? == 1 {
        return Ok(true);
    }
    let before = find(work, &job.order_id, &job.carrier, &job.tracking_number).await?;
    let is_over = before.is_none_or(|before| before.stopped.is_some());
    let is_begun = is_over && again;
    if is_begun {
        put(work, &job).await?;
    }
    Ok(!is_over || is_begun)
}

/// Orders that have or had this number of the carrier, in whatever case it is written, the newest
/// first.
pub(super) async fn orders_of(
    work: &mut Work<'_>,
    carrier: &str,
    number: &str,
) -> Result<Vec<String>, Error> {
    let query = Query::new(
        "SELECT order_id FROM tracking_jobs \
         WHERE UPPER(tracking_number) = UPPER($1) AND UPPER(carrier) = UPPER($2) \
         ORDER BY started_at DESC, id DESC LIMIT $3",
    );
    let rows = work.all(query.bind(number).bind(carrier).bind(ORDERS_MAX)).await?;
    rows.iter().map(|row| row.get("order_id")).collect()
}

/// Changes a job that has not ended, and gives it back.
pub(super) async fn change(
    work: &mut Work<'_>,
    order_id: &str,
    carrier: &str,
    number: &str,
    next: impl FnOnce(&Job) -> Job,
) -> Result<(), Error> {
    match find(work, order_id, carrier, number).await? {
        Some(job) if job.stopped.is_none() => put(work, &next(&job)).await,
        _ => Ok(()),
    }
}

/// Ends the jobs of an order.
pub(super) async fn stop_all(
    work: &mut Work<'_>,
    order_id: &str,
    reason: StopReason,
    at: Moment,
) -> Result<(), Error> {
    let query =
        Query::new("SELECT * FROM tracking_jobs WHERE order_id = $1 AND is_over = 0 ORDER BY id");
    for row in work.all(query.bind(order_id)).await? {
        let Some(job) = read(work, &row).await? else { continue };
        end(work, &Job { stopped: Some(reason), ..job }, reason, at).await?;
    }
    Ok(())
}

/// Jobs whose time has come, for this caller.
pub(super) async fn due(database: &Database, max: u32) -> Result<Vec<Job>, Error> {
    let mut work = database.begin().await?;
    let now = work.now().await?;
    let text = each(
        "UPDATE tracking_jobs SET lease_until = $2 WHERE id IN (SELECT id FROM tracking_jobs \
         WHERE is_over = 0 AND next_poll_at <= $1 AND stop_at > $1 AND lease_until <= $1 \
         ORDER BY next_poll_at LIMIT $3) RETURNING *",
        "UPDATE tracking_jobs SET lease_until = $2 WHERE id IN (SELECT id FROM tracking_jobs \
         WHERE is_over = 0 AND next_poll_at <= $1 AND stop_at > $1 AND lease_until <= $1 \
         ORDER BY next_poll_at LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING *",
    );
    let query = Query::new(text).bind(now).bind(now.as_ms() + LEASE_MS).bind(i64::from(max));
    let mut jobs = Vec::new();
    for row in work.all(query).await? {
        jobs.extend(read(&mut work, &row).await?);
    }
    work.commit().await?;
    Ok(jobs)
}

/// Ends jobs whose time is over, each in a transaction of its own.
pub(super) async fn expire(database: &Database, max: u32) -> Result<usize, Error> {
    let query = Query::new(
        "SELECT order_id, carrier, tracking_number FROM tracking_jobs \
         WHERE is_over = 0 AND stop_at <= $1 ORDER BY stop_at LIMIT $2",
    );
    let mut work = database.begin().await?;
    let now = work.now().await?;
    let over = work.all(query.bind(now).bind(i64::from(max))).await?;
    drop(work);
    let mut ended = 0;
    for row in &over {
        let (order_id, carrier, number): (String, String, String) =
            (row.get("order_id")?, row.get("carrier")?, row.get("tracking_number")?);
        let mut work = database.begin().await?;
        super::lock(&mut work, &order_id).await?;
        let now = work.now().await?;
        let job = find(&mut work, &order_id, &carrier, &number).await?;
        if let Some(job) = job.and_then(|job| expired(&job, now)) {
            end(&mut work, &job, StopReason::Expired, now).await?;
            ended += 1;
        }
        work.commit().await?;
    }
    Ok(ended)
}

async fn end(work: &mut Work<'_>, job: &Job, reason: StopReason, at: Moment) -> Result<(), Error> {
    put(work, job).await?;
    for event in events::stopped(job, reason, at)? {
        outbox::add(work, &event).await?;
    }
    Ok(())
}

async fn find(
    work: &mut Work<'_>,
    order_id: &str,
    carrier: &str,
    number: &str,
) -> Result<Option<Job>, Error> {
    let query = Query::new(
        "SELECT * FROM tracking_jobs \
         WHERE order_id = $1 AND carrier = $2 AND tracking_number = $3",
    );
    match work.one(query.bind(order_id).bind(carrier).bind(number)).await? {
        Some(row) => read(work, &row).await,
        None => Ok(None),
    }
}

/// The job of a row. One that cannot be read has ended, and stops no other.
async fn read(work: &mut Work<'_>, row: &Row) -> Result<Option<Job>, Error> {
    let damage = match row.json("body") {
        Ok(job) => return Ok(Some(job)),
        Err(error) => error,
    };
    let id: String = row.get("id")?;
    warn!(%damage, id, "an order is tracked no longer by a job that cannot be read");
    let query = Query::new("UPDATE tracking_jobs SET is_over = 1 WHERE id = $1");
    work.execute(query.bind(id)).await?;
    Ok(None)
}

/// Puts a job in the place of how it was; nobody has it then.
async fn put(work: &mut Work<'_>, job: &Job) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE tracking_jobs SET started_at = $4, next_poll_at = $5, stop_at = $6, errors = $7, \
         is_over = $8, body = $9, lease_until = 0 \
         WHERE order_id = $1 AND carrier = $2 AND tracking_number = $3",
    );
    let query = query.bind(&job.order_id).bind(&job.carrier).bind(&job.tracking_number);
    work.execute(times(query.bind(job.started_at.as_ms()), job)?).await.map(|_| ())
}

fn times(query: Query, job: &Job) -> Result<Query, Error> {
    let query = query.bind(job.next_poll_at.as_ms()).bind(job.stop_at.as_ms());
    Ok(query.bind(i64::from(job.errors)).bind(job.stopped.is_some()).bind(json(job)?))
}
