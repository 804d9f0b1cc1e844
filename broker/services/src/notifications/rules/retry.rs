//! When a delivery is tried again: eight times in half an hour, never after it is worth anything.

use std::time::Duration;

use super::provider::Class;
use crate::moment::Moment;

/// Attempts of one delivery.
pub const ATTEMPTS_MAX: u32 = 8;
/// The pause after the first; each one is twice the one before.
const FIRST: Duration = Duration::from_secs(14);

/// What follows an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the provider has it.
    Done,
    /// Another attempt then.
    Again(Moment),
    /// Nothing: it goes to the dead letters, from where a person may send it again.
    Dead,
    /// Nothing: it would come too late.
    Expired,
}

/// What follows attempt number `attempt`, the first being 1. The provider's own pause counts where
/// it is longer; `seed` spreads deliveries that failed together over a fifth of theirs.
#[must_use]
pub fn next(
    attempt: u32,
    class: Class,
    retry_after: Option<Duration>,
    (now, expires_at): (Moment, Moment),
    seed: u64,
) -> Next {
    match class {
        Class::Accepted => return Next::Done,
        Class::Gone | Class::Ours | Class::Recipient => return Next::Dead,
        Class::Wait | Class::Quota | Class::Retry => {}
    }
    if attempt >= ATTEMPTS_MAX {
        return Next::Dead;
    }
    let pause = FIRST * 2_u32.pow(attempt.saturating_sub(1).min(ATTEMPTS_MAX));
    let tenth = pause / 10;
    let width = u64::try_from(tenth.as_millis() * 2 + 1).unwrap_or(1);
    let pause = pause - tenth + Duration::from_millis(seed % width);
    let at = now.after(pause.max(retry_after.unwrap_or_default()));
    if at > expires_at { Next::Expired } else { Next::Again(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Moment = Moment::from_ms(i64::MAX);

    #[test]
    fn eight_attempts_fit_into_half_an_hour() {
        let mut now = Moment::from_ms(0);
        let mut attempts = 1;
        while let Next::Again(at) = next(attempts, Class::Retry, None, (now, FAR), 1_000_003) {
            assert!(at > now);
            (now, attempts) = (at, attempts + 1);
        }
        assert_eq!(attempts, ATTEMPTS_MAX);
        let minutes = now.as_ms() / 60_000;
        assert!((26..=33).contains(&minutes), "{minutes}");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        let now = Moment::from_ms(0);
        for class in [Class::Gone, Class::Ours, Class::Recipient] {
            assert_eq!(next(1, class, None, (now, FAR), 0), Next::Dead);
        }
        assert_eq!(next(1, Class::Accepted, None, (now, now), 0), Next::Done);
    }

    #[test]
    fn the_providers_pause_counts_and_nothing_is_sent_too_late() {
        let now = Moment::from_ms(0);
        let minute = Some(Duration::from_secs(60));
        let at = next(1, Class::Wait, minute, (now, FAR), 0);
        assert_eq!(at, Next::Again(Moment::from_ms(60_000)));
        let short = next(1, Class::Wait, minute, (now, Moment::from_ms(59_999)), 0);
        assert_eq!(short, Next::Expired);
        assert_eq!(next(1, Class::Retry, None, (now, now), 0), Next::Expired);
    }
}
