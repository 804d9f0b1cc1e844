//! The relay: publishes what an outbox holds, in order, and marks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sampan_client::{Client, Code, Error as ClientError, Reaction};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::{error, warn};

use super::counters::Counters;
use super::event::Event;
use super::held::Held;
use super::source::{Done, Open, Source};
use crate::store::{Database, Error, Lease};

/// How long the relay sleeps if nothing wakes it: what other processes commit waits so long.
const SWEEP: Duration = Duration::from_millis(500);
/// How long a process that stops keeps others from its work.
const LEASE_MS: i64 = 5_000;
/// The lease is renewed when this much of its time has passed.
const RENEW: Duration = Duration::from_secs(2);
/// Pauses after a failure of database or broker: doubled each time up to the last.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Publishes the events of one outbox. Any number of processes may run one.
#[derive(Debug)]
pub struct Relay<S = Database> {
    source: S,
    client: Client,
    counters: Arc<Counters>,
}

/// What a round has found.
enum Round {
    /// Nothing is left, but perhaps of places that are passed over.
    Empty,
    /// There may be more.
    More,
    /// The broker is not there.
    Away,
    /// Another process does the work.
    Elsewhere,
}

/// What a relay remembers from round to round.
struct Turn<S> {
    lease: Lease<S>,
    /// When the lease was asked for that is held.
    taken: Option<Instant>,
    kept_up: Instant,
    held: Held,
}

impl<S: Source> Relay<S> {
    /// A relay that publishes through `client`.
    #[must_use]
    pub fn new(source: &S, client: &Client, counters: Arc<Counters>) -> Self {
        Relay { source: source.clone(), client: client.clone(), counters }
    }

    /// Publishes for ever. Dropping the future stops it at any point without loss.
    pub async fn run(self) {
        let lease = Lease::new(&self.source, "outbox", LEASE_MS);
        let (taken, kept_up, held) = (None, Instant::now(), Held::default());
        let mut turn = Turn { lease, taken, kept_up, held };
        let mut pause = PAUSE.0;
        loop {
            let round = self.round(&mut turn).await;
            if let Err(failure) = &round {
                turn.taken = None;
                Counters::add(&self.counters.failures);
                warn!(%failure, "the outbox waits for its database");
            }
            match round {
                Ok(Round::More) => pause = PAUSE.0,
                Ok(Round::Empty | Round::Elsewhere) => {
                    pause = PAUSE.0;
                    let now = Instant::now();
                    let next = turn.held.next(now).map_or(SWEEP, |next| next - now);
                    // Either is fine: woken, or the time is over.
                    let _ = timeout(next.min(SWEEP), self.source.wake()).await;
                }
                Ok(Round::Away) | Err(_) => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            }
        }
    }

    async fn round(&self, turn: &mut Turn<S>) -> Result<Round, Error> {
        if turn.taken.is_none_or(|taken| taken.elapsed() >= RENEW) {
            let asked = Instant::now();
            turn.taken = turn.lease.take().await?.then_some(asked);
        }
        if turn.taken.is_none() {
            return Ok(Round::Elsewhere);
        }
        if turn.kept_up.elapsed() >= S::UPKEEP {
            turn.kept_up = Instant::now();
            self.source.upkeep().await?;
        }
        let open = self.source.open(&turn.held.passed(Instant::now())).await?;
        if open.is_empty() {
            return Ok(Round::Empty);
        }
        let (mut done, mut is_away) = (Vec::with_capacity(open.len()), false);
        for lane in self.publish(open).await {
            if lane.is_away {
                is_away = true;
            } else if lane.is_held {
                turn.held.hold(lane.place, Instant::now());
            } else {
                turn.held.release(&lane.place);
            }
            done.extend(lane.done);
        }
        if !done.is_empty() {
            self.source.mark(done).await?;
        }
        Ok(if is_away { Round::Away } else { Round::More })
    }

    /// Publishes lanes beside each other and the events of a lane one after the other, each lane up
    /// to its first failure.
    async fn publish(&self, open: Vec<Open<S::Key>>) -> Vec<Lane<S::Key>> {
        let mut lanes: BTreeMap<String, Vec<Open<S::Key>>> = BTreeMap::new();
        for event in open {
            let lane = event.event.as_ref().map_or_else(|_| event.place.clone(), Event::lane);
            lanes.entry(lane).or_default().push(event);
        }
        let mut publishing = JoinSet::new();
        for lane in lanes.into_values() {
            publishing.spawn(publish_lane(self.client.clone(), lane, self.counters.clone()));
        }
        let mut lanes = Vec::new();
        while let Some(lane) = publishing.join_next().await {
            lanes.extend(lane.into_iter().flatten());
        }
        // Of two lanes of one place it is the one which is held that counts.
        lanes.sort_by_key(|lane| lane.is_held);
        lanes
    }
}

/// What became of the events of one lane in a round.
struct Lane<K> {
    place: String,
    done: Vec<Done<K>>,
    /// The broker does not take its next event at this moment.
    is_held: bool,
    /// The broker is not there.
    is_away: bool,
}

/// None for a lane without events.
async fn publish_lane<K>(
    client: Client,
    events: Vec<Open<K>>,
    counters: Arc<Counters>,
) -> Option<Lane<K>> {
    let place = events.first()?.place.clone();
    let done = Vec::with_capacity(events.len());
    let mut lane = Lane { place, done, is_held: false, is_away: false };
    for Open { key, place, event } in events {
        let event = match event {
            Ok(event) => event,
            Err(why) => {
                Counters::add(&counters.damaged);
                error!(%why, place, "what is no event is set aside");
                lane.done.push(Done { key, failure: Some(why.to_string()) });
                continue;
            }
        };
        match publish(&client, &event, &counters).await {
            Ok(()) => lane.done.push(Done { key, failure: None }),
            Err(why) if is_hopeless(&why) => {
                Counters::add(&counters.refused);
                error!(%why, event = event.id, topic = %event.topic.as_str(), "an event is given up");
                lane.done.push(Done { key, failure: Some(why.to_string()) });
            }
            Err(why) => {
                Counters::add(&counters.retries);
                warn!(%why, event = event.id, topic = %event.topic.as_str(), "an event waits");
                lane.is_held = matches!(why, ClientError::Refused { .. });
                lane.is_away = !lane.is_held;
                lane.place = place;
                break;
            }
        }
    }
    Some(lane)
}

async fn publish(client: &Client, event: &Event, counters: &Counters) -> Result<(), ClientError> {
    let mut published = client.publish(event.synced()).await;
    if published.as_ref().is_err_and(|error| error.code() == Some(Code::LEVEL_UNAVAILABLE)) {
        // The topic keeps nothing on disk, so its own level is the most that there is.
        published = client.publish(event.message()).await;
    }
    let ack = published?;
    Counters::add(&counters.published);
    if ack.duplicate {
        Counters::add(&counters.duplicates);
    }
    Ok(())
}

/// Whether the message itself is wrong. What a token does not grant may be granted later.
fn is_hopeless(error: &ClientError) -> bool {
    match error {
        ClientError::TooLarge { .. } | ClientError::Invalid(_) => true,
        ClientError::Refused { code, .. } => code.reaction() == Reaction::Fix,
        _ => false,
    }
}
