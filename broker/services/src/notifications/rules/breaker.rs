//! The breaker of a provider, and which of two providers gets a delivery.

use std::time::Duration;

use super::provider::Class;
use crate::moment::Moment;

/// Failures in a row that open it.
pub const FAILURES_MAX: u32 = 5;
/// How long it is open first; each time twice as long.
const OPEN: Duration = Duration::from_secs(30);
/// How long at most.
const OPEN_MAX: Duration = Duration::from_secs(300);
/// How long a provider is left alone that has had enough, if it does not say.
const REST: Duration = Duration::from_secs(60);
/// How long at most.
const REST_MAX: Duration = Duration::from_secs(3_600);

/// Whether a provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is; so many failures in a row.
    Closed(u32),
    /// It is not until then.
    Open(Moment),
    /// One delivery tries it; no other until that is back, or until then.
    Trying(Moment),
}

/// A breaker. Only faults of the provider open it, not those of a message or a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Breaker {
    state: State,
    /// Times that it opened since the provider last worked.
    opened: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker { state: State::Closed(0), opened: 0 }
    }
}

impl Breaker {
    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Whether a delivery may go.
    #[must_use]
    pub fn is_free(&self, now: Moment) -> bool {
        match self.state {
            State::Closed(_) => true,
            State::Open(until) | State::Trying(until) => now >= until,
        }
    }

    /// Whether a delivery may go, that goes then. One that tries an open breaker must tell what came
    /// of it; if it does not within the time it was open, another may.
    pub fn allow(&mut self, now: Moment) -> bool {
        let is_free = self.is_free(now);
        if is_free && !matches!(self.state, State::Closed(_)) {
            self.state = State::Trying(now.after(self.pause()));
        }
        is_free
    }

    /// Leaves the provider alone for as long as it wants, a minute if it does not say and an hour at
    /// most: it is in no trouble, but has had enough.
    pub fn rest(&mut self, wanted: Option<Duration>, now: Moment) {
        let until = now.after(wanted.unwrap_or(REST).min(REST_MAX));
        self.state = match self.state {
            State::Open(open) if open > until => return,
            _ => State::Open(until),
        };
    }

    /// What came of a delivery.
    pub fn told(&mut self, class: Class, now: Moment) {
        let failures = match (class, self.state) {
            // Late news of deliveries that went before it opened.
            (_, State::Open(_)) => return,
            (Class::Retry, State::Closed(failures)) => failures + 1,
            (Class::Retry, State::Trying(_)) => FAILURES_MAX,
            _ => 0,
        };
        if failures >= FAILURES_MAX {
            self.opened = self.opened.saturating_add(1);
            self.state = State::Open(now.after(self.pause()));
        } else {
            let opened = if failures == 0 { 0 } else { self.opened };
            *self = Breaker { state: State::Closed(failures), opened };
        }
    }

    fn pause(&self) -> Duration {
        OPEN.saturating_mul(2_u32.saturating_pow(self.opened.saturating_sub(1))).min(OPEN_MAX)
    }
}

/// What came of the attempt before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// Which provider it went to, by its place.
    pub provider: usize,
    /// What came of it.
    pub class: Class,
    /// Whether the provider may have taken it all the same.
    pub is_ambiguous: bool,
    /// Attempts that went to it in a row.
    pub attempts: u32,
}

/// The place of the provider that gets the next attempt, the first being preferred; `None` if it
/// has to wait. Another is asked only when one is in trouble, never because a recipient is; one
/// that may have the message is asked once more before another would send it a second time, or waited
/// for once.
#[must_use]
pub fn choose(breakers: &[Breaker], last: Option<Last>, now: Moment) -> Option<usize> {
    let is_free = |at: &usize| breakers.get(*at).is_some_and(|breaker| breaker.is_free(now));
    let again = last.filter(|last| last.is_ambiguous && last.attempts < 2);
    if let Some(last) = again {
        return Some(last.provider).filter(is_free);
    }
    let failed = last.filter(|last| last.class == Class::Retry).map(|last| last.provider);
    let mut order: Vec<usize> = (0..breakers.len()).collect();
    order.sort_by_key(|at| Some(*at) == failed);
    order.into_iter().find(is_free)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES_MAX {
            assert!(breaker.allow(at(0)));
            breaker.told(Class::Retry, at(0));
        }
        breaker
    }

    #[test]
    fn a_provider_in_trouble_is_left_alone_and_tried_by_one() {
        let mut breaker = opened();
        assert!(!breaker.allow(at(29)));
        assert!(breaker.allow(at(30)));
        assert!(!breaker.allow(at(31)), "one tries at a time");
        breaker.told(Class::Accepted, at(32));
        assert_eq!(breaker.state(), State::Closed(0));
    }

    #[test]
    fn each_failed_try_makes_the_pause_longer() {
        let mut breaker = opened();
        assert!(breaker.allow(at(30)));
        breaker.told(Class::Retry, at(30));
        assert_eq!(breaker.state(), State::Open(at(90)));
        let mut now = at(90);
        for _ in 0..20 {
            assert!(breaker.allow(now));
            breaker.told(Class::Retry, now);
            now = now.after(OPEN_MAX);
        }
        assert_eq!(breaker.state(), State::Open(now));
    }

    #[test]
    fn a_try_that_never_comes_back_holds_up_nobody_for_long() {
        let mut breaker = opened();
        assert!(breaker.allow(at(30)));
        assert!(!breaker.allow(at(59)));
        assert!(breaker.allow(at(60)));
    }

    #[test]
    fn faults_of_messages_and_recipients_open_nothing() {
        let mut breaker = Breaker::default();
        for class in [Class::Gone, Class::Ours, Class::Recipient, Class::Wait] {
            for _ in 0..20 {
                breaker.told(class, at(0));
            }
        }
        assert_eq!(breaker.state(), State::Closed(0));
    }

    #[test]
    fn one_that_has_had_enough_is_left_alone_as_long_as_it_wants_and_tried_by_one_then() {
        let mut breaker = Breaker::default();
        breaker.rest(Some(Duration::from_secs(90)), at(0));
        breaker.told(Class::Accepted, at(1));
        assert!(!breaker.is_free(at(89)), "what went before says nothing");
        assert!(breaker.allow(at(90)) && !breaker.allow(at(91)));
        breaker.told(Class::Accepted, at(92));
        breaker.rest(None, at(100));
        breaker.rest(Some(Duration::ZERO), at(101));
        assert_eq!(breaker.state(), State::Open(at(160)));
        breaker.rest(Some(Duration::from_secs(86_400)), at(100));
        assert_eq!(breaker.state(), State::Open(at(3_700)));
    }

    fn last(class: Class, is_ambiguous: bool, attempts: u32) -> Option<Last> {
        Some(Last { provider: 0, class, is_ambiguous, attempts })
    }

    #[test]
    fn another_provider_is_asked_only_when_the_first_is_in_trouble() {
        let both = [Breaker::default(); 2];
        assert_eq!(choose(&both, None, at(0)), Some(0));
        assert_eq!(choose(&both, last(Class::Retry, false, 1), at(0)), Some(1));
        assert_eq!(choose(&both, last(Class::Wait, false, 1), at(0)), Some(0));
        let broken = [opened(), Breaker::default()];
        assert_eq!(choose(&broken, None, at(1)), Some(1));
        assert_eq!(choose(&[opened(), opened()], None, at(1)), None);
    }

    #[test]
    fn one_that_may_have_the_message_is_asked_again_first() {
        let both = [Breaker::default(); 2];
        assert_eq!(choose(&both, last(Class::Retry, true, 1), at(0)), Some(0));
        assert_eq!(choose(&both, last(Class::Retry, true, 2), at(0)), Some(1));
    }
}
