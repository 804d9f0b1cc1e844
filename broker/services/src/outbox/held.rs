//! Places whose events the broker does not take at this moment, and which hold up no others.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The pause after a place's first failure, and the longest: it doubles each time.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
/// Places that are passed over at most; further ones are tried each time.
const PLACES_MAX: usize = 4_096;

/// Places with their pauses.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<String, (Instant, Duration)>);

impl Held {
    /// A place has failed.
    pub(super) fn hold(&mut self, place: String, now: Instant) {
        let before = self.0.get(&place).map(|(_, pause)| *pause);
        if before.is_none() && self.0.len() >= PLACES_MAX {
            return;
        }
        let pause = before.map_or(PAUSE.0, |pause| (pause * 2).min(PAUSE.1));
        self.0.insert(place, (now + pause, pause));
    }

    /// A place has something that the broker has taken.
    pub(super) fn release(&mut self, place: &str) {
        self.0.remove(place);
    }

    /// The places that are to be passed over. One that was not tried for long after its pause has
    /// nothing left.
    pub(super) fn passed(&mut self, now: Instant) -> Vec<String> {
        self.0.retain(|_, (until, _)| *until + PAUSE.1 > now);
        let held = self.0.iter().filter(|(_, (until, _))| *until > now);
        held.map(|(place, _)| place.clone()).collect()
    }

    /// When the first pause that lasts ends.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        self.0.values().map(|(until, _)| *until).filter(|until| *until > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_passed_over_for_twice_as_long_each_time_until_it_is_released() {
        let (mut held, mut now) = (Held::default(), Instant::now());
        for ms in [50, 100, 200, 400] {
            held.hold("a".to_owned(), now);
            let until = now + Duration::from_millis(ms);
            assert_eq!((held.passed(now), held.next(now)), (vec!["a".to_owned()], Some(until)));
            assert_eq!((held.passed(until), held.next(until)), (Vec::new(), None));
            now = until;
        }
        held.release("a");
        held.hold("a".to_owned(), now);
        assert_eq!(held.next(now), Some(now + PAUSE.0));
    }

    #[test]
    fn no_more_places_are_held_than_there_may_be_and_idle_ones_are_forgotten() {
        let (mut held, now) = (Held::default(), Instant::now());
        for number in 0..PLACES_MAX + 10 {
            held.hold(number.to_string(), now);
        }
        assert_eq!(held.passed(now).len(), PLACES_MAX);
        let later = now + PAUSE.0 + PAUSE.1;
        assert!(held.passed(later).is_empty() && held.0.is_empty());
    }
}
