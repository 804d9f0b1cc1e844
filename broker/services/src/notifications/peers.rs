//! Those who send and those who answer them: who is in trouble, has had enough, or is known to work.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::rules::breaker::{Breaker, choose};
use super::rules::pace::Pace;
use super::rules::provider::{Class, Provider, is_doubtful};
use super::send::{Sender, Services};
use super::store::{Attempted, Claimed};
use crate::moment::Moment;

/// Hosts of endpoints whose troubles are known. Above that all are forgotten, and asked anew.
const HOSTS_MAX: usize = 1_000;

/// A sender, and how many attempts it makes in a minute at most.
type Paced = (Arc<dyn Sender>, Option<u32>);

/// Those who send, by provider, the preferred first.
#[derive(Clone, Default)]
pub struct Senders {
    all: HashMap<Provider, Vec<Paced>>,
    /// Which push services of browsers are asked.
    pub(super) services: Services,
}

impl std::fmt::Debug for Senders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.keys()).finish()
    }
}

impl Senders {
    /// None yet; these push services of browsers are asked.
    pub(super) fn reaching(services: Services) -> Self {
        Senders { services, ..Senders::default() }
    }

    /// The same with one more, behind those of its provider.
    #[must_use]
    pub fn with(self, sender: Arc<dyn Sender>) -> Self {
        self.paced(sender, None)
    }

    /// The same with one more that makes so many attempts in a minute at most.
    #[must_use]
    pub fn paced(mut self, sender: Arc<dyn Sender>, per_minute: Option<u32>) -> Self {
        self.all.entry(sender.provider()).or_default().push((sender, per_minute));
        self
    }

    fn of(&self, provider: Provider) -> &[Paced] {
        self.all.get(&provider).map_or(&[], Vec::as_slice)
    }
}

/// Senders, with what is known of those who answer them.
#[derive(Debug)]
pub(super) struct Peers {
    senders: Senders,
    /// Of each sender of a provider, by the host where the endpoint names it.
    breakers: HashMap<(Provider, String), Vec<Breaker>>,
    paces: HashMap<(Provider, usize), Pace>,
    /// Senders something of whom was accepted.
    proven: HashSet<(Provider, usize)>,
}

impl Peers {
    pub(super) fn new(senders: Senders, now: Moment) -> Self {
        let pace = |provider, (place, (_, per_minute)): (usize, &Paced)| {
            Some(((provider, place), Pace::new((*per_minute)?, now)))
        };
        let of = |provider| {
            senders.of(provider).iter().enumerate().filter_map(move |one| pace(provider, one))
        };
        let paces = Provider::ALL.into_iter().flat_map(of).collect();
        Peers { breakers: HashMap::new(), paces, proven: HashSet::new(), senders }
    }

    /// Whether anybody sends there.
    pub(super) fn has(&self, provider: Provider) -> bool {
        !self.senders.of(provider).is_empty()
    }

    /// How many attempts there is room for at a provider now: none while all of its senders are left
    /// alone, and no more than their paces allow.
    pub(super) fn room(&mut self, provider: Provider, now: Moment) -> usize {
        if !self.has(provider) {
            return usize::MAX;
        }
        let known = self.breakers.get(&(provider, String::new()));
        let mut room = 0_usize;
        for place in 0..self.senders.of(provider).len() {
            let breaker = known.and_then(|all| all.get(place));
            if breaker.is_none_or(|breaker| breaker.is_free(now)) {
                let pace = self.paces.get_mut(&(provider, place));
                room = room.saturating_add(pace.map_or(usize::MAX, |pace| pace.room(now)));
            }
        }
        room
    }

    /// Who makes this attempt now; `None` if it has to wait.
    pub(super) fn choose(
        &mut self,
        claimed: &Claimed,
        now: Moment,
    ) -> Option<(usize, Arc<dyn Sender>)> {
        let (provider, key) = (claimed.line.provider, key(claimed));
        if self.breakers.len() >= HOSTS_MAX && !self.breakers.contains_key(&key) {
            self.breakers.clear();
        }
        let senders = self.senders.of(provider);
        let breakers =
            self.breakers.entry(key).or_insert_with(|| vec![Breaker::default(); senders.len()]);
        let place = choose(breakers, claimed.last, now)?;
        let (sender, _) = senders.get(place)?;
        if !self.paces.get_mut(&(provider, place)).is_none_or(|pace| pace.take(now)) {
            return None;
        }
        breakers.get_mut(place)?.allow(now);
        Some((place, sender.clone()))
    }

    /// Takes what came of an attempt, and says what it means: an endpoint is not gone by the word of
    /// somebody to whom every one would be.
    pub(super) fn told(&mut self, made: &mut Attempted, now: Moment) {
        let (provider, place) = (made.claimed.line.provider, made.place);
        let outcome = &mut made.outcome;
        match outcome.class {
            Class::Accepted => {
                self.proven.insert((provider, place));
            }
            Class::Gone
                if is_doubtful(provider, &outcome.code)
                    && !self.proven.contains(&(provider, place)) =>
            {
                outcome.class = Class::Ours;
            }
            _ => {}
        }
        let key = key(&made.claimed);
        let Some(breakers) = self.breakers.get_mut(&key) else { return };
        if let Some(breaker) = breakers.get_mut(place) {
            match outcome.class {
                Class::Quota => breaker.rest(outcome.retry_after, now),
                class => breaker.told(class, now),
            }
        }
        if breakers.iter().all(|breaker| *breaker == Breaker::default()) {
            self.breakers.remove(&key);
        }
    }
}

/// Whose troubles those of a delivery are.
fn key(claimed: &Claimed) -> (Provider, String) {
    (claimed.line.provider, claimed.outgoing.endpoint.host().to_owned())
}
