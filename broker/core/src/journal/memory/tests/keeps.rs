//! What a memory journal keeps beside plain runs: values, pins, publishes, and what damage leaves.

use bytes::Bytes;

use super::*;
use crate::dedupe::Dedupe;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(ticket: u64, values: &[(&'static str, Option<&'static str>)]) -> Request {
    let values = values.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect();
    Request::Put { ticket: Ticket(ticket), values }
}

fn load(
    memory: &mut Memory,
    now: Now,
    prefix: &'static str,
    after: Option<&'static str>,
    max_bytes: usize,
) -> (Vec<String>, bool) {
    let (prefix, after) = (bytes(prefix), after.map(bytes));
    let request = Request::Load { ticket: Ticket(0), prefix, after, max_bytes };
    memory.submit(now, request).expect("room");
    match settle(memory, now).1.pop() {
        Some(Completion::Values { values, more, .. }) => {
            let text = |(key, value): &(Bytes, Bytes)| {
                format!("{}={}", key.escape_ascii(), value.escape_ascii())
            };
            (values.iter().map(text).collect(), more)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_newest_value_of_a_key_is_loaded_by_prefix_and_in_pages() {
    let (mut memory, now) = (memory(Config::default(), Retention::DEFAULT), now());
    let first = put(1, &[("a/1", Some("x")), ("a/2", Some("y")), ("b", Some("z"))]);
    memory.submit(now, first).expect("room");
    let second = put(2, &[("a/2", Some("w")), ("a/3", Some("v")), ("a/1", None)]);
    memory.submit(now, second).expect("room");
    let stored = |n| Completion::Stored { ticket: Ticket(n), level: AckLevel::Routed };
    assert_eq!(drain(&mut memory, now), [stored(1), stored(2)]);
    let mut page = |after, max_bytes| load(&mut memory, now, "a/", after, max_bytes);
    assert_eq!(page(None, 1000), (vec!["a/2=w".into(), "a/3=v".into()], false));
    assert_eq!(page(None, 1), (vec!["a/2=w".into()], true));
    assert_eq!(page(Some("a/2"), 1), (vec!["a/3=v".into()], false));
    assert_eq!(page(Some("a/3"), 1), (vec![], false));
}

#[test]
fn what_cannot_make_room_is_refused() {
    let config = Config { capacity_bytes: 1000, ..Config::default() };
    let (mut memory, now) = (memory(config, Retention::DEFAULT), now());
    let request = Request::Open { ticket: Ticket(0), topic_id: 1, topic: topic(1) };
    memory.submit(now, request).expect("room");
    let pin = |offset| Request::Pin { topic_id: 1, name: Arc::from("group"), offset };
    memory.submit(now, pin(Some(1))).expect("room");
    memory.submit(now, append(1, 1, &[500])).expect("room");
    drain(&mut memory, now);
    let full = Err(Refused::Full { retry_after: NO_ROOM });
    assert_eq!(memory.submit(now, append(1, 2, &[500])), full);
    memory.submit(now, pin(None)).expect("room");
    memory.submit(now, append(1, 2, &[500])).expect("room");
    drain(&mut memory, now);
    assert_eq!(read(&mut memory, now, 1, Start::Offset(1)), (2, 2, 3, vec![2]));
    assert!(memory.bytes() <= 1000);
}

#[test]
fn a_pin_keeps_what_the_floor_has_passed() {
    let retention = Retention { count: Some(2), ..Retention::DEFAULT };
    let (mut memory, now) = (memory(Config::default(), retention), now());
    let pin = |name: &str, offset| Request::Pin { topic_id: 1, name: Arc::from(name), offset };
    for from in 1..=6 {
        memory.submit(now, append(1, from, &[1])).expect("room");
        memory.submit(now, pin("a", Some(3))).expect("room");
        memory.submit(now, pin("b", Some(4))).expect("room");
        drain(&mut memory, now);
    }
    let mut from = |start| read(&mut memory, now, 1, start);
    assert_eq!(from(Start::Offset(1)), (5, 3, 7, vec![3, 4, 5, 6]));
    assert_eq!(from(Start::Last(9)), (5, 5, 7, vec![5, 6]));
    assert_eq!(from(Start::Since(0)), (5, 5, 7, vec![5, 6]));
    let mut after = |request| {
        memory.submit(now, request).expect("room");
        read(&mut memory, now, 1, Start::Offset(1)).3
    };
    assert_eq!(after(pin("a", None)), [4, 5, 6]);
    assert_eq!(after(pin("b", Some(6))), [5, 6]);
}

#[test]
fn a_newer_message_of_a_key_replaces_the_older_one_in_reads() {
    let retention = Retention { count: Some(1), ..Retention::DEFAULT };
    let (mut memory, now) = (memory(Config::default(), retention), now());
    let mut publish = |from, keys: &[&str]| {
        let Request::Append { ticket, topic_id, topic, epoch, run, early, .. } =
            append(1, from, &vec![1; keys.len()])
        else {
            panic!("an append");
        };
        let replaces = keys.iter().map(|key| Arc::from(*key)).collect();
        let request = Request::Append { ticket, topic_id, topic, epoch, run, early, replaces };
        memory.submit(now, request).expect("room");
        drain(&mut memory, now);
    };
    publish(1, &["a", "b", "a"]);
    publish(4, &["c", "b"]);
    assert_eq!(read(&mut memory, now, 1, Start::Offset(1)), (1, 1, 6, vec![3, 4, 5]));
    assert_eq!(read(&mut memory, now, 1, Start::Last(2)), (1, 4, 6, vec![4, 5]));
    assert_eq!(read(&mut memory, now, 1, Start::Since(1041)), (1, 5, 6, vec![5]));
    let few = Request::Read {
        ticket: Ticket(0),
        topic_id: 1,
        from: Start::Offset(1),
        max_bytes: 1,
        max_count: 9,
    };
    memory.submit(now, few).expect("room");
    let page = settle(&mut memory, now).1.pop();
    assert!(matches!(page, Some(Completion::Page { runs, .. }) if runs.len() == 1));
}

#[test]
fn an_early_append_is_told_that_it_may_be_shown_before_it_is_stored() {
    let (mut memory, now) = (memory(disk(1), Retention::DEFAULT), now());
    let Request::Append { ticket, topic_id, topic, epoch, run, replaces, .. } = append(1, 1, &[1])
    else {
        panic!("an append");
    };
    let request = Request::Append { ticket, topic_id, topic, epoch, run, replaces, early: true };
    memory.submit(now, request).expect("room");
    let stored = |level| Completion::Stored { ticket: Ticket(1), level };
    assert_eq!(drain(&mut memory, now), [stored(AckLevel::Routed)]);
    let rest = [stored(AckLevel::Logged), stored(AckLevel::Synced)];
    assert_eq!(settle(&mut memory, now).1, rest);
}

#[test]
fn publishes_are_told_after_a_crash_within_the_window() {
    let (mut memory, start) = (memory(disk(1), Retention::DEFAULT), now());
    let name = |from: u64| {
        let mut run = (*run(from, &[1, 1])).clone();
        run.sent = vec![Sent { producer: 9, sequence: 10 + from, offset: from, count: 2 }];
        run.keys = vec![(from + 1, Arc::from("order-1"))];
        Arc::new(run)
    };
    let (second, mut at, mut stored) = (Duration::from_secs(1), start, Vec::new());
    for (from, pause) in [(1, second * 2), (3, Dedupe::WINDOW - second), (5, second)] {
        memory.submit(at, append_run(Ticket(from), 1, 1, name(from))).expect("room");
        at = settle(&mut memory, at).0;
        stored.push(at.mono);
        at = at.after(pause);
    }
    // The wall clock says nothing about age.
    at.unix_ms += 1_000_000_000;
    memory.crash();
    memory.recover();
    let request = Request::Open { ticket: Ticket(0), topic_id: 1, topic: topic(1) };
    memory.submit(at, request).expect("room");
    let (at, mut opened) = settle(&mut memory, at);
    let Some(Completion::Opened { seen, keys, .. }) = opened.pop() else { panic!("opened") };
    let ages = [1, 2].map(|index: usize| at.mono - stored[index]);
    let offsets: Vec<_> = seen.iter().map(|seen| (seen.sent.offset, seen.age)).collect();
    assert_eq!(offsets, [(3, ages[0]), (5, ages[1])]);
    let offsets: Vec<_> = keys.iter().map(|key| (key.offset, key.age)).collect();
    assert_eq!(offsets, [(4, ages[0]), (6, ages[1])]);
}

#[test]
fn damage_is_told_by_reads() {
    let (mut memory, now) = (memory(Config::default(), Retention::DEFAULT), now());
    for from in [1, 3, 5] {
        memory.submit(now, append(1, from, &[1, 1])).expect("room");
        drain(&mut memory, now);
    }
    memory.damage(&topic(1), Hole { from: 4, to: 4 });
    assert_eq!(read(&mut memory, now, 1, Start::Offset(2)), (1, 2, 7, vec![2, 5, 6]));
    let (ticket, max_bytes) = (Ticket(0), usize::MAX);
    let mut damaged = |from, max_count| {
        let from = Start::Offset(from);
        memory
            .submit(now, Request::Read { ticket, topic_id: 1, from, max_bytes, max_count })
            .expect("room");
        match settle(&mut memory, now).1.pop() {
            Some(Completion::Page { damaged, .. }) => damaged,
            other => panic!("{other:?}"),
        }
    };
    let hole = Hole { from: 3, to: 4 };
    assert_eq!((damaged(1, 9), damaged(3, 1), damaged(4, 9)), (vec![hole], vec![hole], vec![hole]));
    assert_eq!((damaged(1, 1), damaged(5, 9)), (vec![], vec![]));
}

#[test]
fn a_crash_keeps_a_prefix_of_appends_and_puts_together() {
    let mut kept = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let (mut memory, start) = (memory(disk(seed), Retention::DEFAULT), now());
        let keys = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"];
        for (n, key) in (0..).zip(keys) {
            let (topic_id, from) = (n % 3 + 1, n / 3 + 1);
            let request = append(topic_id, from, &[1]);
            memory.submit(start, request).expect("room");
            memory.submit(start, put(100 + n, &[(key, Some("v"))])).expect("room");
        }
        let at = start.after(MS * u32::try_from(seed % 40).expect("small"));
        let done = drain(&mut memory, at);
        let synced = done.iter().filter(|completion| {
            matches!(completion, Completion::Stored { level: AckLevel::Synced, .. })
        });
        memory.crash();
        memory.recover();
        let puts = load(&mut memory, at, "k", None, usize::MAX).0.len();
        let mut appends = 0;
        for topic_id in 1..=3 {
            open(&mut memory, at, topic_id);
            appends += read(&mut memory, at, topic_id, Start::Offset(1)).3.len();
        }
        assert!(appends == puts || appends == puts + 1, "{appends} appends, {puts} puts");
        let all = load(&mut memory, at, "k", None, usize::MAX).0;
        assert!(all.iter().zip(keys).all(|(kept, key)| kept.starts_with(key)), "a prefix: {all:?}");
        assert!(synced.count() <= appends + puts);
        kept.insert(appends + puts);
    }
    assert!(kept.len() > 8, "at many places: {kept:?}");
}
