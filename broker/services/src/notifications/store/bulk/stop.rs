//! Stopping a job, and going on with it.

use super::super::Notifications;
use super::super::record::cancel;
use super::{count, lock, put, unknown};
use crate::notifications::{JobState, Progress};
use crate::service::Problem;
use crate::store::{Error, Query, each};

/// Deliveries that one transaction ends.
const BATCH: i64 = 500;
/// Why a delivery was cancelled with its job, which may go on.
const WITH_ITS_JOB: &str = "job";

impl Notifications {
    /// Stops a job: what has not been sent is not, and each delivery of it is told as cancelled.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` for a job that is done; those of the database.
    pub async fn cancel_job(&self, id: &str) -> Result<Progress, Problem> {
        let mut work = self.0.begin().await?;
        let mut job = lock(&mut work, id).await?.ok_or_else(unknown)?;
        match job.state {
            JobState::Done => return Err(Problem::conflict("the job is done")),
            JobState::Cancelled => {}
            JobState::Open | JobState::Running => {
                job.state = JobState::Cancelled;
                let now = work.now().await?;
                put(&mut work, &job, now).await?;
                work.commit().await?;
            }
        }
        self.stop(id).await?;
        Ok(count(&self.0, &job).await?)
    }

    /// Goes on with a job that was stopped, where it was. What was cancelled with it is asked about
    /// anew, since its users may have chosen otherwise and their night begun.
    ///
    /// # Errors
    /// `NOT_FOUND`; those of the database.
    pub async fn resume_job(&self, id: &str) -> Result<Progress, Problem> {
        let mut work = self.0.begin().await?;
        let mut job = lock(&mut work, id).await?.ok_or_else(unknown)?;
        if job.state == JobState::Cancelled {
            let now = work.now().await?;
            let query = Query::new(
                "UPDATE deliveries SET state = 'deferred', is_open = 1, reason = NULL, \
                 due_at = $2, updated_at = $2 \
                 WHERE job = $1 AND state = 'cancelled' AND reason = $3",
            );
            work.execute(query.bind(id).bind(now).bind(WITH_ITS_JOB)).await?;
            job.state = job.started();
            put(&mut work, &job, now).await?;
            work.commit().await?;
            self.tell_progress(id).await?;
        }
        Ok(count(&self.0, &job).await?)
    }

    /// Ends what is left of jobs that were stopped: attempts that had to be made again, and what was
    /// left when the process that stopped them ended.
    pub(super) async fn stop_the_rest(&self) -> Result<(), Error> {
        let query = Query::new(
            "SELECT id FROM bulk_jobs WHERE state = 'cancelled' AND EXISTS (SELECT 1 FROM \
             deliveries WHERE job = bulk_jobs.id AND state IN ('queued', 'deferred'))",
        );
        for row in self.0.all(query).await? {
            self.stop(&row.get::<String>("id")?).await?;
        }
        Ok(())
    }

    async fn stop(&self, id: &str) -> Result<(), Error> {
        let text = each(
            "SELECT * FROM deliveries WHERE job = $1 AND state IN ('queued', 'deferred') LIMIT $2",
            "SELECT * FROM deliveries WHERE job = $1 AND state IN ('queued', 'deferred') LIMIT $2 \
             FOR UPDATE",
        );
        loop {
            let mut work = self.0.begin().await?;
            // Whoever goes on with it meanwhile does so before or after.
            let is_stopped =
                lock(&mut work, id).await?.is_some_and(|job| job.state == JobState::Cancelled);
            let rows = match is_stopped {
                true => work.all(Query::new(text).bind(id).bind(BATCH)).await?,
                false => Vec::new(),
            };
            if rows.is_empty() {
                break;
            }
            let now = work.now().await?;
            for row in &rows {
                cancel(&mut work, row, Some(WITH_ITS_JOB), now).await?;
            }
            work.commit().await?;
        }
        self.tell_progress(id).await
    }
}
