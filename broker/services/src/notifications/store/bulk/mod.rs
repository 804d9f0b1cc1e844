//! Bulk jobs: many notifications, made in batches of 100 that commit as a whole, so that whoever
//! goes on after a crash makes none twice.

mod progress;
mod stop;

use std::collections::BTreeMap;

use sampan_client::Code;
use tracing::warn;

use self::progress::{count, read};
use super::super::asked::{BulkItem, BulkPart, JobState, Progress, Refused};
use super::super::model::Trigger;
use super::Notifications;
use super::intake::{Sent, accept};
use crate::moment::Moment;
use crate::service::Problem;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work, each};

/// Items of one part.
pub(crate) const PART_MAX: usize = 1_000;
/// Items of a job.
const ITEMS_MAX: u64 = 1_000_000;
/// Items of one batch.
const BATCH: i64 = 100;
/// Deliveries of a job that may wait for a sender; batches wait until there are fewer. Those that
/// wait for a morning are not among them.
const WAITING_MAX: i64 = 5_000;
/// Batches of one job before the next job has its turn.
const ROUND_MAX: usize = 10;
/// Items that are told of in a list.
const LIST_MAX: i64 = 100;

/// A job's row.
struct Job {
    id: String,
    caller: String,
    state: JobState,
    /// Whether its last part is there.
    is_whole: bool,
    total: u64,
    /// Items that became notifications.
    done: u64,
    /// Items that were refused.
    failed: u64,
    version: u64,
    /// When its deliveries were counted last, and what was told then.
    counted_at: Moment,
    told: Option<String>,
}

impl Notifications {
    /// Takes a part of a job, and begins it with the last one. A part that is there already is
    /// taken as said again; the parts come in order.
    ///
    /// # Errors
    /// `NOT_ALLOWED` for the job of another, `CONFLICT` for a part that leaves a gap, `CLOSED` for
    /// one of a job that is whole, `FULL` above a million items; those of the database.
    pub async fn add_part(&self, caller: &str, part: &BulkPart) -> Result<Progress, Problem> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO bulk_jobs (id, caller, state, is_whole, total, created_at, updated_at, \
             version) VALUES ($1, $2, 'open', 0, 0, $3, $3, 1) ON CONFLICT (id) DO NOTHING",
        );
        work.execute(query.bind(&part.job_id).bind(caller).bind(now)).await?;
        let job = lock(&mut work, &part.job_id).await?.ok_or_else(unknown)?;
        if job.caller != caller {
            return Err(Problem::not_allowed("this is the job of another"));
        }
        let (from, items) = (u64::from(part.from), part.items.len() as u64);
        if from + items <= job.total && (items > 0 || job.state != JobState::Open) {
            drop(work);
            return Ok(count(&self.0, &job).await?);
        }
        if job.state != JobState::Open {
            return Err(Problem::closed(
                "the job is whole or was stopped, and takes no more items",
            ));
        }
        if from != job.total {
            return Err(Problem::conflict("the part leaves a gap, or covers another in part"));
        }
        if from + items > ITEMS_MAX {
            return Err(Problem::full("a job has at most a million items"));
        }
        for (n, item) in (from..).zip(&part.items) {
            let query = Query::new(
                "INSERT INTO bulk_items (job, n, state, body) VALUES ($1, $2, 'pending', $3)",
            );
            work.execute(query.bind(&part.job_id).bind(n).bind(json(item)?)).await?;
        }
        let job = Job { is_whole: part.is_last, total: from + items, ..job };
        let job = Job { state: job.started(), ..job };
        put(&mut work, &job, now).await?;
        work.commit().await?;
        // Nothing of it was sent so far.
        Ok(job.progress(BTreeMap::new()))
    }

    /// The first 100 items of a job that were refused.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn refused(&self, id: &str) -> Result<Vec<Refused>, Error> {
        let query = Query::new(
            "SELECT n, reason FROM bulk_items WHERE job = $1 AND state = 'refused' \
             ORDER BY n LIMIT $2",
        );
        let rows = self.0.all(query.bind(id).bind(LIST_MAX)).await?;
        let one = |row: &Row| Ok(Refused { n: row.get("n")?, reason: row.get("reason")? });
        rows.iter().map(one).collect()
    }

    /// Makes the next notifications of every job that runs, up to a thousand of each, ends what was
    /// left of those that were stopped, and tells how far each is. A job is done when all of its
    /// deliveries have ended. What one of them fails on keeps none of the others.
    ///
    /// # Errors
    /// The last of those of the database.
    pub async fn make_batches(&self) -> Result<(), Error> {
        self.stop_the_rest().await?;
        let query =
            Query::new("SELECT id FROM bulk_jobs WHERE state = 'running' ORDER BY created_at");
        let mut outcome = Ok(());
        for row in self.0.all(query).await? {
            let id: String = row.get("id")?;
            if let Err(error) = self.go_on(&id).await {
                warn!(id, %error, "a bulk job waits for its next turn");
                outcome = Err(error);
            }
        }
        outcome
    }

    async fn go_on(&self, id: &str) -> Result<(), Error> {
        for _ in 0..ROUND_MAX {
            if !self.batch(id).await? {
                break;
            }
        }
        self.tell_progress(id).await
    }

    /// Makes the next batch of a job; whether there may be another at once.
    async fn batch(&self, id: &str) -> Result<bool, Error> {
        let waiting = Query::new(
            "SELECT COUNT(*) AS n FROM (SELECT 1 FROM deliveries WHERE job = $1 \
             AND state IN ('queued', 'sending') LIMIT $2) AS waiting",
        );
        let waiting = self.0.one(waiting.bind(id).bind(WAITING_MAX)).await?;
        if waiting.map_or(Ok(0_i64), |row| row.get("n"))? >= WAITING_MAX {
            return Ok(false);
        }
        let mut work = self.0.begin().await?;
        let Some(mut job) = lock(&mut work, id).await? else { return Ok(false) };
        if job.state != JobState::Running {
            return Ok(false);
        }
        let now = work.now().await?;
        let query = Query::new(
            "SELECT n, body FROM bulk_items WHERE job = $1 AND state = 'pending' \
             ORDER BY n LIMIT $2",
        );
        let items = work.all(query.bind(id).bind(BATCH)).await?;
        for row in &items {
            let n: u64 = row.get("n")?;
            match make(&mut work, &job, row).await {
                Ok(id) => {
                    settle(&mut work, &job, n, Ok(&id)).await?;
                    job.done += 1;
                }
                Err(problem) if problem.code == Code::BUSY => {
                    return Err(Error::Contended(problem.reason));
                }
                Err(problem) if problem.is_ours() => {
                    // What this transaction has done may be lost with it; the rest comes again.
                    drop(work);
                    return self.refuse(id, n, "damaged").await.map(|()| true);
                }
                Err(problem) => {
                    settle(&mut work, &job, n, Err(&problem.reason)).await?;
                    job.failed += 1;
                }
            }
        }
        if items.is_empty() && !is_under_way(&mut work, id).await? {
            job.state = JobState::Done;
        }
        if !items.is_empty() || job.state == JobState::Done {
            put(&mut work, &job, now).await?;
        }
        work.commit().await?;
        Ok(!items.is_empty())
    }

    /// Refuses an item on which the service fails: it holds up no other.
    async fn refuse(&self, id: &str, n: u64, reason: &str) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let Some(mut job) = lock(&mut work, id).await? else { return Ok(()) };
        let now = work.now().await?;
        if settle(&mut work, &job, n, Err(reason)).await? {
            job.failed += 1;
            put(&mut work, &job, now).await?;
        }
        work.commit().await
    }
}

impl Job {
    /// How it goes on: it runs when it is whole.
    const fn started(&self) -> JobState {
        if self.is_whole { JobState::Running } else { JobState::Open }
    }
}

/// Whether any delivery of a job has not ended.
async fn is_under_way(work: &mut Work<'_>, id: &str) -> Result<bool, Error> {
    let query = Query::new(
        "SELECT 1 AS one FROM deliveries WHERE job = $1 \
         AND state IN ('queued', 'deferred', 'sending') LIMIT 1",
    );
    Ok(work.one(query.bind(id)).await?.is_some())
}

/// Makes one item a notification, and gives its id.
async fn make(work: &mut Work<'_>, job: &Job, row: &Row) -> Result<String, Problem> {
    let BulkItem { user_id, kind, data, channels } = row.json("body")?;
    let trigger = Trigger {
        user_id,
        kind,
        data,
        channels,
        priority: None,
        ttl: None,
        idempotency_key: None,
        event_id: None,
    };
    let sent = Sent { caller: &job.caller, job: Some(&job.id) };
    Ok(accept(work, &trigger, sent).await?.notification_id)
}

/// Notes what has become of an item, for good; false if that was known.
async fn settle(
    work: &mut Work<'_>,
    job: &Job,
    n: u64,
    outcome: Result<&str, &str>,
) -> Result<bool, Error> {
    let (state, id, reason) = match outcome {
        Ok(id) => ("made", Some(id), None),
        Err(reason) => ("refused", None, Some(reason)),
    };
    let query = Query::new(
        "UPDATE bulk_items SET state = $3, notification_id = $4, reason = $5 \
         WHERE job = $1 AND n = $2 AND state = 'pending'",
    );
    let query = query.bind(&job.id).bind(n).bind(state).bind(id);
    Ok(work.execute(query.bind(reason)).await? == 1)
}

async fn lock(work: &mut Work<'_>, id: &str) -> Result<Option<Job>, Error> {
    let text = each(
        "SELECT * FROM bulk_jobs WHERE id = $1",
        "SELECT * FROM bulk_jobs WHERE id = $1 FOR UPDATE",
    );
    work.one(Query::new(text).bind(id)).await?.as_ref().map(read).transpose()
}

async fn put(work: &mut Work<'_>, job: &Job, now: Moment) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE bulk_jobs SET state = $2, is_whole = $3, total = $4, done = $5, failed = $6, \
         updated_at = $7 WHERE id = $1",
    );
    let query = query.bind(&job.id).bind(name(&job.state)?).bind(job.is_whole).bind(job.total);
    work.execute(query.bind(job.done).bind(job.failed).bind(now)).await.map(|_| ())
}

fn unknown() -> Problem {
    Problem::not_found("there is no such job")
}
