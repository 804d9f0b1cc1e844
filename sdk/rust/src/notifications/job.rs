//! A bulk job, as somebody who waits for it sees it go on.

use protocol::Pattern;
use protocol::control::Start;
use protocol::topic::token;

use super::again::Again;
use super::{BULK_GET, BulkWanted, JobState, Progress};
use crate::error::invalid;
use crate::{Client, Delivery, Error, Subscription};

/// Somebody who waits for a bulk job.
#[derive(Debug)]
pub struct JobFollower {
    client: Client,
    told: Subscription,
    /// How far the job is known to be.
    last: Progress,
    /// Whether that was handed out.
    is_told: bool,
    lost: Option<Again>,
}

impl JobFollower {
    pub(super) async fn new(client: &Client, job_id: &str) -> Result<Self, Error> {
        let pattern = Pattern::parse(&format!("notify.bulk.{}", token(job_id))).map_err(invalid)?;
        let told = client.subscribe(pattern, Start::Now).await?;
        let last = ask(client, job_id).await?;
        Ok(JobFollower { client: client.clone(), told, last, is_told: false, lost: None })
    }

    /// How far the job is, at once and then each time that it has come further, to its end; none
    /// then, and when the subscription has ended. Of several steps a slow reader sees the last; a
    /// job that was stopped may go on. Cancel-safe.
    pub async fn next(&mut self) -> Option<Progress> {
        loop {
            if !self.is_told {
                self.is_told = true;
                return Some(self.last.clone());
            }
            if self.last.state == JobState::Done {
                return None;
            }
            if let Some(lost) = &mut self.lost {
                lost.due().await;
                match ask(&self.client, &self.last.job_id).await {
                    Ok(progress) => self.take(progress),
                    Err(error) if lost.is_put_off(&error) => continue,
                    Err(_) => {}
                }
                self.lost = None;
                continue;
            }
            match self.told.next().await? {
                Delivery::Message(message) => {
                    if let Ok(progress) = serde_json::from_slice(message.payload_bytes()) {
                        self.take(progress);
                    }
                }
                Delivery::Gap(gap) => self.lost = gap.is_loss().then(|| Again::new(gap)),
            }
        }
    }

    /// Why there is no more, once there is not; nothing if the job is done.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.told.error()
    }

    /// Takes what is news. What was told before the job was asked about is behind the answer.
    fn take(&mut self, progress: Progress) {
        let taken = |progress: &Progress| progress.done + progress.failed;
        if progress != self.last && taken(&progress) >= taken(&self.last) {
            (self.last, self.is_told) = (progress, false);
        }
    }
}

async fn ask(client: &Client, job_id: &str) -> Result<Progress, Error> {
    client.question(BULK_GET, &BulkWanted { job_id: job_id.to_owned() }).await
}
