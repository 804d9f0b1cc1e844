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
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::warn;

use super::counters::Counters;
use super::peers::{Peers, Senders};
use super::rules::provider::Class;
use super::send::{Outcome, Sender};
use super::store::{Attempted, Claimed, Line, Notifications};
use crate::moment::Moment;
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

/// The sending of a process.
#[derive(Debug)]
pub struct Dispatch {
    store: Notifications,
    peers: Peers,
    counters: Arc<Counters>,
    attempts: JoinSet<Attempted>,
    /// The line of each attempt that is under way.
    running: HashMap<Id, Line>,
    /// What came of attempts, and is not stored yet.
    made: Vec<Attempted>,
}

impl Dispatch {
    /// The sending of these senders.
    #[must_use]
    pub fn new(store: &Notifications, senders: Senders, counters: &Arc<Counters>) -> Self {
        Dispatch {
            store: store.clone(),
            peers: Peers::new(senders, Moment::now()),
            counters: counters.clone(),
            attempts: JoinSet::new(),
            running: HashMap::new(),
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
        while let Some(made) = self.attempts.join_next_with_id().await {
            self.ended(made);
            if let Err(error) = self.keep().await {
                warn!(%error, "what came of the last notifications is not stored");
            }
        }
    }

    /// One turn: waits for attempts to end or for the next look, stores what came of them, and
    /// begins what is due and has room.
    async fn turn(&mut self, stop: &watch::Receiver<bool>) -> Result<(), Error> {
        tokio::select! {
            Some(made) = self.attempts.join_next_with_id() => self.ended(made),
            () = sleep(LOOK) => {}
        }
        while let Some(made) = self.attempts.try_join_next_with_id() {
            self.ended(made);
        }
        self.keep().await?;
        if *stop.borrow() {
            return Ok(());
        }
        for line in self.store.due().await? {
            let running = self.running.values().filter(|running| **running == line).count();
            let room = ROOM.saturating_sub(running);
            let room = room.min(self.peers.room(line.provider, Moment::now()));
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
            if !self.peers.has(claimed.line.provider) {
                self.made.push(unserved(claimed, now));
                continue;
            }
            let Some((place, sender)) = self.peers.choose(&claimed, now) else {
                Counters::add(&self.counters.held_back);
                held_back.push(claimed);
                continue;
            };
            let line = claimed.line;
            let begun = self.attempts.spawn(attempt(sender, place, claimed));
            self.running.insert(begun.id(), line);
        }
        if held_back.is_empty() {
            return Ok(());
        }
        self.store.give_back(&held_back, PAUSE).await
    }

    /// Takes an attempt that has ended. One that has panicked makes room, and its delivery is
    /// another's after its lease.
    fn ended(&mut self, made: Result<(Id, Attempted), JoinError>) {
        let (id, made) = match made {
            Ok((id, made)) => (id, Some(made)),
            Err(error) => (error.id(), None),
        };
        self.running.remove(&id);
        let Some(mut made) = made else { return };
        self.peers.told(&mut made, Moment::now());
        self.counters.tried(made.outcome.class);
        self.made.push(made);
    }
}

async fn attempt(sender: Arc<dyn Sender>, place: usize, claimed: Claimed) -> Attempted {
    let (at, begun) = (Moment::now(), Instant::now());
    let sent = timeout(ATTEMPT_TIMEOUT, sender.send(&claimed.outgoing, at)).await;
    let late = || Outcome { is_ambiguous: true, ..Outcome::new(Class::Retry, 0, "timeout") };
    let outcome = sent.unwrap_or_else(|_| late());
    Attempted { claimed, place, at, took: begun.elapsed(), outcome, seed: seed() }
}

/// What comes of a delivery that nobody is set up to send.
fn unserved(claimed: Claimed, at: Moment) -> Attempted {
    let outcome = Outcome::new(Class::Ours, 0, "not_configured");
    Attempted { claimed, place: 0, at, took: Duration::ZERO, outcome, seed: 0 }
}

fn seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
