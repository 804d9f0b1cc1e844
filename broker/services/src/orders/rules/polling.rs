//! When a carrier is asked about an order, and when no longer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::orders::model::{Order, Status, StopReason};

/// A carrier is asked this often.
pub const EVERY: Duration = Duration::from_millis(300_000);
/// Asked this often while the carrier tells by itself.
pub const EVERY_WITH_WEBHOOKS: Duration = Duration::from_secs(1_800);
/// It tells by itself if it did within this time.
const WEBHOOKS_FLOW: Duration = Duration::from_secs(6 * 3_600);
/// Pauses after one, two, three and more failures in a row.
const BACK_OFF: [Duration; 4] = [
    Duration::from_secs(5 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(20 * 60),
    Duration::from_secs(60 * 60),
];
/// An order is tracked so long.
pub const TRACK: Duration = Duration::from_secs(7 * 86_400);

/// The asking about one order: one per carrier, number and order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The order.
    pub order_id: String,
    /// The carrier.
    pub carrier: String,
    /// The carrier's number.
    pub tracking_number: String,
    /// When the carrier is asked next.
    pub next_poll_at: Moment,
    /// When it began.
    pub started_at: Moment,
    /// When it ends at the latest.
    pub stop_at: Moment,
    /// Failures in a row.
    pub errors: u32,
    /// When the carrier last told by itself.
    pub last_webhook_at: Option<Moment>,
    /// Why it has ended, if it has.
    pub stopped: Option<StopReason>,
}

/// What the carrier answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The order stands there.
    Known(Status),
    /// Nothing, or not now; the carrier may have said when.
    Failed(Option<Duration>),
}

/// The job of an order that has a number and is not at its end. The first poll is at once.
#[must_use]
pub fn start(order: &Order, now: Moment) -> Option<Job> {
    if order.status.is_terminal() {
        return None;
    }
    Some(Job {
        order_id: order.id.clone(),
        carrier: order.carrier.clone()?,
        tracking_number: order.tracking_number.clone()?,
        next_poll_at: now,
        started_at: now,
        stop_at: now.after(TRACK),
        errors: 0,
        last_webhook_at: None,
        stopped: None,
    })
}

/// The job after an answer. `seed` spreads the polls of many orders over a fifth of the pause.
#[must_use]
pub fn answered(job: &Job, answer: Answer, now: Moment, seed: u64) -> Job {
    let mut job = job.clone();
    let pause = match answer {
        Answer::Known(status) if status.is_terminal() => {
            job.stopped = Some(StopReason::Terminal);
            return job;
        }
        Answer::Known(_) => {
            job.errors = 0;
            let flows = job.last_webhook_at.is_some_and(|at| now.since(at) <= WEBHOOKS_FLOW);
            spread(if flows { EVERY_WITH_WEBHOOKS } else { EVERY }, seed)
        }
        Answer::Failed(retry_after) => {
            let at = usize::try_from(job.errors).unwrap_or(usize::MAX);
            job.errors = job.errors.saturating_add(1);
            let pause = BACK_OFF.get(at).or(BACK_OFF.last()).copied().unwrap_or(EVERY);
            spread(pause, seed).max(retry_after.unwrap_or_default())
        }
    };
    job.next_poll_at = now.after(pause).min(job.stop_at);
    job
}

/// The job after the carrier told by itself that the order stands there.
#[must_use]
pub fn told(job: &Job, status: Status, now: Moment) -> Job {
    let stopped = job.stopped.or(status.is_terminal().then_some(StopReason::Terminal));
    Job { last_webhook_at: Some(now), stopped, ..job.clone() }
}

/// The job if its time is over at this moment, ended.
#[must_use]
pub fn expired(job: &Job, now: Moment) -> Option<Job> {
    let is_over = job.stopped.is_none() && now >= job.stop_at;
    is_over.then(|| Job { stopped: Some(StopReason::Expired), ..job.clone() })
}

/// The pause, longer or shorter by up to a tenth.
fn spread(pause: Duration, seed: u64) -> Duration {
    let tenth = u64::try_from(pause.as_millis() / 10).unwrap_or(u64::MAX / 4).max(1);
    pause.saturating_sub(Duration::from_millis(tenth))
        + Duration::from_millis(seed % (2 * tenth + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn order() -> Order {
        Order {
            id: "o".to_owned(),
            carrier: Some("kerry".to_owned()),
            tracking_number: Some("TH1".to_owned()),
            status: Status::Shipped,
            ..Order::default()
        }
    }

    const MOVING: Answer = Answer::Known(Status::InTransit);

    #[test]
    fn an_order_is_tracked_as_soon_as_it_has_a_number() {
        let bare = Order { tracking_number: None, ..order() };
        assert_eq!(start(&bare, at(0)), None);
        let job = start(&order(), at(0)).unwrap();
        assert_eq!((job.next_poll_at, job.stopped), (at(0), None));
        assert_eq!(start(&Order { status: Status::Delivered, ..order() }, at(0)), None);
    }

    #[test]
    fn polling_stops_at_once_when_the_order_has_come() {
        let job = start(&order(), at(0)).unwrap();
        for ended in [
            answered(&job, Answer::Known(Status::Delivered), at(1), 7),
            told(&job, Status::Returned, at(1)),
        ] {
            assert_eq!(ended.stopped, Some(StopReason::Terminal));
            assert_eq!(expired(&ended, at(9_999_999)), None);
        }
    }

    #[test]
    fn after_seven_days_it_ends_and_says_so_once() {
        let job = start(&order(), at(0)).unwrap();
        let last = at(0).after(TRACK);
        assert_eq!(answered(&job, MOVING, at(7 * 86_400 - 1), 0).next_poll_at, last);
        assert_eq!(expired(&job, at(7 * 86_400 - 1)), None);
        let ended = expired(&job, last).unwrap();
        assert_eq!(ended.stopped, Some(StopReason::Expired));
        assert_eq!(expired(&ended, last), None);
    }

    #[test]
    fn failures_in_a_row_make_the_pauses_longer_and_an_answer_makes_them_short() {
        let mut job = start(&order(), at(0)).unwrap();
        let mut pauses = Vec::new();
        for _ in 0..6 {
            job = answered(&job, Answer::Failed(None), at(0), 10_000_000_000_000_000_007);
            pauses.push(job.next_poll_at.since(at(0)).as_secs_f64() / 60.0);
        }
        for (pause, minutes) in pauses.iter().zip([5.0, 10.0, 20.0, 60.0, 60.0, 60.0]) {
            assert!((pause - minutes).abs() <= minutes / 10.0 + 0.001, "{pause} for {minutes}");
        }
        let job = answered(&job, MOVING, at(0), 0);
        assert_eq!((job.errors, job.next_poll_at), (0, at(270)));
        let waiting = answered(&job, Answer::Failed(Some(Duration::from_secs(7_200))), at(0), 0);
        assert_eq!(waiting.next_poll_at, at(7_200));
    }

    #[test]
    fn a_carrier_that_tells_by_itself_is_asked_less() {
        let job = told(&start(&order(), at(0)).unwrap(), Status::InTransit, at(0));
        let job = answered(&job, MOVING, at(1), 0);
        assert!(job.next_poll_at >= at(1_600));
        let silent = answered(&job, MOVING, at(7 * 3_600), 0);
        assert!(silent.next_poll_at <= at(7 * 3_600 + 330));
    }

    proptest! {
        #[test]
        fn polls_are_spread_within_a_tenth(seed in any::<u64>()) {
            let job = start(&order(), at(0)).unwrap();
            let pause = answered(&job, MOVING, at(0), seed).next_poll_at.since(at(0));
            prop_assert!((270_000..=330_000).contains(&pause.as_millis()));
        }
    }
}
