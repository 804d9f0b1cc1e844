//! The asking: whatever is due is asked about, by whichever process has claimed it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use super::Carriers;
use crate::orders::store::Orders;

/// Time between two looks for what is due.
const LOOK: Duration = Duration::from_secs(1);

impl Carriers {
    /// Asks about what is due, for ever. Who is stopped in between has changed nothing: the job is
    /// another's after a minute.
    pub(crate) async fn ask_for_ever(self, orders: Orders) {
        loop {
            let jobs = match orders.due(self.round_max()).await {
                Ok(jobs) => jobs,
                Err(error) => {
                    warn!(%error, "it is not known which orders are to be asked about");
                    Vec::new()
                }
            };
            if jobs.is_empty() {
                sleep(LOOK).await;
            }
            let mut asked = JoinSet::new();
            for job in jobs {
                let (carriers, orders) = (self.clone(), orders.clone());
                asked.spawn(async move {
                    let answer = carriers.ask(&job).await;
                    let seed = RandomState::new().build_hasher().finish();
                    match orders.answered(&job, answer, seed).await {
                        Ok(is_changed) => carriers.counters.heard(is_changed),
                        Err(error) => {
                            warn!(%error, order = job.order_id, "what a carrier said is not stored");
                        }
                    }
                });
            }
            while asked.join_next().await.is_some() {}
        }
    }
}
