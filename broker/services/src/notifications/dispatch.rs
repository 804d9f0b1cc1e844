//! The sending: whatever is due, by whichever process has claimed it.
//!
//! Whoever is stopped sees what is under way to its end; whoever ends otherwise leaves it to another, after
//! a minute.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::counters::Counters;
use super::rules::breaker::{Breaker, choose};
use super::rules::provider::{Class, Provider};
use super::send::{Outcome, Sender};
use super::store::{Attempted, Claimed, Line, Notifications};
use crate::moment::Moment;
use crate::outbound::Reach;
use crate::store::Error;

/// Time between two looks for what is due.
const LOOK: Duration = Duration::from_millis(100);
/// How long a database that fails is left alone.
const AGAIN: Duration = Duration::from_secs(1);
/// Attempts under way on one line.
const ROOM: usize = 32;
/// How long an attempt may take; the lease of a delivery is longer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(40);
/// How long a delivery waits that no provider is there for at the moment.
const PAUSE: Duration = Duration::from_secs(5);

/// Those who send, by provider, the preferred first.
#[derive(Clone, Default)]
pub struct Senders {
    all: HashMap<Provider, Vec<Arc<dyn Sender>>>,
    /// How far the addresses of browsers' push services may lead.
    pub(super) reach: Reach,
}

impl std::fmt::Debug for Senders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.keys()).finish()
    }
}

impl Senders {
    /// None yet; browsers' push services may be so far away.
    pub(super) fn reaching(reach: Reach) -> Self {
        Senders { reach, ..Senders::default() }
    }

    /// The same with one more, behind those of its provider.
    #[must_use]
    pub fn with(mut self, sender: Arc<dyn Sender>) -> Self {
        self.all.entry(sender.provider()).or_default().push(sender);
        self
    }

    fn of(&self, provider: Provider) -> &[Arc<dyn Sender>] {
        self.all.get(&provider).map_or(&[], Vec::as_slice)
    }
}

/// The sending of a process.
#[derive(Debug)]
pub struct Dispatch {
    store: Notifications,
    senders: Senders,
    counters: Arc<Counters>,
    breakers: HashMap<Provider, Vec<Breaker>>,
    running: HashMap<Line, usize>,
    attempts: JoinSet<Attempted>,
    /// What came of attempts, and is not stored yet.
    made: Vec<Attempted>,
}

impl Dispatch {
    /// The sending of these senders.
    #[must_use]
    pub fn new(store: &Notifications, senders: Senders, counters: &Arc<Counters>) -> Self {
        let breakers = Provider::ALL.into_iter();
        let breakers = breakers
            .map(|provider| (provider, vec![Breaker::default(); senders.of(provider).len()]));
        Dispatch {
            store: store.clone(),
            breakers: breakers.collect(),
            senders,
            counters: counters.clone(),
            running: HashMap::new(),
            attempts: JoinSet::new(),
            made: Vec::new(),
        }
    }

    /// Sends what is due until `stop` is true, and sees what is under way then to its end.
    pub async fn run(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if let Err(error) = self.turn(&stop).await {
                Counters::add(&self.counters.store_failures);
                warn!(%error, "notifications wait for their database");
                sleep(AGAIN).await;
            }
        }
        while let Some(made) = self.attempts.join_next().await {
            self.ended(made.ok());
            if let Err(error) = self.keep().await {
                warn!(%error, "what came of the last notifications is not stored");
            }
        }
    }

    /// One turn: waits for attempts to end or for the next look, stores what came of them, and
    /// begins what is due and has room.
    async fn turn(&mut self, stop: &watch::Receiver<bool>) -> Result<(), Error> {
        tokio::select! {
            Some(made) = self.attempts.join_next() => self.ended(made.ok()),
            () = sleep(LOOK) => {}
        }
        while let Some(made) = self.attempts.try_join_next() {
            self.ended(made.ok());
        }
        self.keep().await?;
        if *stop.borrow() {
            return Ok(());
        }
        for line in self.store.due().await? {
            let room = ROOM.saturating_sub(self.running.get(&line).copied().unwrap_or(0));
            if room > 0 {
                let claimed = self.store.claim(line, u32::try_from(room).unwrap_or(1)).await?;
                self.begin(claimed).await?;
            }
        }
        Ok(())
    }

    /// Stores what came of attempts. What can be stored of none holds up no other.
    async fn keep(&mut self) -> Result<(), Error> {
        if self.made.is_empty() {
            return Ok(());
        }
        match self.store.record(&self.made).await {
            Ok(()) => self.made.clear(),
            Err(error) if error.is_retryable() => return Err(error),
            Err(_) => {
                while let Some(made) = self.made.last() {
                    match self.store.record(std::slice::from_ref(made)).await {
                        Ok(()) => {}
                        Err(error) if error.is_retryable() => return Err(error),
                        Err(error) => {
                            Counters::add(&self.counters.damaged);
                            self.store.give_up(&made.claimed, &error).await?;
                        }
                    }
                    self.made.pop();
                }
            }
        }
        Ok(())
    }

    async fn begin(&mut self, claimed: Vec<Claimed>) -> Result<(), Error> {
        let mut held_back = Vec::new();
        let now = Moment::now();
        for claimed in claimed {
            let provider = claimed.line.provider;
            let senders = self.senders.of(provider);
            if senders.is_empty() {
                self.made.push(unserved(claimed, now));
                continue;
            }
            let breakers = self.breakers.entry(provider).or_default();
            let Some((place, sender)) = choose(breakers, claimed.last, now)
                .and_then(|place| Some((place, senders.get(place)?.clone())))
            else {
                Counters::add(&self.counters.held_back);
                held_back.push(claimed);
                continue;
            };
            *self.running.entry(claimed.line).or_default() += 1;
            self.attempts.spawn(attempt(sender, place, claimed));
        }
        if held_back.is_empty() {
            return Ok(());
        }
        self.store.give_back(&held_back, PAUSE).await
    }

    /// Takes an attempt that has ended. One without an outcome is another's after its lease.
    fn ended(&mut self, made: Option<Attempted>) {
        let Some(made) = made else { return };
        let line = made.claimed.line;
        if let Some(running) = self.running.get_mut(&line) {
            *running = running.saturating_sub(1);
        }
        let breakers = self.breakers.entry(line.provider).or_default();
        if let Some(breaker) = breakers.get_mut(made.place) {
            breaker.told(made.outcome.class, Moment::now());
        }
        self.counters.tried(made.outcome.class);
        self.made.push(made);
    }
}

async fn attempt(sender: Arc<dyn Sender>, place: usize, claimed: Claimed) -> Attempted {
    let (at, begun) = (Moment::now(), Instant::now());
    let sent = timeout(ATTEMPT_TIMEOUT, sender.send(&claimed.outgoing, at)).await;
    let outcome = sent.unwrap_or_else(|_| none(Class::Retry, "timeout"));
    Attempted { claimed, place, at, took: begun.elapsed(), outcome, seed: seed() }
}

/// What comes of a delivery that nobody is set up to send.
fn unserved(claimed: Claimed, at: Moment) -> Attempted {
    let outcome = none(Class::Ours, "not_configured");
    Attempted { claimed, place: 0, at, took: Duration::ZERO, outcome, seed: 0 }
}

fn none(class: Class, code: &str) -> Outcome {
    let (code, message_id) = (code.to_owned(), None);
    Outcome { class, status: 0, code, message_id, retry_after: None, gone_since: None }
}

fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
