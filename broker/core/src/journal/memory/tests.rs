//! The memory journal: order, bounds, retention, failures and crashes.

use proptest::prelude::*;
use sampan_protocol::{Class, Pattern};

use super::super::run::tests::run;
use super::super::{Run, Sent, Start};
use super::*;
use crate::class::{Retention, Rule};

mod keeps;

const MS: Duration = Duration::from_millis(1);

fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_000_000 }
}

fn topic(id: u64) -> Topic {
    Topic::parse(&format!("t.{id}")).expect("valid")
}

fn memory(config: Config, retention: Retention) -> Memory {
    let pattern = Pattern::parse(">").expect("valid");
    let rule = Rule { retention, ..Rule::new(pattern, Class::Durable) };
    Memory::new(config, Arc::new(Table::new(vec![rule])))
}

fn disk(seed: u64) -> Config {
    let faults = Faults { delay: MS..=20 * MS, fail_ppm: 0 };
    Config { best: AckLevel::Synced, seed, faults, ..Config::default() }
}

/// An append whose ticket is its first offset.
fn append(topic_id: u64, from: u64, bodies: &[usize]) -> Request {
    let run = run(from, bodies);
    append_run(Ticket(from), topic_id, 1, run)
}

fn append_run(ticket: Ticket, topic_id: u64, epoch: u64, run: Arc<Run>) -> Request {
    let (topic, early, replaces) = (topic(topic_id), false, Vec::new());
    Request::Append { ticket, topic_id, topic, epoch, run, early, replaces }
}

fn drain(memory: &mut Memory, now: Now) -> Vec<Completion> {
    std::iter::from_fn(|| memory.poll(now)).collect()
}

/// Drains at each deadline until nothing waits but ages; the completions with their times.
fn settle(memory: &mut Memory, mut now: Now) -> (Now, Vec<Completion>) {
    let mut out = drain(memory, now);
    while !memory.pending.is_empty() {
        let deadline = memory.deadline().expect("something waits");
        now = now.after(deadline.saturating_duration_since(now.mono));
        out.extend(drain(memory, now));
    }
    (now, out)
}

fn read(memory: &mut Memory, now: Now, topic_id: u64, from: Start) -> (u64, u64, u64, Vec<u64>) {
    let (ticket, max_bytes, max_count) = (Ticket(0), usize::MAX, u32::MAX);
    let request = Request::Read { ticket, topic_id, from, max_bytes, max_count };
    memory.submit(now, request).expect("room");
    match settle(memory, now).1.pop() {
        Some(Completion::Page { floor, from, next, runs, .. }) => {
            let offsets = runs.iter().flat_map(|run| run.frames()).map(|frame| frame.offset);
            (floor, from, next, offsets.collect())
        }
        other => panic!("{other:?}"),
    }
}

fn open(memory: &mut Memory, now: Now, topic_id: u64) -> (u64, u64, u64, Vec<Hole>) {
    let request = Request::Open { ticket: Ticket(0), topic_id, topic: topic(topic_id) };
    memory.submit(now, request).expect("room");
    match settle(memory, now).1.pop() {
        Some(Completion::Opened { epoch, floor, next, lost, .. }) => (epoch, floor, next, lost),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_append_is_routed_at_the_next_poll_and_can_be_read() {
    let (mut memory, now) = (memory(Config::default(), Retention::DEFAULT), now());
    assert_eq!(memory.best(), AckLevel::Routed);
    assert_eq!(read(&mut memory, now, 1, Start::Last(5)), (1, 1, 1, vec![]));
    assert_eq!(open(&mut memory, now, 1), (1, 1, 1, vec![]));
    memory.submit(now, append(1, 1, &[1, 1])).expect("room");
    let stored = Completion::Stored { ticket: Ticket(1), level: AckLevel::Routed };
    assert_eq!(drain(&mut memory, now), [stored]);
    memory.submit(now, append(1, 5, &[1, 1])).expect("a hole is allowed");
    drain(&mut memory, now);
    assert_eq!(read(&mut memory, now, 1, Start::Offset(2)), (1, 2, 7, vec![2, 5, 6]));
    assert_eq!(read(&mut memory, now, 1, Start::Offset(3)), (1, 3, 7, vec![5, 6]));
    assert_eq!(read(&mut memory, now, 1, Start::Last(3)), (1, 2, 7, vec![2, 5, 6]));
    assert_eq!(read(&mut memory, now, 1, Start::Since(1051)), (1, 6, 7, vec![6]));
    assert_eq!(read(&mut memory, now, 1, Start::Since(9999)), (1, 7, 7, vec![]));
    assert_eq!(open(&mut memory, now, 1), (1, 1, 7, vec![]));
}

#[test]
fn a_reused_offset_another_epoch_and_too_much_fail() {
    let config = Config { capacity_bytes: 4000, topics_max: 1, ..Config::default() };
    let (mut memory, now) = (memory(config, Retention::DEFAULT), now());
    let mut fails = |request: Request| {
        memory.submit(now, request).expect("room");
        match drain(&mut memory, now).pop() {
            Some(Completion::Failed { error, .. }) => Some(error),
            _ => None,
        }
    };
    assert_eq!(fails(append(1, 1, &[1, 1])), None);
    assert_eq!(fails(append(1, 2, &[1, 1])), Some(Error::OffsetReused));
    let other = append_run(Ticket(0), 1, 2, run(3, &[1]));
    assert_eq!(fails(other), Some(Error::WrongEpoch));
    assert_eq!(fails(append(1, 3, &[5000])), Some(Error::TooLarge));
    assert_eq!(fails(append(1, 3, &[1])), Some(Error::OffsetReused), "given out, if not stored");
    assert_eq!(fails(append(2, 1, &[1])), Some(Error::TooManyTopics));
    let open = Request::Open { ticket: Ticket(0), topic_id: 2, topic: topic(2) };
    assert_eq!(fails(open), Some(Error::TooManyTopics));
}

#[test]
fn the_oldest_run_of_all_topics_makes_room() {
    let config = Config { capacity_bytes: 3 * 1500, ..Config::default() };
    let (mut memory, now) = (memory(config, Retention::DEFAULT), now());
    for (topic_id, from) in [(1, 1), (2, 1), (1, 2)] {
        memory.submit(now, append(topic_id, from, &[1100])).expect("room");
        assert_eq!(drain(&mut memory, now).len(), 1);
    }
    memory.submit(now, append(2, 2, &[1100])).expect("room");
    assert_eq!(drain(&mut memory, now)[0], Completion::Floor { topic_id: 1, floor: 2 });
    assert_eq!(read(&mut memory, now, 1, Start::Offset(1)), (2, 2, 3, vec![2]));
    memory.submit(now, append(3, 1, &[1100])).expect("room");
    assert_eq!(drain(&mut memory, now)[0], Completion::Floor { topic_id: 2, floor: 2 });
    assert!(memory.bytes() <= 3 * 1500);
}

#[test]
fn what_waits_is_bounded_and_told_when_to_come_again() {
    let faults = Faults { delay: 10 * MS..=10 * MS, fail_ppm: 0 };
    let config = Config { capacity_bytes: 3300, pending_max: 3, faults, ..Config::default() };
    let (mut memory, now) = (memory(config, Retention::DEFAULT), now());
    assert!(memory.submit(now, append(1, 1, &[1100])).is_ok());
    assert!(memory.submit(now, append(1, 2, &[1100])).is_ok());
    let full = Err(Refused::Full { retry_after: 10 * MS });
    assert_eq!(memory.submit(now, append(1, 3, &[1100])), full, "bytes");
    assert!(memory.submit(now, append(1, 3, &[1])).is_ok(), "no trace of the refused one");
    assert_eq!(memory.submit(now, append(1, 4, &[1])), full, "requests");
    assert_eq!(drain(&mut memory, now), []);
    assert_eq!(drain(&mut memory, now.after(10 * MS)).len(), 3);
}

#[test]
fn age_count_and_bytes_move_the_floor() {
    let age = Duration::from_secs(60);
    let retention = Retention { age, bytes: 1 << 20, count: Some(3) };
    let (mut memory, start) = (memory(Config::default(), retention), now());
    for from in [1, 3, 5] {
        memory.submit(start, append(1, from, &[1, 1])).expect("room");
        drain(&mut memory, start);
    }
    assert_eq!(read(&mut memory, start, 1, Start::Offset(1)).3, [3, 4, 5, 6]);
    let deadline = memory.deadline().expect("an age runs");
    assert_eq!(deadline, start.mono + age);
    assert_eq!(drain(&mut memory, start.after(age - MS)), []);
    let later = start.after(age);
    assert_eq!(drain(&mut memory, later), [Completion::Floor { topic_id: 1, floor: 7 }]);
    assert_eq!((memory.deadline(), memory.bytes()), (None, 0));
    assert_eq!(read(&mut memory, later, 1, Start::Offset(1)), (7, 7, 7, vec![]));
}

#[test]
fn expiring_runs_wake_the_owner_once_a_second_at_most() {
    let age = Duration::from_secs(60);
    let (mut memory, start) =
        (memory(Config::default(), Retention { age, ..Retention::DEFAULT }), now());
    for n in 0..200 {
        let at = start.after(10 * MS * n);
        memory.submit(at, append(1, u64::from(n) + 1, &[1])).expect("room");
        drain(&mut memory, at);
    }
    let mut wakes = 0;
    while let Some(deadline) = memory.deadline() {
        drain(&mut memory, start.after(deadline - start.mono));
        wakes += 1;
    }
    assert_eq!((wakes, memory.bytes()), (3, 0));
}

#[test]
fn a_fenced_journal_fails_what_waits_and_refuses_the_rest_until_it_recovers() {
    let (mut memory, now) = (memory(disk(1), Retention::DEFAULT), now());
    for from in 1..=3 {
        memory.submit(now, append(1, from, &[1])).expect("room");
    }
    memory.fence(now);
    let failed = |n| Completion::Failed { ticket: Ticket(n), error: Error::Fenced };
    assert_eq!(drain(&mut memory, now), [failed(1), failed(2), failed(3)]);
    assert_eq!(memory.submit(now, append(1, 4, &[1])), Err(Refused::Fenced));
    assert_eq!(memory.recover(), []);
    assert_eq!(open(&mut memory, now, 1), (1, 1, 4, vec![]));
}

#[test]
fn a_memory_that_crashes_loses_everything_but_reuses_no_offset() {
    let (mut memory, now) = (memory(Config::default(), Retention::DEFAULT), now());
    memory.submit(now, append(1, 1, &[1, 1, 1])).expect("room");
    drain(&mut memory, now);
    memory.crash();
    let hole = Hole { from: 1, to: 3 };
    assert_eq!(memory.recover(), [Lost { topic: topic(1), hole }]);
    assert_eq!(open(&mut memory, now, 9), (2, 1, 1, vec![]), "a new topic, the new epoch");
    let request = Request::Open { ticket: Ticket(0), topic_id: 8, topic: topic(1) };
    memory.submit(now, request).expect("room");
    let opened = drain(&mut memory, now);
    assert!(matches!(opened[..], [Completion::Opened { epoch: 2, floor: 4, next: 4, .. }]));
    assert_eq!(memory.deadline(), None);
}

#[test]
fn lost_ranges_stay_bounded() {
    let (mut memory, mut at, mut next) = (memory(disk(3), Retention::DEFAULT), now(), 1);
    for _ in 0..100 {
        memory.submit(at, append(1, next, &[1])).expect("room");
        at = settle(&mut memory, at).0;
        memory.submit(at, append(1, next + 1, &[1])).expect("room");
        memory.crash();
        assert_eq!(memory.recover().len(), 1);
        next += 2;
    }
    let (_, floor, _, lost) = open(&mut memory, at, 1);
    assert_eq!((lost.len(), floor), (64, 2 * 36 + 1));
    assert_eq!(read(&mut memory, at, 1, Start::Offset(1)).3.len(), 64);
}

#[derive(Clone, Debug)]
enum Step {
    Append { topic_id: u64, bodies: Vec<usize>, skip: u64 },
    Wait(u64),
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bodies = prop::collection::vec(0usize..200, 1..4);
    let append = (1u64..4, bodies, 0u64..2);
    let append =
        append.prop_map(|(topic_id, bodies, skip)| Step::Append { topic_id, bodies, skip });
    let step =
        prop_oneof![8 => append, 4 => (0u64..15).prop_map(Step::Wait), 1 => Just(Step::Crash)];
    prop::collection::vec(step, 1..60)
}

/// Runs the steps; tells every completion and loss as text.
fn play(seed: u64, steps: &[Step]) -> Vec<String> {
    let mut config = disk(seed);
    config.faults.fail_ppm = 200_000;
    let (mut memory, mut at) = (memory(config, Retention::DEFAULT), now());
    let start = at.mono;
    let mut next = [1u64; 4];
    let (mut trace, mut ticket) = (Vec::new(), 0);
    // What was promised per topic: synced offsets; and waiting tickets in order with their runs.
    let mut synced: [Vec<u64>; 4] = Default::default();
    let mut waiting: [std::collections::VecDeque<(u64, Arc<Run>, bool)>; 4] = Default::default();
    for step in steps.iter().chain([&Step::Wait(10_000)]) {
        match step {
            Step::Append { topic_id, bodies, skip } => {
                ticket += 1;
                let place = usize::try_from(*topic_id).expect("small");
                let run = run(next[place] + skip, bodies);
                next[place] = run.to + 1;
                waiting[place].push_back((ticket, run.clone(), false));
                let request = append_run(Ticket(ticket), *topic_id, 1, run);
                memory.submit(at, request).expect("room");
            }
            Step::Wait(ms) => at = at.after(MS * u32::try_from(*ms).expect("small")),
            Step::Crash => {
                memory.crash();
                for lost in memory.recover() {
                    trace.push(format!("{lost:?}"));
                }
                for place in 1..4 {
                    let topic_id = place as u64;
                    let (epoch, floor, opened, lost) = open(&mut memory, at, topic_id);
                    assert_eq!((epoch, floor), (1, 1));
                    assert!(opened >= next[place], "no offset is given twice");
                    next[place] = opened;
                    let stored = read(&mut memory, at, topic_id, Start::Offset(1)).3;
                    let promised = &mut synced[place];
                    assert_eq!(stored[..promised.len()], promised[..], "what was synced is there");
                    let more = stored[promised.len()..].to_vec();
                    let last = more.last().copied().unwrap_or(0);
                    let mut expected = Vec::new();
                    for (_, run, logged) in waiting[place].drain(..) {
                        // One that was not logged may fail, or be carried by a later one.
                        if more.contains(&run.from) || (logged && run.to <= last) {
                            expected.extend(run.from..=run.to);
                        }
                    }
                    assert_eq!(more, expected, "a prefix of what was submitted");
                    promised.extend(more);
                    for hole in lost {
                        assert!(promised.iter().all(|o| !(hole.from..=hole.to).contains(o)));
                    }
                }
            }
        }
        for completion in drain(&mut memory, at) {
            trace.push(format!("{:?} {completion:?}", at.mono - start));
            let (id, best) = match completion {
                Completion::Stored { ticket, level } => (ticket.0, Some(level)),
                Completion::Failed { ticket, error } => {
                    assert_eq!(error, Error::Storage);
                    (ticket.0, None)
                }
                other => panic!("{other:?}"),
            };
            let place = waiting.iter().position(|w| w.iter().any(|(t, ..)| *t == id));
            let place = place.expect("a ticket completes once");
            if best == Some(AckLevel::Logged) {
                let entry = waiting[place].iter_mut().find(|(t, ..)| *t == id);
                entry.expect("there").2 = true;
                continue;
            }
            let (first, run, logged) = waiting[place].pop_front().expect("there");
            assert_eq!(first, id, "in the order of submission");
            if best.is_some() {
                assert!(logged);
                synced[place].extend(run.from..=run.to);
            }
        }
    }
    assert!(waiting.iter().all(std::collections::VecDeque::is_empty), "all completed");
    for place in 1..4u64 {
        let index = usize::try_from(place).expect("small");
        assert_eq!(read(&mut memory, at, place, Start::Offset(1)).3, synced[index]);
    }
    assert_eq!(memory.pending_bytes, 0);
    trace
}

proptest! {
    #[test]
    fn a_crash_takes_only_what_was_not_synced_and_a_seed_repeats(seed: u64, steps in steps()) {
        prop_assert_eq!(play(seed, &steps), play(seed, &steps));
    }
}

#[test]
fn what_an_earlier_process_stored_is_read_under_the_id_of_this_one() {
    let (mut memory, now) = (memory(disk(1), Retention::DEFAULT), now());
    memory.submit(now, append(1, 1, &[1, 200])).expect("room");
    let (now, _) = settle(&mut memory, now);
    memory.crash();
    memory.recover();
    let request = Request::Open { ticket: Ticket(0), topic_id: 9, topic: topic(1) };
    memory.submit(now, request).expect("room");
    let (ticket, from) = (Ticket(1), Start::Offset(1));
    let (max_bytes, max_count) = (usize::MAX, u32::MAX);
    let request = Request::Read { ticket, topic_id: 9, from, max_bytes, max_count };
    memory.submit(now, request).expect("room");
    let (_, completions) = settle(&mut memory, now);
    let runs = completions.iter().find_map(|completion| match completion {
        Completion::Page { runs, .. } => Some(runs),
        _ => None,
    });
    let frames: Vec<_> = runs.expect("a page").iter().flat_map(|run| run.frames()).collect();
    assert_eq!(frames.len(), 2);
    assert!(frames.iter().all(|frame| frame.head[8..16] == 9_u64.to_le_bytes()));
}
