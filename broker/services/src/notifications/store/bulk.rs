//! Bulk jobs: many notifications, made in batches of 100 that commit as a whole, so that whoever
//! goes on after a crash makes none twice.

use std::collections::BTreeMap;

use super::super::asked::{BulkItem, BulkPart, JobState, Progress, Refused};
use super::super::model::Trigger;
use super::Notifications;
use super::intake::{Sent, accept};
use crate::moment::Moment;
use crate::outbox::{self, Event};
use crate::service::Problem;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work, each};

/// Items of one part.
pub(crate) const PART_MAX: usize = 1_000;
/// Items of a job.
const ITEMS_MAX: u64 = 1_000_000;
/// Items of one batch.
const BATCH: i64 = 100;
/// Deliveries of jobs that may wait for their turn; batches wait until there are fewer.
const WAITING_MAX: u64 = 5_000;
/// Batches of one job before the next job has its turn.
const ROUND_MAX: usize = 10;
/// Items that are told of in a list.
const LIST_MAX: i64 = 100;

/// A job's row.
struct Job {
    id: String,
    caller: String,
    state: JobState,
    total: u64,
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
            "INSERT INTO bulk_jobs (id, caller, state, total, created_at, updated_at, version) \
             VALUES ($1, $2, 'open', 0, $3, $3, 1) ON CONFLICT (id) DO NOTHING",
        );
        work.execute(query.bind(&part.job_id).bind(caller).bind(now)).await?;
        let job = lock(&mut work, &part.job_id).await?.ok_or_else(unknown)?;
        if job.caller != caller {
            return Err(Problem::not_allowed("this is the job of another"));
        }
        let (from, count) = (u64::from(part.from), part.items.len() as u64);
        if from + count <= job.total && (count > 0 || job.state != JobState::Open) {
            return Ok(progress(&mut work, &job).await?);
        }
        if job.state != JobState::Open {
            return Err(Problem::closed("the job is whole, and takes no more items"));
        }
        if from != job.total {
            return Err(Problem::conflict("the part leaves a gap, or covers another in part"));
        }
        if from + count > ITEMS_MAX {
            return Err(Problem::full("a job has at most a million items"));
        }
        for (n, item) in (from..).zip(&part.items) {
            let query = Query::new(
                "INSERT INTO bulk_items (job, n, state, body) VALUES ($1, $2, 'pending', $3)",
            );
            work.execute(query.bind(&part.job_id).bind(n).bind(json(item)?)).await?;
        }
        let state = if part.is_last { JobState::Running } else { JobState::Open };
        let job = Job { state, total: from + count, ..job };
        put(&mut work, &job, now).await?;
        let told = progress(&mut work, &job).await?;
        work.commit().await?;
        Ok(told)
    }

    /// How far a job is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn progress(&self, id: &str) -> Result<Option<Progress>, Error> {
        let mut work = self.0.begin().await?;
        let Some(job) = find(&mut work, id).await? else { return Ok(None) };
        progress(&mut work, &job).await.map(Some)
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

    /// Stops a job: what has not been sent is not. `None` if there is no such job.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn cancel_job(&self, id: &str) -> Result<Option<Progress>, Error> {
        self.turn(id, JobState::Cancelled, ["queued", "cancelled"]).await
    }

    /// Goes on with a job that was stopped. `None` if there is no such job.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn resume_job(&self, id: &str) -> Result<Option<Progress>, Error> {
        self.turn(id, JobState::Running, ["cancelled", "queued"]).await
    }

    /// Stops a job or goes on with it, and its deliveries from one state to the other.
    async fn turn(
        &self,
        id: &str,
        state: JobState,
        [from, to]: [&str; 2],
    ) -> Result<Option<Progress>, Error> {
        let mut work = self.0.begin().await?;
        let Some(job) = lock(&mut work, id).await? else { return Ok(None) };
        let can = match state {
            JobState::Cancelled => job.state != JobState::Cancelled,
            _ => job.state == JobState::Cancelled,
        };
        if can {
            let now = work.now().await?;
            let is_open = i64::from(to == "queued");
            let query = Query::new(
                "UPDATE deliveries SET state = $2, is_open = $3, updated_at = $4 \
                 WHERE job = $1 AND state IN ($5, $6)",
            );
            let also = if from == "queued" { "deferred" } else { from };
            let query = query.bind(id).bind(to).bind(is_open).bind(now).bind(from).bind(also);
            work.execute(query).await?;
            let job = Job { state, ..job };
            put(&mut work, &job, now).await?;
            let told = tell(&mut work, &job, now).await?;
            work.commit().await?;
            return Ok(Some(told));
        }
        progress(&mut work, &job).await.map(Some)
    }

    /// Makes the next notifications of every job that runs, up to a thousand of each, and tells how
    /// far it is. A job is done when all of its deliveries have ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn make_batches(&self) -> Result<(), Error> {
        let query =
            Query::new("SELECT id FROM bulk_jobs WHERE state = 'running' ORDER BY created_at");
        for row in self.0.all(query).await? {
            let id: String = row.get("id")?;
            for _ in 0..ROUND_MAX {
                if !self.batch(&id).await? {
                    break;
                }
            }
            let mut work = self.0.begin().await?;
            let now = work.now().await?;
            if let Some(job) = find(&mut work, &id).await? {
                tell(&mut work, &job, now).await?;
                work.commit().await?;
            }
        }
        Ok(())
    }

    /// Makes the next batch of a job; whether there may be another at once.
    async fn batch(&self, id: &str) -> Result<bool, Error> {
        let waiting = "SELECT COUNT(*) AS n FROM deliveries WHERE job = $1 \
                       AND state IN ('queued', 'deferred', 'sending')";
        let waiting = self.0.one(Query::new(waiting).bind(id)).await?;
        let waiting: u64 = waiting.map_or(Ok(0), |row| row.get("n"))?;
        if waiting >= WAITING_MAX {
            return Ok(false);
        }
        let mut work = self.0.begin().await?;
        let Some(job) = lock(&mut work, id).await? else { return Ok(false) };
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
            let (n, item): (u64, BulkItem) = (row.get("n")?, row.json("body")?);
            make(&mut work, &job, n, item).await?;
        }
        let is_done = items.is_empty() && waiting == 0;
        let state = if is_done { JobState::Done } else { JobState::Running };
        put(&mut work, &Job { state, ..job }, now).await?;
        work.commit().await?;
        Ok(!items.is_empty())
    }
}

/// Makes one item a notification, or refuses it for good.
async fn make(work: &mut Work<'_>, job: &Job, n: u64, item: BulkItem) -> Result<(), Error> {
    let BulkItem { user_id, kind, data, channels } = item;
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
    let (state, id, reason) = match accept(work, &trigger, sent).await {
        Ok(accepted) => ("made", Some(accepted.notification_id), None),
        // What the database says takes the whole batch back; all else is the item's own fault.
        Err(problem) if problem.is_ours() => return Err(Error::Contended(problem.reason)),
        Err(problem) => ("refused", None, Some(problem.reason)),
    };
    let query = Query::new(
        "UPDATE bulk_items SET state = $3, notification_id = $4, reason = $5 \
         WHERE job = $1 AND n = $2",
    );
    let query = query.bind(&job.id).bind(n).bind(state).bind(id);
    work.execute(query.bind(reason)).await.map(|_| ())
}

async fn find(work: &mut Work<'_>, id: &str) -> Result<Option<Job>, Error> {
    let query = Query::new("SELECT * FROM bulk_jobs WHERE id = $1").bind(id);
    work.one(query).await?.as_ref().map(job).transpose()
}

async fn lock(work: &mut Work<'_>, id: &str) -> Result<Option<Job>, Error> {
    let text = each(
        "SELECT * FROM bulk_jobs WHERE id = $1",
        "SELECT * FROM bulk_jobs WHERE id = $1 FOR UPDATE",
    );
    work.one(Query::new(text).bind(id)).await?.as_ref().map(job).transpose()
}

fn job(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        id: row.get("id")?,
        caller: row.get("caller")?,
        state: row.named("state")?,
        total: row.get("total")?,
    })
}

async fn put(work: &mut Work<'_>, job: &Job, now: Moment) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE bulk_jobs SET state = $2, total = $3, updated_at = $4, version = version + 1 \
         WHERE id = $1",
    );
    let query = query.bind(&job.id).bind(name(&job.state)?).bind(job.total);
    work.execute(query.bind(now)).await.map(|_| ())
}

async fn progress(work: &mut Work<'_>, job: &Job) -> Result<Progress, Error> {
    let counted = |rows: Vec<Row>| -> Result<BTreeMap<String, u64>, Error> {
        rows.iter().map(|row| Ok((row.get("state")?, row.get("n")?))).collect()
    };
    let items = "SELECT state, COUNT(*) AS n FROM bulk_items WHERE job = $1 GROUP BY state";
    let items = counted(work.all(Query::new(items).bind(&job.id)).await?)?;
    let ends = "SELECT state, COUNT(*) AS n FROM deliveries WHERE job = $1 GROUP BY state";
    let deliveries = counted(work.all(Query::new(ends).bind(&job.id)).await?)?;
    let count = |state: &str| items.get(state).copied().unwrap_or(0);
    Ok(Progress {
        job_id: job.id.clone(),
        state: job.state,
        total: job.total,
        done: count("made"),
        failed: count("refused"),
        deliveries,
    })
}

/// Tells those who watch a job how far it is.
async fn tell(work: &mut Work<'_>, job: &Job, now: Moment) -> Result<Progress, Error> {
    let told = progress(work, job).await?;
    let query = Query::new("SELECT version FROM bulk_jobs WHERE id = $1").bind(&job.id);
    let version: u64 = work.one(query).await?.map_or(Ok(0), |row| row.get("version"))?;
    let topic = format!("notify.bulk.{}", sampan_client::topic_token(&job.id));
    let event = Event::of(&topic, "bulk:progress", now, &told)?;
    let event = event.producer("notifications").key(&job.id).version(version);
    outbox::add(work, &event).await?;
    Ok(told)
}

fn unknown() -> Problem {
    Problem::not_found("there is no such job")
}
