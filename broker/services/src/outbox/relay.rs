//! The relay: publishes what the outbox holds, in order, and marks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sampan_client::{Client, Code, Error as ClientError, Reaction};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::counters::Counters;
use super::rows::{self, Open};
use crate::store::{Database, Error, Lease};

/// Events of one round.
const BATCH: i64 = 256;
/// How long the relay sleeps if nothing wakes it: what other processes commit waits so long.
const SWEEP: Duration = Duration::from_millis(500);
/// How long a process that stops keeps others from its work.
const LEASE_MS: i64 = 5_000;
/// The lease is renewed when this much of its time has passed.
const RENEW: Duration = Duration::from_secs(2);
/// Time between two removals of old rows.
const PRUNE: Duration = Duration::from_secs(60);
/// Pauses after a failure: doubled each time up to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Publishes the events of one database. Any number of processes may run one.
#[derive(Debug)]
pub struct Relay {
    database: Database,
    client: Client,
    counters: Arc<Counters>,
}

/// What a round has found.
enum Round {
    /// Nothing is left.
    Empty,
    /// There may be more.
    More,
    /// Something is to be tried again.
    Held,
    /// Another process does the work.
    Elsewhere,
}

impl Relay {
    /// A relay that publishes through `client`.
    #[must_use]
    pub fn new(database: &Database, client: &Client, counters: Arc<Counters>) -> Self {
        Relay { database: database.clone(), client: client.clone(), counters }
    }

    /// Publishes for ever. Dropping the future stops it at any point without loss.
    pub async fn run(self) {
        let lease = Lease::new(&self.database, "outbox", LEASE_MS);
        let (mut taken, mut pruned) = (None, Instant::now());
        let mut pause = PAUSE.0;
        loop {
            let round = self.round(&lease, &mut taken, &mut pruned).await;
            if let Err(failure) = &round {
                taken = None;
                Counters::add(&self.counters.failures);
                warn!(%failure, "the outbox waits for its database");
            }
            match round {
                Ok(Round::More) => pause = PAUSE.0,
                Ok(Round::Empty | Round::Elsewhere) => {
                    pause = PAUSE.0;
                    // Either is fine: woken, or the time is over.
                    let _ = timeout(SWEEP, self.database.events()).await;
                }
                Ok(Round::Held) | Err(_) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn round(
        &self,
        lease: &Lease,
        taken: &mut Option<Instant>,
        pruned: &mut Instant,
    ) -> Result<Round, Error> {
        if taken.is_none_or(|taken| taken.elapsed() >= RENEW) {
            let asked = Instant::now();
            *taken = lease.take().await?.then_some(asked);
        }
        if taken.is_none() {
            return Ok(Round::Elsewhere);
        }
        if pruned.elapsed() >= PRUNE {
            *pruned = Instant::now();
            rows::prune(&self.database).await?;
        }
        let open = rows::open(&self.database, BATCH).await?;
        if open.is_empty() {
            return Ok(Round::Empty);
        }
        let count = open.len();
        let done = self.publish(open).await;
        if !done.is_empty() {
            rows::mark(&self.database, &done).await?;
        }
        Ok(if done.len() == count { Round::More } else { Round::Held })
    }

    /// Publishes lanes beside each other and the events of a lane one after the other, each lane up
    /// to its first failure. Answers what is done with.
    async fn publish(&self, open: Vec<Open>) -> Vec<(i64, Option<String>)> {
        let mut lanes: BTreeMap<String, Vec<Open>> = BTreeMap::new();
        for row in open {
            lanes.entry(row.lane.clone()).or_default().push(row);
        }
        let mut publishing = JoinSet::new();
        for lane in lanes.into_values() {
            publishing.spawn(publish_lane(self.client.clone(), lane, self.counters.clone()));
        }
        let mut done = Vec::new();
        while let Some(lane) = publishing.join_next().await {
            done.extend(lane.unwrap_or_default());
        }
        done
    }
}

async fn publish_lane(
    client: Client,
    lane: Vec<Open>,
    counters: Arc<Counters>,
) -> Vec<(i64, Option<String>)> {
    let mut done = Vec::with_capacity(lane.len());
    for Open { seq, event, .. } in lane {
        let mut published = client.publish(event.synced()).await;
        if published.as_ref().is_err_and(|error| error.code() == Some(Code::LEVEL_UNAVAILABLE)) {
            // The topic keeps nothing on disk, so its own level is the most that there is.
            published = client.publish(event.message()).await;
        }
        match published {
            Ok(ack) => {
                Counters::add(&counters.published);
                if ack.duplicate {
                    Counters::add(&counters.duplicates);
                }
                done.push((seq, None));
            }
            Err(why) if is_hopeless(&why) => {
                Counters::add(&counters.refused);
                error!(%why, event = event.id, topic = %event.topic.as_str(), "an event is given up");
                done.push((seq, Some(why.to_string())));
            }
            Err(why) => {
                Counters::add(&counters.retries);
                warn!(%why, event = event.id, "an event waits");
                break;
            }
        }
    }
    done
}

/// Whether the message itself is wrong. What a token does not grant may be granted later.
fn is_hopeless(error: &ClientError) -> bool {
    match error {
        ClientError::TooLarge { .. } | ClientError::Invalid(_) => true,
        ClientError::Refused { code, .. } => code.reaction() == Reaction::Fix,
        _ => false,
    }
}
