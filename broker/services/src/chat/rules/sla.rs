//! What a shop promises its customers in time, and where it has kept that.

use std::time::Duration;

use sampan_client::chat as told;
pub use sampan_client::chat::{PolicyPut as Policy, PromiseState as State, Target};

use crate::moment::Moment;

use super::hours::Hours;

/// A promise to one conversation, and what was missed of it.
pub type Applied = told::Applied<Moment>;
/// A promise that was not kept.
pub type Miss = told::Miss<Moment>;

/// What has happened in a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// When the customer began to wait.
    pub began: Moment,
    /// When a human agent first replied.
    pub first_reply: Option<Moment>,
    /// Since when the customer waits for a reply after the first.
    pub unanswered_since: Option<Moment>,
    /// When it was resolved.
    pub resolved: Option<Moment>,
}

/// The promise as it stands, and what was missed since it was looked at last. Time outside the
/// `hours`, which are the policy's own as they were read, does not count.
#[must_use]
pub fn look(
    before: &Applied,
    policy: &Policy,
    facts: Facts,
    hours: Option<&Hours>,
    now: Moment,
) -> (Applied, Vec<Miss>) {
    let due = |since: Moment, seconds: Option<u64>| {
        let time = Duration::from_secs(seconds?);
        hours.map_or(Some(since.after(time)), |hours| hours.after(since, time))
    };
    let targets = [
        (Target::FirstResponse, Some(facts.began), policy.first_response_s, facts.first_reply),
        (Target::NextResponse, facts.unanswered_since, policy.next_response_s, None),
        (Target::Resolution, Some(facts.began), policy.resolution_s, facts.resolved),
    ];
    let mut after = Applied { missed: before.missed.clone(), ..Applied::default() };
    let mut fresh = Vec::new();
    for (target, since, seconds, kept) in targets {
        let Some(since) = since else { continue };
        let Some(due) = due(since, seconds) else { continue };
        let ended = kept.or(facts.resolved);
        if ended.unwrap_or(now) > due {
            let is_known = |miss: &Miss| miss.target == target && miss.since == since;
            if !after.missed.iter().any(is_known) {
                let miss = Miss { target, since, due };
                after.missed.retain(|miss| miss.target != target);
                after.missed.push(miss);
                fresh.push(miss);
            }
        } else if ended.is_none() {
            let slot = match target {
                Target::FirstResponse => &mut after.frt_due,
                Target::NextResponse => &mut after.nrt_due,
                Target::Resolution => &mut after.rt_due,
            };
            *slot = Some(due);
        }
    }
    after.state = match (facts.resolved.is_some(), after.missed.is_empty()) {
        (false, true) => State::Active,
        (false, false) => State::ActiveWithMisses,
        (true, true) => State::Hit,
        (true, false) => State::Missed,
    };
    (after, fresh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::rules::hours::office;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn policy() -> Policy {
        let (first_response_s, next_response_s) = (Some(120), Some(60));
        let (id, resolution_s) = ("p".to_owned(), Some(600));
        Policy { id, first_response_s, next_response_s, resolution_s, hours: None }
    }

    fn began() -> Facts {
        Facts { began: at(0), ..Facts::default() }
    }

    fn targets(misses: &[Miss]) -> Vec<Target> {
        misses.iter().map(|miss| miss.target).collect()
    }

    #[test]
    fn a_miss_is_told_once() {
        let (due, none) = look(&Applied::default(), &policy(), began(), None, at(120));
        assert_eq!((due.frt_due, none.len(), due.state), (Some(at(120)), 0, State::Active));
        let (missed, told) = look(&due, &policy(), began(), None, at(121));
        assert_eq!(targets(&told), [Target::FirstResponse]);
        assert_eq!(missed.state, State::ActiveWithMisses);
        let (_, again) = look(&missed, &policy(), began(), None, at(500));
        assert!(again.is_empty());
    }

    #[test]
    fn a_late_reply_is_a_miss_even_if_nobody_looked_in_between() {
        let facts = Facts { first_reply: Some(at(130)), ..began() };
        let (_, told) = look(&Applied::default(), &policy(), facts, None, at(200));
        assert_eq!(targets(&told), [Target::FirstResponse]);
    }

    #[test]
    fn each_unanswered_message_may_be_missed() {
        let mut applied = Applied::default();
        let mut count = 0;
        for since in [100, 200, 300] {
            let (first_reply, unanswered_since) = (Some(at(10)), Some(at(since)));
            let facts = Facts { first_reply, unanswered_since, ..began() };
            for look_at in [since + 59, since + 61, since + 90] {
                let (after, told) = look(&applied, &policy(), facts, None, at(look_at));
                applied = after;
                count += told.len();
            }
        }
        assert_eq!((count, applied.missed.len()), (3, 1));
    }

    #[test]
    fn a_conversation_ends_as_hit_or_missed() {
        let good = Facts { first_reply: Some(at(9)), resolved: Some(at(600)), ..began() };
        let (hit, _) = look(&Applied::default(), &policy(), good, None, at(9_999));
        assert_eq!(hit.state, State::Hit);
        let late = Facts { resolved: Some(at(601)), ..good };
        let (missed, told) = look(&Applied::default(), &policy(), late, None, at(9_999));
        assert_eq!((missed.state, targets(&told)), (State::Missed, vec![Target::Resolution]));
    }

    #[test]
    fn time_outside_the_hours_does_not_count() {
        let hours = Hours::new(&office("Asia/Bangkok")).unwrap();
        let began = Moment::parse("2026-11-20T17:29:00+07:00").unwrap();
        let facts = Facts { began, ..Facts::default() };
        let sunday = Moment::parse("2026-11-22T12:00:00+07:00").unwrap();
        let (applied, told) = look(&Applied::default(), &policy(), facts, Some(&hours), sunday);
        assert!(told.is_empty());
        assert_eq!(applied.frt_due, Moment::parse("2026-11-23T09:01:00+07:00"));
    }
}
