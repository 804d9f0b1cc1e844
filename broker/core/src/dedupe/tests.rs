//! What is remembered of publishers, for how long, and what is forgotten first.

use proptest::prelude::*;

use super::*;

const S: Duration = Duration::from_secs(1);
const LARGE: Limits =
    Limits { producers_max: 100, runs_max: 10_000, runs_shared: 1_000_000, keys_max: 1000 };

fn dedupe(limits: Limits) -> Dedupe {
    Dedupe::new(Dedupe::WINDOW, limits)
}

fn one(producer: u64, sequence: u64) -> Sent {
    Sent { producer, sequence, offset: 0, count: 1 }
}

fn first(offset: u64) -> Option<First> {
    Some(First { offset })
}

#[test]
fn a_sequence_is_known_and_one_in_a_hole_is_new() {
    let (mut dedupe, now) = (dedupe(Limits::default()), Instant::now());
    for (sequence, offset) in [(1, 1), (2, 2), (7, 3)] {
        assert_eq!(dedupe.check(now, 9, sequence), None);
        dedupe.record(now, 9, sequence, offset);
    }
    assert_eq!((dedupe.check(now, 9, 2), dedupe.check(now, 9, 7)), (first(2), first(3)));
    assert_eq!((dedupe.check(now, 9, 5), dedupe.check(now, 8, 2)), (None, None));
    dedupe.record(now, 9, 5, 4);
    assert_eq!((dedupe.check(now, 9, 5), dedupe.check(now, 9, 6)), (first(4), None));
}

#[test]
fn a_lone_publisher_is_one_run() {
    let (mut dedupe, now) = (dedupe(Limits::default()), Instant::now());
    (1..=100_000).for_each(|n| dedupe.record(now, 1, 10 + n, n));
    assert_eq!(dedupe.producers[&1].runs.len(), 1);
    assert_eq!((dedupe.check(now, 1, 11), dedupe.check(now, 1, 50_010)), (first(1), first(50_000)));
}

#[test]
fn what_does_not_fit_loses_its_offset_before_it_is_forgotten() {
    let (mut two, now) = (dedupe(Limits { runs_max: 8, ..Limits::default() }), Instant::now());
    // Two publishers take turns, so that no offsets join.
    for n in 1..=100 {
        two.record(now, 1, n, 2 * n);
        two.record(now, 2, n, 2 * n + 1);
    }
    assert_eq!((two.check(now, 1, 1), two.check(now, 1, 93)), (first(0), first(0)));
    assert_eq!((two.check(now, 1, 94), two.check(now, 2, 100)), (first(188), first(201)));
    // A publisher that serves another topic in between leaves holes: nothing can be joined.
    let mut holes = dedupe(Limits { runs_max: 8, ..Limits::default() });
    (1..=100).for_each(|n| holes.record(now, 1, 2 * n, n));
    assert_eq!((holes.check(now, 1, 184), holes.check(now, 1, 186)), (None, first(93)));
    assert_eq!(holes.check(now, 1, 185), None);
}

#[test]
fn the_window_ends_and_the_memory_is_freed() {
    let (mut dedupe, now) = (dedupe(Limits::default()), Instant::now());
    dedupe.record(now, 1, 1, 1);
    dedupe.record_key(now, "k", 1);
    let last = now + Dedupe::WINDOW;
    assert_eq!((dedupe.check(last, 1, 1), dedupe.check_key(last, "k")), (first(1), first(1)));
    let after = last + S;
    assert_eq!((dedupe.check(after, 1, 1), dedupe.check_key(after, "k")), (None, None));
    assert!(!dedupe.is_empty());
    dedupe.expire(after);
    assert!(dedupe.is_empty() && dedupe.silent.is_empty() && dedupe.key_order.is_empty());
}

#[test]
fn an_active_producer_outlives_a_silent_one() {
    let limits = Limits { producers_max: 2, ..Limits::default() };
    let (mut dedupe, now) = (dedupe(limits), Instant::now());
    dedupe.record(now, 1, 1, 1);
    dedupe.record(now + S, 2, 1, 2);
    dedupe.record(now + S * 2, 1, 2, 3);
    dedupe.record(now + S * 3, 3, 1, 4);
    let now = now + S * 4;
    assert_eq!((dedupe.check(now, 1, 1), dedupe.check(now, 2, 1)), (first(1), None));
    assert_eq!(dedupe.silent.len(), 2);
}

#[test]
fn a_publish_that_was_not_stored_is_new_again() {
    let (mut dedupe, now) = (dedupe(Limits::default()), Instant::now());
    (1..=9).for_each(|n| dedupe.record(now, 1, n, 10 + n));
    dedupe.record_key(now, "a", 15);
    dedupe.record_key(now, "b", 16);
    dedupe.forget(&one(1, 3));
    dedupe.forget(&one(1, 5));
    dedupe.forget_key("a");
    let known: Vec<u64> = (1..=9).filter(|n| dedupe.check(now, 1, *n).is_some()).collect();
    assert_eq!(known, [1, 2, 4, 6, 7, 8, 9]);
    assert_eq!(dedupe.check(now, 1, 9), first(19));
    assert_eq!((dedupe.check_key(now, "a"), dedupe.check_key(now, "b")), (None, first(16)));
    dedupe.forget_key("b");
    dedupe.forget_key("b");
    assert_eq!((dedupe.check_key(now, "b"), dedupe.key_order.len()), (None, 0));
    dedupe.record(now, 1, 5, 30);
    assert_eq!((dedupe.check(now, 1, 5), dedupe.check(now, 1, 6)), (first(30), first(16)));
}

#[test]
fn what_a_journal_tells_is_known_for_the_rest_of_its_window() {
    let (mut dedupe, now) = (dedupe(Limits::default()), Instant::now());
    let sent = |sequence, offset| Sent { producer: 1, sequence, offset, count: 10 };
    dedupe.restore(now, Dedupe::WINDOW + S, &sent(1, 1));
    dedupe.restore(now, Dedupe::WINDOW - S, &sent(11, 11));
    dedupe.restore(now, S, &sent(21, 30));
    dedupe.restore_key(now, Dedupe::WINDOW + S, Arc::from("old"), 1);
    dedupe.restore_key(now, S, Arc::from("new"), 30);
    let known = [1, 11, 20, 21, 30, 31].map(|n| dedupe.check(now, 1, n).map(|f| f.offset));
    assert_eq!(known, [None, Some(11), Some(20), Some(30), Some(39), None]);
    assert_eq!((dedupe.check_key(now, "old"), dedupe.check_key(now, "new")), (None, first(30)));
    let later = now + S * 2;
    assert_eq!((dedupe.check(later, 1, 20), dedupe.check(later, 1, 21)), (None, first(30)));
}

#[test]
fn keys_keep_their_first_offset_and_their_bound() {
    let (mut dedupe, now) = (dedupe(Limits { keys_max: 3, ..LARGE }), Instant::now());
    for (offset, key) in (1..).zip(["a", "b", "a", "c", "d"]) {
        dedupe.record_key(now, key, offset);
    }
    let known = ["a", "b", "c", "d"].map(|key| dedupe.check_key(now, key).map(|f| f.offset));
    assert_eq!(known, [None, Some(2), Some(4), Some(5)]);
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let (mut dedupe, now) = (dedupe(LARGE), Instant::now());
    dedupe.record(now, 1, u64::MAX - 1, 5);
    dedupe.record(now, 1, u64::MAX, 6);
    dedupe.record(now, 1, 0, 7);
    assert_eq!((dedupe.check(now, 1, u64::MAX), dedupe.check(now, 1, 0)), (first(6), first(7)));
    dedupe.forget(&one(1, u64::MAX));
    assert_eq!(dedupe.check(now, 1, u64::MAX), None);
}

#[derive(Clone, Debug)]
enum Step {
    Publish { producer: u64, sequence: u64 },
    Fail { producer: u64, sequence: u64, count: u64 },
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let publish = (0u64..3, 0u64..40);
    let step = prop_oneof![
        20 => publish.prop_map(|(producer, sequence)| Step::Publish { producer, sequence }),
        2 => (0u64..3, 0u64..40, 1u64..9).prop_map(|(producer, sequence, count)| {
            Step::Fail { producer, sequence, count }
        }),
        2 => (0u64..120).prop_map(Step::Wait),
    ];
    // Rising stretches as real producers make them, with anything in between.
    let rise = (0u64..3, 0u64..30, 1u64..12, 1u64..3).prop_map(|(producer, from, count, step)| {
        let sequence = |n| from + n * step;
        (0..count).map(|n| Step::Publish { producer, sequence: sequence(n) }).collect::<Vec<_>>()
    });
    let chunk = prop_oneof![step.prop_map(|step| vec![step]), rise];
    prop::collection::vec(chunk, 1..60).prop_map(|chunks| chunks.concat())
}

/// Plays the steps against a map of everything that was recorded and not forgotten.
fn play(steps: &[Step], limits: Limits, complete: bool) -> Result<(), TestCaseError> {
    let (mut dedupe, mut now, mut next) = (dedupe(limits), Instant::now(), 1);
    let mut model: BTreeMap<(u64, u64), (u64, Instant)> = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Wait(seconds) => now += S * u32::try_from(seconds).expect("small"),
            Step::Fail { producer, sequence, count } => {
                model.retain(|(of, n), _| {
                    *of != producer || !(sequence..sequence + count).contains(n)
                });
                dedupe.forget(&Sent { producer, sequence, offset: 0, count });
            }
            Step::Publish { producer, sequence } => {
                let told = dedupe.check(now, producer, sequence);
                let known = model.get(&(producer, sequence));
                match (told, known) {
                    (Some(First { offset: 0 }), Some(_)) => prop_assert!(!complete),
                    (Some(first), Some((offset, _))) => prop_assert_eq!(first.offset, *offset),
                    (Some(_), None) => prop_assert!(false, "{producer} {sequence} was never there"),
                    (None, Some((_, at))) if complete => {
                        prop_assert!(now - *at > Dedupe::WINDOW, "{producer} {sequence} forgotten");
                    }
                    (None, _) => {}
                }
                if told.is_none() {
                    dedupe.record(now, producer, sequence, next);
                    model.insert((producer, sequence), (next, now));
                    next += 1;
                    let told = dedupe.check(now, producer, sequence);
                    prop_assert!(told.is_some_and(|first| first.offset != 0 || !complete));
                }
            }
        }
        let most = dedupe.limits.runs_max;
        prop_assert!(dedupe.producers.values().all(|entry| entry.runs.len() <= most));
        prop_assert!(dedupe.producers.len() <= dedupe.limits.producers_max);
        prop_assert_eq!(dedupe.silent.len(), dedupe.producers.len());
    }
    Ok(())
}

proptest! {
    #[test]
    fn with_room_everything_in_the_window_is_known(steps in steps()) {
        play(&steps, LARGE, true)?;
    }

    #[test]
    fn without_room_nothing_is_taken_for_another(steps in steps()) {
        play(&steps, Limits { producers_max: 2, runs_max: 4, ..Limits::default() }, false)?;
    }
}
