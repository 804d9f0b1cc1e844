//! What an agent's record says of the agent.

use std::time::Duration;

use crate::moment::Moment;

/// How far back replies count.
pub const REPLIES: Duration = Duration::from_secs(30 * 86_400);
/// How far back ratings count.
pub const RATINGS: Duration = Duration::from_secs(90 * 86_400);
/// Ratings below which nothing is said.
pub const RATINGS_MIN: usize = 5;

/// Mean seconds that the agent took to reply, of replies with their moments; `None` without any.
#[must_use]
pub fn response_time(
    replies: impl IntoIterator<Item = (Moment, Duration)>,
    now: Moment,
) -> Option<f64> {
    let recent = replies.into_iter().filter(|(at, _)| now.since(*at) <= REPLIES);
    mean(recent.map(|(_, took)| took.as_secs_f64()), 1)
}

/// Mean rating, of ratings with their moments; `None` below five.
#[must_use]
pub fn satisfaction(ratings: impl IntoIterator<Item = (Moment, u8)>, now: Moment) -> Option<f64> {
    let recent = ratings.into_iter().filter(|(at, _)| now.since(*at) <= RATINGS);
    mean(recent.map(|(_, rating)| f64::from(rating)), RATINGS_MIN)
}

fn mean(values: impl Iterator<Item = f64>, least: usize) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for value in values {
        sum += value;
        count += 1;
    }
    (count as usize >= least).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> Moment {
        Moment::from_ms(days * 86_400_000)
    }

    #[test]
    fn replies_of_thirty_days_count() {
        let took = Duration::from_secs;
        let replies = [(days(69), took(999)), (days(70), took(10)), (days(99), took(20))];
        assert_eq!(response_time(replies, days(100)), Some(15.0));
        assert_eq!(response_time([], days(100)), None);
    }

    #[test]
    fn ratings_of_ninety_days_count_from_the_fifth_on() {
        let four = [(days(50), 5), (days(60), 4), (days(70), 5), (days(80), 1)];
        assert_eq!(satisfaction(four, days(100)), None);
        let old = four.into_iter().chain([(days(9), 5)]);
        assert_eq!(satisfaction(old, days(100)), None);
        let five = four.into_iter().chain([(days(90), 5)]);
        assert_eq!(satisfaction(five, days(100)), Some(4.0));
    }
}
