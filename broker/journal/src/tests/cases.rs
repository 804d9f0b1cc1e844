//! Writing, reading and opening again.

use super::*;

#[test]
fn what_is_synced_is_read_and_what_is_only_written_is_not() {
    let place = Place::new();
    let mut log = place.open();
    place.store(&mut log, &[append("a", 1, &[10, 20])]);
    let written = log.writer.write(place.now, &[append("a", 3, &[10]), append("b", 1, &[5])]);
    assert_eq!(written, [Ok(Written { shown: false }); 2]);
    assert_eq!(offsets(&read(&log, "a", Start::Offset(0))), [1, 2]);
    assert_eq!(log.reader.standing(&topic("a"), place.now).expect("known").next, 3);
    log.writer.sync().expect("synced");
    let page = read(&log, "a", Start::Offset(0));
    assert_eq!((offsets(&page), page.floor, page.from, page.next), (vec![1, 2, 3], 1, 1, 4));
    for frame in page.runs.iter().flat_map(|run| run.frames()) {
        assert_eq!(frame.head[8..16], 33_u64.to_le_bytes());
    }
    assert_eq!(log.reader.topics(), [topic("a"), topic("b")]);
}

#[test]
fn a_log_that_is_opened_again_has_everything_that_was_synced() {
    for (tail_bytes, close) in [(0, false), (0, true), (1 << 20, false), (1 << 20, true)] {
        let mut place = Place::new();
        place.options.tail_bytes = tail_bytes;
        let mut log = place.open();
        assert!(log.opening.clean);
        for from in (1..600).step_by(3) {
            place.store(
                &mut log,
                &[append("a", from, &[100, 200, 900]), append("b", from, &[50, 60, 70])],
            );
        }
        let before = read(&log, "a", Start::Offset(0));
        assert!(log.reader.stats().segments > 2, "it has rolled");
        if close {
            place.close(log);
        } else {
            drop(log);
        }
        let mut log = place.open();
        let opening = log.opening.clone();
        assert_eq!((opening.clean, opening.damaged, opening.lost), (close, vec![], vec![]));
        let after = read(&log, "a", Start::Offset(0));
        assert_eq!((after.from, after.next), (before.from, before.next));
        let frames = |page: &Page| {
            page.runs
                .iter()
                .flat_map(|run| run.frames().collect::<Vec<_>>())
                .map(|f| {
                    let mut bytes = f.head.to_vec();
                    bytes.extend(f.body.unwrap_or_default());
                    bytes
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(frames(&after), frames(&before));
        assert_eq!(offsets(&read(&log, "b", Start::Offset(595))), (595..=600).collect::<Vec<_>>());
        assert_eq!(offsets(&read(&log, "b", Start::Last(4))), [597, 598, 599, 600]);
        let since = read(&log, "b", Start::Since(START_MS + 590));
        assert_eq!((since.from, offsets(&since)), (590, (590..=600).collect::<Vec<_>>()));
        let reused = log.writer.write(place.now, &[append("a", 600, &[1])]);
        assert_eq!(reused, [Err(Error::OffsetReused)]);
        place.store(&mut log, &[append("a", 601, &[1])]);
        assert_eq!(offsets(&read(&log, "a", Start::Offset(600))), [600, 601]);
    }
}

#[test]
fn values_are_the_newest_and_removed_keys_stay_removed() {
    let place = Place::new();
    let mut log = place.open();
    place.store(&mut log, &[put("g.a", Some("1")), put("g.b", Some("2")), put("h", Some("3"))]);
    place.store(&mut log, &[put("g.a", Some("4")), put("g.b", None)]);
    let expected = vec![("g.a".to_owned(), "4".to_owned())];
    assert_eq!(load(&log, "g."), expected);
    drop(log);
    let log = place.open();
    assert_eq!(load(&log, "g."), expected);
    assert_eq!(load(&log, "").len(), 2);
    let (first, more) = log.reader.load(b"", None, 1).expect("loaded");
    assert_eq!((&first[0].0[..], more), (&b"g.a"[..], true));
    let (second, more) = log.reader.load(b"", Some(b"g.a"), 1).expect("loaded");
    assert_eq!((&second[0].0[..], more), (&b"h"[..], false));
}

#[test]
fn a_topic_of_kept_values_gives_the_newest_message_of_each_key() {
    let place = Place::new();
    let keyed = |from, sizes: &[usize], keys: &[&str]| match kept("x", keys, run(from, sizes)) {
        Write::Append { epoch, run, replaces, .. } => {
            Write::Append { topic: topic("latest.x"), epoch, run, replaces, early: true }
        }
        other => other,
    };
    let mut log = place.open();
    place.store(&mut log, &[keyed(1, &[10, 20, 30], &["a", "b", "a"]), keyed(4, &[5], &["c"])]);
    assert_eq!(offsets(&read(&log, "latest.x", Start::Offset(0))), [2, 3, 4]);
    place.close(log);
    let mut log = place.open();
    assert_eq!(offsets(&read(&log, "latest.x", Start::Offset(3))), [3, 4]);
    assert_eq!(offsets(&read(&log, "latest.x", Start::Last(1))), [4]);
    place.store(&mut log, &[keyed(5, &[1], &["b"])]);
    let page = read(&log, "latest.x", Start::Offset(0));
    assert_eq!((offsets(&page), page.next), (vec![3, 4, 5], 6));
}

#[test]
fn offsets_that_were_shown_early_are_never_given_again() {
    let place = Place::new();
    let early = |from, sizes: &[usize]| match append("a", from, sizes) {
        Write::Append { topic, epoch, run, replaces, .. } => {
            Write::Append { topic, epoch, run, replaces, early: true }
        }
        other => other,
    };
    let mut log = place.open();
    let first = log.writer.write(place.now, &[early(1, &[1])]);
    assert_eq!(first, [Ok(Written { shown: false })], "no reservation is synced");
    log.writer.sync().expect("synced");
    let second = log.writer.write(place.now, &[early(2, &[1])]);
    assert_eq!(second, [Ok(Written { shown: true })]);
    drop(log);
    let mut log = place.open();
    let page = read(&log, "a", Start::Offset(0));
    let kept = offsets(&page);
    let stored = *kept.last().expect("the first");
    let lost = Hole { from: stored + 1, to: 65_537 };
    assert_eq!(log.opening.lost, [(topic("a"), lost)]);
    let standing = log.reader.standing(&topic("a"), place.now).expect("known");
    assert_eq!((standing.next, standing.epoch, standing.lost), (65_538, 1, vec![lost]));
    place.store(&mut log, &[early(65_538, &[1])]);
    place.close(log);
    let log = place.open();
    assert!(log.opening.clean);
    assert_eq!(log.reader.standing(&topic("a"), place.now).expect("known").next, 65_539);
}

#[test]
fn publishes_of_the_window_are_known_after_opening_again() {
    let mut place = Place::new();
    let mut log = place.open();
    for from in (1..300).step_by(2) {
        place.store(&mut log, &[append("a", from, &[900, 900])]);
        place.pass(Duration::from_secs(1));
    }
    drop(log);
    let log = place.open();
    let standing = log.reader.standing(&topic("a"), place.now).expect("known");
    let first = standing.seen.first().expect("seen");
    let Sent { producer, sequence, offset, .. } = first.sent;
    assert_eq!((producer, sequence, offset), (5, 101, 1));
    // Time in which the log was closed, or not written to at its end, does not count.
    assert_eq!(first.age, Duration::from_secs(149));
    assert_eq!(standing.seen.iter().map(|seen| seen.sent.count).sum::<u64>(), 300);
    place.now.unix_ms += 24 * 3600 * 1000;
    assert_eq!(log.reader.standing(&topic("a"), place.now).expect("known"), standing);
    place.pass(Duration::from_secs(250));
    let standing = log.reader.standing(&topic("a"), place.now).expect("known");
    let ages: Vec<u64> = standing.seen.iter().map(|seen| seen.age.as_secs()).collect();
    assert_eq!(ages, (250..=300).rev().collect::<Vec<_>>());
}

#[test]
fn publishes_of_values_are_known_too_also_of_those_that_were_replaced() {
    let place = Place::new();
    let mut log = place.open();
    for from in 1..=50 {
        let mut named = (*run(from, &[10])).clone();
        named.keys = vec![(from, Arc::from(format!("once-{from}")))];
        place.store(&mut log, &[kept("latest.x", &["a"], Arc::new(named))]);
    }
    let mut plain = (*run(51, &[10])).clone();
    plain.sent.clear();
    place.store(&mut log, &[kept("latest.x", &["a"], Arc::new(plain))]);
    let check = |log: Log<Faulty>| {
        let standing = log.reader.standing(&topic("latest.x"), place.now).expect("known");
        let seen: Vec<u64> = standing.seen.iter().map(|seen| seen.sent.sequence).collect();
        assert_eq!(seen, (101..=150).collect::<Vec<_>>());
        let keys = standing.keys.iter().map(|seen| (seen.offset, seen.key.to_string()));
        assert!(keys.eq((1..=50).map(|at| (at, format!("once-{at}")))));
        assert_eq!((standing.next, standing.lost), (52, vec![]));
        assert_eq!(offsets(&read(&log, "latest.x", Start::Offset(0))), [51]);
        assert_eq!(log.opening.damaged, []);
        log
    };
    drop(log);
    let log = check(place.open());
    place.close(log);
    check(place.open());
}

#[test]
fn a_write_that_cannot_be_is_refused_alone() {
    let place = Place::new();
    let mut log = place.open();
    place.store(&mut log, &[append("a", 1, &[1])]);
    let wrong = match append("a", 2, &[1]) {
        Write::Append { topic, run, early, replaces, .. } => {
            Write::Append { topic, epoch: 2, run, early, replaces }
        }
        other => other,
    };
    let large = append("b", 1, &[70_000]);
    let writes = [wrong, large, append("a", 1, &[1]), append("a", 2, &[1])];
    let answers = log.writer.write(place.now, &writes);
    let errors = [Error::WrongEpoch, Error::TooLarge, Error::OffsetReused].map(Err);
    assert_eq!((&answers[..3], answers[3].is_ok()), (&errors[..], true));
}

#[test]
fn a_checkpoint_is_taken_if_it_fits_and_left_aside_if_not() {
    let place = Place::new();
    let open = |known: &Checkpoint| {
        Log::open_from(place.disk.clone(), place.options.clone(), place.now, known).expect("opens")
    };
    let mut log = place.open();
    place.store(&mut log, &[put("a", Some("1")), put("b", Some("2")), append("t", 1, &[1])]);
    let whole = log.reader.checkpoint();
    place.store(&mut log, &[put("a", Some("3")), put("b", None)]);
    let changed = log.reader.checkpoint();
    assert_eq!(changed.values.len(), 2);
    assert_eq!(changed.through, whole.through + 1);
    assert_eq!(log.reader.checkpoint().values, []);
    drop(log);
    let expected = [("a".to_owned(), "3".to_owned())];
    let ahead = Checkpoint { through: 1000, ..whole.clone() };
    let mut other = whole.clone();
    other.values.iter_mut().flat_map(|(_, value)| value).for_each(|value| value.segment += 50);
    for (known, is_taken) in [(whole, true), (ahead, false), (other, false)] {
        let log = open(&known);
        assert_eq!((log.opening.known, log.opening.damaged.len()), (is_taken, 0));
        assert_eq!(load(&log, ""), expected);
        assert_eq!(offsets(&read(&log, "t", Start::Offset(0))), [1]);
    }
}
