//! Tracking services: who is asked about the numbers of which carriers, and what they answer.

mod counters;
mod poll;
mod webhook;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

pub use self::counters::Counters;
use super::model::{Checkpoint, Source};
use super::rules::polling::Job;
use super::rules::tracking::{Provider, Told, read};
use crate::outbound::{Outbound, Question, encoded};

/// Requests a minute if nothing is said.
const PER_MINUTE: u32 = 60;
/// Fewer would let the lease of a job end before its turn.
const PER_MINUTE_MIN: u32 = 10;

/// How long a request may wait for its turn: a job is this process's for a minute.
const WAIT_MAX: Duration = Duration::from_secs(35);
/// How long a service is left alone at most, whatever it says.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// A secret that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// What a tracking service is set up with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which one.
    pub provider: Provider,
    /// The key that it knows the shop by.
    pub key: Key,
    /// The secret that it signs its webhooks with; without one they are not taken.
    #[serde(default)]
    pub webhook_secret: Option<Key>,
    /// Where it is, if not where the provider's is.
    #[serde(default)]
    pub url: Option<String>,
    /// Carriers that it is asked about, under its own names for them; all if none is named.
    #[serde(default)]
    pub carriers: Vec<String>,
    /// Requests of one process a minute, 10 at least; 60 if nothing is said.
    #[serde(default)]
    pub per_minute: Option<u32>,
}

/// All tracking services of a shop.
#[derive(Clone, Debug, Default)]
pub struct Carriers {
    trackers: Arc<[Tracker]>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Tracker {
    provider: Provider,
    key: Key,
    webhook_secret: Option<Key>,
    carriers: Vec<String>,
    outbound: Outbound,
    pause: Duration,
    /// When it may be asked next.
    next: Mutex<Instant>,
}

impl Carriers {
    /// The services of these settings.
    ///
    /// # Errors
    /// What is wrong with one.
    pub fn new(settings: &[Settings], counters: &Arc<Counters>) -> Result<Self, String> {
        let trackers = settings.iter().map(Tracker::new).collect::<Result<_, _>>()?;
        Ok(Carriers { trackers, counters: counters.clone() })
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trackers.is_empty()
    }

    /// Where a parcel has been; or how long to wait before asking again, if that was said.
    async fn ask(&self, job: &Job) -> Result<Vec<Checkpoint>, Option<Duration>> {
        let knows = |tracker: &&Tracker| {
            tracker.carriers.is_empty() || tracker.carriers.contains(&job.carrier)
        };
        let Some(tracker) = self.trackers.iter().find(knows) else {
            Counters::add(&self.counters.unserved);
            return Err(None);
        };
        Counters::add(&self.counters.polls);
        let asked = tracker.ask(job).await;
        if asked.is_err() {
            Counters::add(&self.counters.poll_failures);
        }
        asked
    }

    /// The fewest jobs that any of them takes within half a minute, with two requests for each.
    fn round_max(&self) -> u32 {
        let jobs =
            |tracker: &Tracker| Duration::from_secs(15).as_millis() / tracker.pause.as_millis();
        let least = self.trackers.iter().map(jobs).min().unwrap_or(1);
        u32::try_from(least).unwrap_or(u32::MAX).clamp(1, 16)
    }
}

impl Tracker {
    fn new(settings: &Settings) -> Result<Self, String> {
        let Settings { provider, key, webhook_secret, url, carriers, per_minute } =
            settings.clone();
        let url = url.unwrap_or_else(|| provider.service().url().to_owned());
        let outbound = Outbound::to(&url).map_err(|why| format!("{url}: {why}"))?;
        let per_minute = per_minute.unwrap_or(PER_MINUTE);
        if !(PER_MINUTE_MIN..=60_000).contains(&per_minute) {
            return Err("per_minute is 10 to 60000".to_owned());
        }
        if key.0.is_empty() || key.0.chars().any(|c| !c.is_ascii_graphic()) {
            return Err("key: visible ASCII, and not nothing".to_owned());
        }
        let (pause, next) = (Duration::from_secs(60) / per_minute, Mutex::new(Instant::now()));
        Ok(Tracker { provider, key, webhook_secret, carriers, outbound, pause, next })
    }

    /// When the next request is sent; or how long it is until then, if that is too long to wait.
    fn turn(&self, now: Instant) -> Result<Instant, Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now);
        let wait = turn - now;
        if wait > WAIT_MAX {
            return Err(wait);
        }
        *next = turn + self.pause;
        Ok(turn)
    }

    /// Nothing is asked for so long: it was too much.
    fn leave_alone(&self, now: Instant, pause: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(now + pause.min(PAUSE_MAX));
    }

    /// Where a parcel has been. A number that the service was not told of it is told of: it answers
    /// then, and tells by itself from then on.
    async fn ask(&self, job: &Job) -> Result<Vec<Checkpoint>, Option<Duration>> {
        let service = self.provider.service();
        let is_to_tell = self.webhook_secret.is_some() && job.last_webhook_at.is_none();
        if !(service.knows_strangers() && is_to_tell) {
            let (carrier, number) = (encoded(&job.carrier), encoded(&job.tracking_number));
            let path = service.question(&carrier, &number);
            if let Some(points) = self.call(job, &path, Question::default()).await? {
                return Ok(points);
            }
        }
        let (path, body) = service.registration(&job.carrier, &job.tracking_number);
        let question = Question::post("application/json", body.to_string());
        Ok(self.call(job, path, question).await?.unwrap_or_default())
    }

    /// What the service says of the number of a job, if it knows it.
    async fn call(
        &self,
        job: &Job,
        path: &str,
        question: Question,
    ) -> Result<Option<Vec<Checkpoint>>, Option<Duration>> {
        let turn = self.turn(Instant::now()).map_err(Some)?;
        sleep_until(turn).await;
        let login = self.provider.service().login(&self.key.0);
        let asked = self.outbound.ask(path, question.header(login.0, login.1)).await;
        let answer = asked.map_err(|why| {
            tracing::info!(order = job.order_id, why, "a tracking service did not answer");
            None
        })?;
        match answer.status {
            200..=299 => {
                let told = read(self.provider, Source::Poll, &answer.body).map_err(|why| {
                    tracing::warn!(why, "an answer of a tracking service makes no sense");
                    None
                })?;
                // Some give numbers back in capitals.
                let is_own = |told: &Told| told.number.eq_ignore_ascii_case(&job.tracking_number);
                let own: Vec<Told> = told.into_iter().filter(is_own).collect();
                let points =
                    own.into_iter().map(|it| it.points_of(&job.carrier, &job.tracking_number));
                Ok(points.reduce(|mut all, points| {
                    all.extend(points);
                    all
                }))
            }
            // It does not know the number, or not as one of this carrier, or was told of it before.
            400 | 404 | 409 | 422 => Ok(None),
            status => {
                tracing::info!(order = job.order_id, status, "a tracking service refused");
                if let (429, Some(pause)) = (status, answer.retry_after) {
                    self.leave_alone(Instant::now(), pause);
                }
                Err(answer.retry_after)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_service_that_was_asked_too_much_is_left_alone_by_every_order() {
        let settings = Settings {
            provider: Provider::EasyPost,
            key: Key("key".to_owned()),
            webhook_secret: None,
            url: None,
            carriers: Vec::new(),
            per_minute: Some(60),
        };
        let tracker = Tracker::new(&settings).unwrap();
        let now = Instant::now() + Duration::from_secs(1);
        let second = Duration::from_secs(1);
        assert_eq!(tracker.turn(now), Ok(now));
        assert_eq!(tracker.turn(now), Ok(now + second), "its pace");
        tracker.leave_alone(now, Duration::from_secs(120));
        assert_eq!(tracker.turn(now), Err(Duration::from_secs(120)), "another order's turn");
        let later = now + Duration::from_secs(100);
        assert_eq!(tracker.turn(later), Ok(now + Duration::from_secs(120)));
        tracker.leave_alone(later, Duration::from_secs(1_000_000));
        assert_eq!(tracker.turn(later), Err(PAUSE_MAX), "no word counts for ever");
    }
}
