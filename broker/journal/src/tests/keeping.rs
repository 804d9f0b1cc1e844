//! Retention, cleaning, and what they must leave alone.

use sampan_tests::chance::Chance;

use super::*;

fn fill(place: &Place, log: &mut Log<Faulty>, name: &str, offsets: std::ops::RangeInclusive<u64>) {
    for from in offsets {
        place.store(log, &[append(name, from, &[900])]);
    }
}

fn maintain(place: &Place, log: &mut Log<Faulty>) -> Vec<(Topic, u64)> {
    log.writer.maintain(place.now).expect("space")
}

fn files(place: &Place, ending: &str) -> usize {
    let files = place.disk.list().expect("listed");
    files.iter().filter(|file| file.ends_with(ending)).count()
}

#[test]
fn a_count_moves_the_floor_and_whole_segments_go() {
    let mut place = Place::keeping(Retention { count: Some(100), ..Retention::DEFAULT });
    place.options.tail_bytes = 0;
    let mut log = place.open();
    place.store(&mut log, &[put("kept", Some("value"))]);
    for from in (1..1000).step_by(10) {
        fill(&place, &mut log, "a", from..=from + 9);
        maintain(&place, &mut log);
    }
    let page = read(&log, "a", Start::Offset(0));
    assert!((830..=901).contains(&page.floor), "{}", page.floor);
    assert_eq!(offsets(&page), (page.floor..=1000).collect::<Vec<_>>());
    assert!(log.reader.stats().segments <= 6, "{:?}", log.reader.stats());
    assert!(files(&place, "old") <= 2 && files(&place, "seg") <= 7);
    assert_eq!(load(&log, ""), [("kept".to_owned(), "value".to_owned())]);
    drop(log);
    let log = place.open();
    assert_eq!(log.opening.damaged, []);
    assert_eq!(read(&log, "a", Start::Offset(0)), page);
    assert_eq!(load(&log, ""), [("kept".to_owned(), "value".to_owned())]);
}

#[test]
fn age_is_time_that_the_log_was_open_whatever_the_wall_clock_says() {
    let age = Duration::from_secs(100);
    let mut place = Place::keeping(Retention { age, ..Retention::DEFAULT });
    let mut log = place.open();
    fill(&place, &mut log, "a", 1..=10);
    place.now.unix_ms += 24 * 3600 * 1000;
    assert_eq!(maintain(&place, &mut log), []);
    place.pass(Duration::from_secs(60));
    fill(&place, &mut log, "a", 11..=20);
    place.now.unix_ms = 5;
    drop(log);
    place.pass(Duration::from_secs(1000));
    let mut log = place.open();
    assert_eq!(maintain(&place, &mut log), [], "time while it was closed does not count");
    place.pass(Duration::from_secs(39));
    assert_eq!(maintain(&place, &mut log), []);
    place.pass(Duration::from_secs(62));
    assert_eq!(maintain(&place, &mut log), [(topic("a"), 21)]);
    let page = read(&log, "a", Start::Offset(0));
    assert_eq!((page.floor, page.next, page.runs), (21, 21, vec![]));
}

#[test]
fn bytes_are_kept_per_pattern_and_the_oldest_go_whatever_their_topic() {
    let mut place = Place::keeping(Retention { bytes: 200_000, ..Retention::DEFAULT });
    let mut log = place.open();
    fill(&place, &mut log, "old", 1..=150);
    place.pass(Duration::from_secs(1));
    fill(&place, &mut log, "new", 1..=150);
    let floors = maintain(&place, &mut log);
    let floor = floors.iter().find(|(name, _)| *name == topic("old")).expect("moved").1;
    assert!((60..=150).contains(&floor), "{floor}");
    assert_eq!(read(&log, "new", Start::Offset(0)).floor, 1);
}

#[test]
fn a_pin_keeps_what_the_floor_has_passed_until_it_is_released() {
    let mut place = Place::keeping(Retention { count: Some(10), ..Retention::DEFAULT });
    place.options.tail_bytes = 0;
    let mut log = place.open();
    let pin = |offset| Write::Pin { topic: topic("a"), name: Arc::from("g"), offset };
    fill(&place, &mut log, "a", 1..=5);
    place.store(&mut log, &[pin(Some(3))]);
    fill(&place, &mut log, "a", 6..=400);
    for _ in 0..20 {
        maintain(&place, &mut log);
    }
    drop(log);
    let mut log = place.open();
    let page = read(&log, "a", Start::Offset(0));
    assert_eq!((page.from, offsets(&page)[0], offsets(&page).len()), (3, 3, 398));
    assert!(page.floor > 300);
    assert_eq!(read(&log, "a", Start::Last(1000)).from, page.floor);
    let before = log.reader.stats().segments;
    place.store(&mut log, &[pin(None)]);
    for _ in 0..20 {
        maintain(&place, &mut log);
    }
    assert!(log.reader.stats().segments < before);
    assert_eq!(read(&log, "a", Start::Offset(0)).from, page.floor);
}

#[test]
fn what_little_is_needed_of_a_segment_is_copied_and_reads_on() {
    let mut place = Place::new();
    place.options.tail_bytes = 0;
    let place = Place {
        options: Options {
            classes: Arc::new(Table::new(vec![Rule {
                retention: Retention { count: Some(1), ..Retention::DEFAULT },
                ..Rule::new(Pattern::parse("gone.>").expect("one"), Class::Durable)
            }])),
            ..place.options.clone()
        },
        ..place
    };
    let mut log = place.open();
    for at in 1..=500 {
        place.store(&mut log, &[append("gone.a", at, &[900])]);
        if at % 40 == 0 {
            place.store(&mut log, &[append("kept", at, &[100]), put(&format!("k{at}"), Some("v"))]);
        }
        maintain(&place, &mut log);
    }
    place.store(&mut log, &[put("k40", None)]);
    let expected: Vec<u64> = (1..=12).map(|n| n * 40).collect();
    assert_eq!(offsets(&read(&log, "kept", Start::Offset(0))), expected);
    assert!(log.reader.stats().segments <= 4, "{:?}", log.reader.stats());
    for _ in 0..3 {
        drop(log);
        log = place.open();
        assert_eq!(log.opening.damaged, []);
        assert_eq!(offsets(&read(&log, "kept", Start::Offset(0))), expected);
        assert_eq!(load(&log, "k").len(), 11);
        assert_eq!(log.reader.standing(&topic("kept"), place.now).expect("known").seen.len(), 12);
        maintain(&place, &mut log);
    }
    let reused = log.writer.write(place.now, &[append("gone.a", 500, &[1])]);
    assert_eq!(reused, [Err(Error::OffsetReused)]);
}

#[test]
fn what_was_said_of_replaced_values_outlives_their_segments_for_the_window_and_not_longer() {
    let mut place = Place::new();
    let mut log = place.open();
    for at in 1..=250 {
        place.store(&mut log, &[kept("latest.x", &["a"], run(at, &[900]))]);
        place.pass(Duration::from_secs(1));
        maintain(&place, &mut log);
    }
    assert!(log.reader.stats().segments <= 4, "{:?}", log.reader.stats());
    drop(log);
    let mut log = place.open();
    let seen = |place: &Place, log: &Log<Faulty>| {
        let standing = log.reader.standing(&topic("latest.x"), place.now).expect("known");
        assert_eq!((standing.floor, standing.next, standing.lost), (1, 251, vec![]));
        standing.seen.iter().map(|seen| seen.sent.offset).collect::<Vec<_>>()
    };
    assert_eq!(seen(&place, &log), (1..=250).collect::<Vec<_>>());
    assert_eq!(offsets(&read(&log, "latest.x", Start::Offset(0))), [250]);
    place.pass(Duration::from_secs(200));
    assert_eq!(seen(&place, &log), (150..=250).collect::<Vec<_>>());
    place.pass(Duration::from_secs(200));
    fill(&place, &mut log, "other", 1..=100);
    (0..5).for_each(|_| assert_eq!(maintain(&place, &mut log), []));
    assert!(seen(&place, &log).is_empty());
    assert!(log.reader.stats().segments <= 4, "{:?}", log.reader.stats());
    drop(log);
    assert_eq!(place.open().opening.damaged, []);
}

#[test]
fn a_log_that_is_opened_often_stays_small() {
    let place = Place::new();
    for at in 1..=40 {
        let mut log = place.open();
        place.store(&mut log, &[append("a", at, &[10]), put("k", Some("v"))]);
        for _ in 0..3 {
            maintain(&place, &mut log);
        }
        assert_eq!(log.opening.damaged, []);
    }
    let log = place.open();
    assert_eq!(offsets(&read(&log, "a", Start::Offset(0))), (1..=40).collect::<Vec<_>>());
    assert!(log.reader.stats().segments < 6, "{:?}", log.reader.stats());
}

#[test]
fn what_a_round_knows_without_looking_is_what_a_look_at_everything_would_find() {
    let hour = Duration::from_secs(3600);
    for (seed, bytes) in [(1, u64::MAX), (2, 60_000), (3, 20_000)] {
        let retention = Retention { age: hour, bytes, count: Some(40) };
        let mut place = Place::keeping(retention);
        let (mut chance, mut log) = (Chance::of(seed, "rounds", 0), place.open());
        let mut next = [1; 12];
        for round in 0..200 {
            let at = usize::try_from(chance.below(12)).expect("small");
            let size = usize::try_from(chance.below(3000)).expect("small");
            let offset = next[at];
            next[at] += 1;
            let write = match at {
                10.. => kept(&format!("latest.{at}"), &["key"], run(offset, &[size])),
                _ => append(&format!("t.{at}"), offset, &[size]),
            };
            place.store(&mut log, &[write]);
            if chance.below(10) == 0 {
                let offset = (chance.below(2) == 0).then_some(1 + chance.below(offset));
                let topic = topic(&format!("t.{}", at % 10));
                place.store(&mut log, &[Write::Pin { topic, name: "g".into(), offset }]);
            }
            place.pass(Duration::from_secs(chance.below(300)));
            if chance.below(3) == 0 {
                maintain(&place, &mut log);
                assert!(log.keeper.is_known(place.now), "seed {seed}, round {round}");
            }
            if chance.below(40) == 0 {
                place.close(log);
                log = place.open();
            }
        }
    }
}
