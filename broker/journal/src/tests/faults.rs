//! Damage, errors of the disk, and no space.

use std::io::ErrorKind;

use super::*;
use crate::storage::faulty::{Fault, Kind};
use crate::{Damage, inspect, repair, verify};

/// A log of several segments with one message per block, and without memory of them.
fn filled() -> Place {
    let mut place = Place::new();
    place.options.tail_bytes = 0;
    let mut log = place.open();
    for at in 1..=300 {
        place.store(
            &mut log,
            &[append("a", at, &[900]), put(&format!("k{:03}", at % 100), Some("v"))],
        );
    }
    log.writer.maintain(place.now).expect("space");
    place
}

fn segments(place: &Place) -> Vec<String> {
    let mut names = place.disk.list().expect("listed");
    names.retain(|name| name.ends_with(".seg"));
    names.sort();
    names
}

fn rot(place: &Place, file: &str, at: usize) {
    place.disk.rot(file, |bytes| bytes[at] ^= 1);
}

/// Everything but the holes that are told, in order.
fn check(page: &Page) {
    let mut expected: Vec<u64> = (1..=300).collect();
    expected.retain(|at| !page.damaged.iter().any(|hole| (hole.from..=hole.to).contains(at)));
    assert_eq!(offsets(page), expected);
}

#[test]
fn rot_that_is_met_by_a_read_is_told_as_a_hole_and_all_else_is_read() {
    let place = filled();
    let log = place.open();
    rot(&place, &segments(&place)[1], 20_000);
    let page = read(&log, "a", Start::Offset(0));
    assert_eq!(page.damaged.len(), 1);
    check(&page);
    assert_eq!(log.reader.damaged().len(), 1);
    assert_eq!(log.reader.standing(&topic("a"), place.now).expect("known").lost, page.damaged);
    assert_eq!(read(&log, "a", Start::Offset(0)), page);
    assert_eq!(offsets(&read(&log, "a", Start::Last(2))), [299, 300]);
}

#[test]
fn rot_in_a_segment_without_index_is_found_at_opening_and_the_epoch_stays_where_the_end_is_known() {
    let place = filled();
    let names = segments(&place);
    rot(&place, &names[1], 20_000);
    place.disk.remove(&names[1].replace(".seg", ".idx")).expect("there");
    let mut log = place.open();
    assert_eq!(log.opening.damaged.len(), 1, "{:?}", log.opening.damaged);
    let page = read(&log, "a", Start::Offset(0));
    assert_eq!(page.damaged.iter().map(|hole| hole.to - hole.from + 1).sum::<u64>(), 1);
    check(&page);
    assert_eq!(log.reader.standing(&topic("a"), place.now).expect("known").epoch, 1);
    assert!(log.reader.standing(&topic("new"), place.now).expect("known").epoch > 300);
    for _ in 0..30 {
        log.writer.maintain(place.now).expect("space");
    }
    assert!(segments(&place).contains(&names[1]), "what is damaged stays");
}

#[test]
fn a_missing_segment_is_told_and_its_offsets_are_a_hole() {
    let place = filled();
    let names = segments(&place);
    for name in [names[1].clone(), names[1].replace(".seg", ".idx")] {
        place.disk.remove(&name).expect("there");
    }
    let log = place.open();
    let missing = Damage { segment: 2, at: 0, bytes: 0, what: "it is missing" };
    assert_eq!(log.opening.damaged, [missing]);
    let page = read(&log, "a", Start::Offset(0));
    assert_eq!(page.damaged.len(), 1);
    check(&page);
}

#[test]
fn a_topic_whose_end_may_be_lost_gets_another_epoch() {
    let mut place = Place::new();
    place.options.tail_bytes = 0;
    let mut log = place.open();
    place.store(&mut log, &[append("quiet", 1, &[10, 10])]);
    for at in 1..=200 {
        place.store(&mut log, &[append("a", at, &[900])]);
    }
    drop(log);
    let first = segments(&place)[0].clone();
    place.disk.remove(&first.replace(".seg", ".idx")).unwrap_or_default();
    rot(&place, &first, 40_000);
    let log = place.open();
    let standing = log.reader.standing(&topic("quiet"), place.now).expect("known");
    assert!(standing.epoch > 1 && standing.next == 3, "{standing:?}");
    assert_eq!(offsets(&read(&log, "quiet", Start::Offset(0))), [1, 2]);
    drop(log);
    assert_eq!(place.open().reader.standing(&topic("a"), place.now).expect("known").epoch, 1);
}

#[test]
fn a_broken_index_is_written_again() {
    let place = filled();
    let index = segments(&place)[0].replace(".seg", ".idx");
    rot(&place, &index, 50);
    assert!(!inspect(&place.disk).expect("a store").segments[0].is_indexed);
    let log = place.open();
    assert_eq!(log.opening.damaged, []);
    check(&read(&log, "a", Start::Offset(0)));
    assert!(inspect(&place.disk).expect("a store").segments[0].is_indexed);
}

#[test]
fn repair_copies_what_is_valid_and_moves_the_rest_aside() {
    for indexed in [true, false] {
        let place = filled();
        let names = segments(&place);
        assert_eq!(verify(&place.disk).expect("a store").damaged, []);
        rot(&place, &names[1], 20_000);
        if !indexed {
            place.disk.remove(&names[1].replace(".seg", ".idx")).expect("there");
        }
        let report = verify(&place.disk).expect("a store");
        assert_eq!(report.damaged.len(), 1, "{report}");
        let repaired = repair(place.disk.clone(), place.options.clone(), place.now);
        let repaired = repaired.expect("repaired");
        assert_eq!(repaired.moved_aside, [2], "{repaired}");
        assert!(
            place.disk.list().expect("listed").contains(&"0000000000000002.damaged".to_owned())
        );
        assert_eq!(verify(&place.disk).expect("a store").damaged, []);
        let log = place.open();
        assert_eq!((log.opening.damaged.len(), log.opening.clean), (0, true));
        let standing = log.reader.standing(&topic("a"), place.now).expect("known");
        let lost: u64 = standing.lost.iter().map(|hole| hole.to - hole.from + 1).sum();
        assert_eq!((lost, standing.next, standing.epoch), (1, 301, 1));
        assert_eq!(offsets(&read(&log, "a", Start::Offset(0))).len(), 299);
        assert_eq!(load(&log, "k").len(), 100);
    }
}

#[test]
fn an_error_of_the_disk_fences_and_nothing_acknowledged_is_lost() {
    for (on, error) in [
        (Kind::Write, ErrorKind::Other),
        (Kind::Sync, ErrorKind::Other),
        (Kind::Sync, ErrorKind::StorageFull),
    ] {
        let place = Place::new();
        let mut log = place.open();
        place.store(&mut log, &[append("a", 1, &[10])]);
        place.disk.fail(Fault { on, skip: 0, times: 1, error });
        let answer = log.writer.write(place.now, &[append("a", 2, &[10])]);
        let failed = answer[0].is_err() || log.writer.sync().is_err();
        assert!(failed && log.writer.is_fenced());
        assert_eq!(log.writer.write(place.now, &[append("a", 3, &[10])]), [Err(Error::Fenced)]);
        assert_eq!(log.writer.sync(), Err(Error::Fenced));
        assert_eq!(offsets(&read(&log, "a", Start::Offset(0))), [1]);
        drop(log);
        let log = place.open();
        assert_eq!(offsets(&read(&log, "a", Start::Offset(0)))[0], 1);
    }
}

#[test]
fn without_space_messages_are_refused_acks_are_taken_and_it_recovers_by_itself() {
    let mut place = Place::keeping(Retention { count: Some(50), ..Retention::DEFAULT });
    let mut log = place.open();
    place.disk.limit(place.disk.used() + 10_000);
    let mut next = 1;
    let refused = loop {
        place.now = place.now.after(Duration::from_millis(1));
        let answer = log.writer.write(place.now, &[append("a", next, &[900])]).remove(0);
        log.writer.sync().expect("no error");
        match answer {
            Ok(_) => next += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((refused, log.writer.is_fenced()), (Error::Full, false));
    for at in 0..100 {
        place.store(&mut log, &[put(&format!("k{at}"), Some("ack"))]);
        let refused = log.writer.write(place.now, &[append("a", next, &[900])]);
        assert_eq!(refused, [Err(Error::Full)]);
    }
    assert_eq!(offsets(&read(&log, "a", Start::Offset(0))).len() as u64, next - 1);
    place.disk.heal();
    place.pass(Duration::from_secs(2));
    place.store(&mut log, &[append("a", next, &[900])]);
    log.writer.maintain(place.now).expect("space");
    drop(log);
    let log = place.open();
    assert_eq!(load(&log, "k").len(), 100);
    assert_eq!(read(&log, "a", Start::Offset(0)).next, next + 1);
}

#[test]
fn retention_makes_room_on_a_full_disk() {
    let mut place = Place::keeping(Retention { count: Some(10), ..Retention::DEFAULT });
    let mut log = place.open();
    log.writer.maintain(place.now).expect("space");
    place.disk.limit(place.disk.used() + 200_000);
    for at in 1..=2000 {
        place.pass(Duration::from_millis(50));
        place.store(&mut log, &[append("a", at, &[900])]);
        if at % 10 == 0 {
            match log.writer.maintain(place.now) {
                Ok(_) | Err(Error::Full) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(!log.writer.is_fenced());
}

#[test]
fn what_costs_no_space_goes_first_on_a_full_disk() {
    // The index of a segment with messages of many topics has no space either.
    for (topics, indexed) in [(1, u64::MAX), (50, 4)] {
        let mut place = Place::new();
        let retention = Retention { age: Duration::from_secs(10), ..Retention::DEFAULT };
        let pattern = Pattern::parse("gone.>").expect("a pattern");
        let rule = Rule { retention, ..Rule::new(pattern, Class::Durable) };
        place.options.classes = Arc::new(Table::new(vec![rule]));
        let mut log = place.open();
        place.store(&mut log, &[append("kept", 1, &[12_000])]);
        place.disk.limit(place.disk.used() + 400_000);
        let mut next = 0;
        let mut write = |log: &mut Log<Faulty>, place: &mut Place| {
            place.pass(Duration::from_millis(1));
            let (name, offset) = (format!("gone.{}", next % topics), next / topics + 1);
            let answer = log.writer.write(place.now, &[append(&name, offset, &[900])]).remove(0);
            log.writer.sync().expect("no error");
            next += u64::from(answer.is_ok());
            answer.is_ok()
        };
        let maintain = |log: &mut Log<Faulty>, place: &Place| {
            let done = log.writer.maintain(place.now);
            assert!(matches!(done, Ok(_) | Err(Error::Full)), "{done:?}");
        };
        while write(&mut log, &mut place) {
            if log.reader.stats().segments < indexed {
                maintain(&mut log, &place);
            }
        }
        place.disk.limit(place.disk.used());
        assert!(log.reader.stats().segments > 4, "{:?}", log.reader.stats());
        place.pass(Duration::from_secs(20));
        for _ in 0..10 {
            maintain(&mut log, &place);
        }
        assert!(write(&mut log, &mut place), "{:?}", log.reader.stats());
        assert!(log.reader.stats().segments <= 3, "{:?}", log.reader.stats());
        assert_eq!(offsets(&read(&log, "kept", Start::Offset(0))), [1]);
    }
}
