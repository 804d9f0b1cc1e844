//! How far a job is. Its items are counted as they are made; its deliveries are counted outside of any
//! transaction that writes, since nothing may wait behind it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::Notifications;
use super::{Job, lock};
use crate::moment::Moment;
use crate::notifications::{JobState, Progress};
use crate::outbox::{self, Event};
use crate::store::encoding::json;
use crate::store::{Database, Error, Query, Row};

/// Deliveries of a running job are counted once a second for so many items, and once a second at most.
const COUNTED_A_SECOND: u64 = 100_000;

impl Notifications {
    /// How far a job is.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn progress(&self, id: &str) -> Result<Option<Progress>, Error> {
        match self.job(id).await? {
            Some(job) => count(&self.0, &job).await.map(Some),
            None => Ok(None),
        }
    }

    async fn job(&self, id: &str) -> Result<Option<Job>, Error> {
        let query = Query::new("SELECT * FROM bulk_jobs WHERE id = $1").bind(id);
        self.0.one(query).await?.as_ref().map(read).transpose()
    }

    /// Tells those who watch a job how far it is, if that is news.
    pub(super) async fn tell_progress(&self, id: &str) -> Result<(), Error> {
        let Some(job) = self.job(id).await? else { return Ok(()) };
        let now = self.0.now().await?;
        let pause = Duration::from_secs(job.total / COUNTED_A_SECOND);
        if job.state == JobState::Running && now < job.counted_at.after(pause) {
            return Ok(());
        }
        let told = count(&self.0, &job).await?;
        let text = json(&told)?;
        let mut work = self.0.begin().await?;
        let Some(job) = lock(&mut work, id).await? else { return Ok(()) };
        let is_news = job.told.as_ref() != Some(&text);
        // Who has changed it meanwhile tells of it.
        if job.state != told.state || !is_news && pause.is_zero() {
            return Ok(());
        }
        let now = work.now().await?;
        let version = job.version + u64::from(is_news);
        let query = Query::new(
            "UPDATE bulk_jobs SET told = $2, version = $3, counted_at = $4 WHERE id = $1",
        );
        work.execute(query.bind(id).bind(text).bind(version).bind(now)).await?;
        if is_news {
            let topic = format!("notify.bulk.{}", sampan_client::topic_token(id));
            let event = Event::of(&topic, "bulk:progress", now, &told)?;
            let event = event.producer("notifications").key(id).version(version);
            outbox::add(&mut work, &event).await?;
        }
        work.commit().await
    }
}

impl Job {
    pub(super) fn progress(&self, deliveries: BTreeMap<String, u64>) -> Progress {
        Progress {
            job_id: self.id.clone(),
            state: self.state,
            total: self.total,
            done: self.done,
            failed: self.failed,
            deliveries,
        }
    }
}

/// How far a job is, with its deliveries.
pub(super) async fn count(database: &Database, job: &Job) -> Result<Progress, Error> {
    let query =
        Query::new("SELECT state, COUNT(*) AS n FROM deliveries WHERE job = $1 GROUP BY state");
    let rows = database.all(query.bind(&job.id)).await?;
    let deliveries = rows.iter().map(|row| Ok((row.get("state")?, row.get("n")?)));
    Ok(job.progress(deliveries.collect::<Result<_, Error>>()?))
}

pub(super) fn read(row: &Row) -> Result<Job, Error> {
    Ok(Job {
        id: row.get("id")?,
        caller: row.get("caller")?,
        state: row.named("state")?,
        is_whole: row.get("is_whole")?,
        total: row.get("total")?,
        done: row.get("done")?,
        failed: row.get("failed")?,
        version: row.get("version")?,
        counted_at: row.get::<Option<Moment>>("counted_at")?.unwrap_or(Moment::from_ms(0)),
        told: row.get("told")?,
    })
}
