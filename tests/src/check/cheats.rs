//! Stores that cheat, each of which the checker has to catch: else a count of 0 means nothing.

use super::*;

const TOPICS: [&str; 3] = ["a", "b", "c"];
const EACH: u64 = 2_000;

/// An honest run: three producers, each on every topic, all acknowledged, read by a group.
#[derive(Clone)]
struct Honest {
    history: Vec<Event>,
    after: Aftermath,
}

fn place(topic: &str, offset: u64) -> Place {
    Place { topic: topic.into(), epoch: 1, offset }
}

fn honest() -> Honest {
    let mut history = Vec::new();
    let mut after = Aftermath::default();
    let group: Arc<str> = "g".into();
    for topic in TOPICS {
        for offset in 1..=EACH {
            let message = message(topic, offset);
            let bytes = 33 + usize::try_from(offset % 50).expect("small");
            let place = place(topic, offset);
            history.extend([
                Event::Sent { message, topic: topic.into(), bytes },
                Event::Acked { message, place: place.clone(), level: Level::Synced },
                Event::Given { group: group.clone(), place: place.clone() },
                Event::Settled { group: group.clone(), place: place.clone(), level: Level::Synced },
            ]);
            after.found.push(Found { place, payload: payload::encode(message, bytes) });
        }
        after.drained.push((group.clone(), topic.into()));
    }
    Honest { history, after }
}

/// The message that stands at this offset of an honest store.
fn message(topic: &str, offset: u64) -> Message {
    let line = TOPICS.iter().position(|name| *name == topic).expect("a topic") as u64;
    Message { producer: offset % 3, sequence: line * EACH + offset }
}

/// What is counted after `cheat`, without the counts that are 0.
fn counted(cheat: impl FnOnce(&mut Honest)) -> Vec<(&'static str, u64)> {
    let mut run = honest();
    cheat(&mut run);
    let report = check(&run.history, &run.after, Level::Synced);
    assert_eq!(report.violations() > 0, !report.findings.is_empty(), "{report}");
    report.counts().into_iter().filter(|(_, count)| *count > 0).collect()
}

/// The place in `found` of an offset of topic `b`.
fn at(offset: u64) -> usize {
    usize::try_from(EACH + offset - 1).expect("small")
}

#[test]
fn an_honest_store_is_found_to_be_honest() {
    assert_eq!(counted(|_| {}), []);
}

#[test]
fn a_store_that_drops_one_in_a_thousand_is_caught() {
    let cheat = |run: &mut Honest| {
        let mut number = 0;
        run.after.found.retain(|_| {
            number += 1;
            number % 1000 != 0
        });
    };
    let caught = counted(cheat);
    assert_eq!(caught[0], ("acked_lost", 6));
}

#[test]
fn a_store_that_drops_its_tail_has_lost_without_a_gap() {
    assert_eq!(
        counted(|run| run.after.found.truncate(run.after.found.len() - 1)),
        [("acked_lost", 1)]
    );
}

#[test]
fn a_store_that_flips_a_bit_is_caught() {
    let caught = counted(|run| run.after.found[at(7)].payload[5] ^= 4);
    assert_eq!(caught, [("acked_lost", 1), ("corrupt_payload", 1), ("gap", 1)]);
}

#[test]
fn a_store_that_cuts_a_payload_is_caught() {
    let caught = counted(|run| run.after.found[at(7)].payload.truncate(34));
    assert_eq!(caught, [("corrupt_payload", 1)]);
}

#[test]
fn a_store_that_makes_up_a_message_is_caught() {
    let made_up = Message { producer: 9, sequence: 1 };
    let found = Found { place: place("b", EACH + 1), payload: payload::encode(made_up, 33) };
    let caught = counted(|run| {
        run.after.found.push(found);
        run.after.drained.clear();
    });
    assert_eq!(caught, [("phantom", 1)]);
}

#[test]
fn a_store_that_keeps_what_it_refused_is_caught() {
    let message = Message { producer: 1, sequence: 9 * EACH };
    let caught = counted(|run| {
        run.history.push(Event::Sent { message, topic: "b".into(), bytes: 33 });
        run.history.push(Event::Refused(message));
        let payload = payload::encode(message, 33);
        run.after.found.push(Found { place: place("b", EACH + 1), payload });
        run.after.drained.clear();
    });
    assert_eq!(caught, [("phantom", 1)]);
}

#[test]
fn a_store_that_puts_a_message_into_another_topic_is_caught() {
    let caught = counted(|run| {
        run.after.found[at(EACH)].place = place("c", EACH + 1);
        run.after.drained.clear();
    });
    assert_eq!(caught, [("acked_lost", 1), ("phantom", 1)]);
}

#[test]
fn a_store_that_loses_what_is_in_flight_between_others_has_a_gap() {
    let lost = message("b", 7);
    let caught = counted(|run| {
        run.after.found.remove(at(7));
        run.history.retain(|event| match event {
            Event::Acked { message, .. } => *message != lost,
            Event::Given { place: given, .. } | Event::Settled { place: given, .. } => {
                *given != place("b", 7)
            }
            _ => true,
        });
    });
    assert_eq!(caught, [("gap", 1)]);
}

#[test]
fn a_store_that_reorders_what_is_in_flight_is_caught() {
    let caught = counted(|run| {
        run.history.retain(|event| !matches!(event, Event::Acked { .. }));
        let later = run.after.found[at(10)].payload.clone();
        let earlier = std::mem::replace(&mut run.after.found[at(7)].payload, later);
        run.after.found[at(10)].payload = earlier;
    });
    assert_eq!(caught, [("reordered", 1)]);
}

#[test]
fn a_store_that_gives_an_offset_to_two_messages_is_caught() {
    let other = Message { producer: 1, sequence: 9 * EACH };
    let sent = Event::Sent { message: other, topic: "b".into(), bytes: 33 };
    let ack = |level| Event::Acked { message: other, place: place("b", 7), level };
    let found = Found { place: place("b", 7), payload: payload::encode(other, 33) };
    let twice_kept = counted(|run| {
        run.history.push(sent.clone());
        run.after.found.insert(at(8), found.clone());
        run.after.found.remove(at(7));
    });
    assert!(twice_kept.contains(&("offset_reused", 1)), "{twice_kept:?}");
    let twice_acked = counted(|run| {
        run.history.extend([sent.clone(), ack(Level::Routed)]);
    });
    assert_eq!(twice_acked, [("offset_reused", 1)]);
}

#[test]
fn an_offset_that_was_only_shown_early_is_not_given_again_either() {
    let lost = Message { producer: 1, sequence: 9 * EACH };
    let next = Message { producer: 1, sequence: 9 * EACH + 1 };
    let there = place("b", EACH + 1);
    let ack = |message, level| Event::Acked { message, place: there.clone(), level };
    let sent = |message| Event::Sent { message, topic: "b".into(), bytes: 33 };
    let crash = |run: &mut Honest| {
        run.history.extend([sent(lost), ack(lost, Level::Routed)]);
    };
    assert_eq!(counted(crash), []);
    let reused = counted(|run| {
        crash(run);
        run.history.extend([Event::Refused(lost), sent(next), ack(next, Level::Synced)]);
    });
    assert!(reused.contains(&("offset_reused", 1)), "{reused:?}");
}

#[test]
fn a_store_that_takes_back_what_it_has_shown_is_caught() {
    let shown = Message { producer: 1, sequence: 9 * EACH };
    let caught = counted(|run| {
        run.history.push(Event::Sent { message: shown, topic: "b".into(), bytes: 33 });
        run.history.push(Event::Shown(place("b", EACH + 1), shown));
    });
    assert_eq!(caught, [("acked_lost", 1)]);
}

#[test]
fn a_store_that_forgets_a_cursor_is_caught() {
    let given = Event::Given { group: "g".into(), place: place("b", 7) };
    assert_eq!(counted(|run| run.history.push(given)), [("cursor_regressed", 1)]);
}

#[test]
fn a_store_whose_cursor_jumps_ahead_is_caught() {
    let caught = counted(|run| {
        run.history.retain(|event| match event {
            Event::Given { place: given, .. } | Event::Settled { place: given, .. } => {
                *given != place("b", 7)
            }
            _ => true,
        });
    });
    assert_eq!(caught, [("cursor_regressed", 1)]);
}

#[test]
fn what_a_level_does_not_promise_may_go_and_what_limits_pass_may_too() {
    let mut run = honest();
    for event in &mut run.history {
        if let Event::Acked { place, level, .. } = event
            && place.topic.as_ref() == "c"
            && place.offset > EACH - 10
        {
            *level = Level::Logged;
        }
    }
    run.after.found.truncate(run.after.found.len() - 10);
    run.after.found.retain(|found| found.place.topic.as_ref() != "a" || found.place.offset > 500);
    run.after.floors.push(("a".into(), 501));
    let power = check(&run.history, &run.after, Level::Synced);
    assert_eq!(power.violations(), 0, "{power}");
    let kill = check(&run.history, &run.after, Level::Logged);
    assert_eq!((kill.acked_lost, kill.violations()), (10, 10), "{kill}");
}

#[test]
fn what_is_kept_twice_or_without_an_ack_is_told_and_not_blamed() {
    let mut run = honest();
    let again = message("b", EACH);
    let flight = Message { producer: 1, sequence: 9 * EACH };
    run.history.push(Event::Sent { message: flight, topic: "b".into(), bytes: 33 });
    let bytes = run.after.found[at(EACH)].payload.len();
    for (offset, message, bytes) in [(EACH + 1, again, bytes), (EACH + 2, flight, 33)] {
        let payload = payload::encode(message, bytes);
        run.after.found.push(Found { place: place("b", offset), payload });
        run.history.push(Event::Given { group: "g".into(), place: place("b", offset) });
    }
    let report = check(&run.history, &run.after, Level::Synced);
    assert_eq!(
        (report.violations(), report.duplicates, report.in_flight_kept),
        (0, 1, 1),
        "{report}"
    );
}
