//! Damage outside of the tail: index files, missing segments, bits that flip at rest.

use sampan_journal::storage::Storage;
use sampan_journal::storage::faulty::Faulty;
use sampan_protocol::Topic;
use sampan_tests::chance::Chance;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::rig::{Rig, Told, options, topic};
use crate::scaled;

/// A log of several sealed segments, closed.
fn sealed() -> (Faulty, Told, Vec<Topic>) {
    let mut chance = Chance::new(3);
    let topics: Vec<Topic> = (1..=3).map(topic).collect();
    let mut rig = Rig::new();
    for _ in 0..60 {
        for topic in &topics {
            let bytes = usize::try_from(chance.between(&(33..=600))).expect("small");
            rig.send(topic, 1 + chance.below(3), bytes, false).expect("written");
        }
        rig.put(chance.below(4), 40).expect("written");
        rig.sync().expect("synced");
        rig.maintain().expect("maintained");
    }
    rig.close().expect("closed");
    (rig.storage.kill(), rig.told, topics)
}

fn files(storage: &Faulty, ending: &str) -> Vec<String> {
    let mut names = storage.list().expect("listed");
    names.retain(|name| {
        name.ends_with(ending) && storage.bytes(name).is_some_and(|b| !b.is_empty())
    });
    names.sort();
    names
}

#[test]
fn an_index_that_is_missing_cut_or_changed_is_made_again() {
    let (sealed, told, topics) = sealed();
    let names = files(&sealed, ".idx");
    assert!(names.len() > 3, "{names:?}");
    let proof = Proof::of("index files");
    let try_with = |what: &str, change: &dyn Fn(&Faulty)| {
        let storage = sealed.kill();
        change(&storage);
        let rig = Rig::open(&storage, told.clone(), options());
        let rig = rig.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(rig.opening.damaged.is_empty(), "{what}: {:?}", rig.opening);
        let report = rig.check(&topics, Level::Synced, 1 << 16);
        assert_eq!(report.violations(), 0, "{what}: {report}");
        1
    };
    let limit = usize::try_from(scaled(1 << 20, 150)).expect("small");
    proof.each(names.len() as u64, |number| {
        let number = usize::try_from(number).expect("small");
        let name = &names[number];
        let missing = format!("{name} missing");
        let mut ran = try_with(&missing, &|storage| storage.remove(name).expect("there"));
        let bytes = sealed.bytes(name).expect("there").len();
        let step = (bytes * names.len() / limit).max(1);
        for at in (number % step..bytes).step_by(step) {
            let what = format!("{name} cut at {at}");
            ran += try_with(&what, &|storage| storage.rot(name, |bytes| bytes.truncate(at)));
            for bit in 0..8 {
                let what = format!("{name} byte {at} bit {bit}");
                let flip = |storage: &Faulty| storage.rot(name, |bytes| bytes[at] ^= 1 << bit);
                ran += try_with(&what, &flip);
            }
        }
        ran
    });
}

#[test]
fn a_missing_segment_is_told_and_all_others_are_served() {
    let (sealed, told, topics) = sealed();
    let names = files(&sealed, ".seg");
    assert!(names.len() > 4, "{names:?}");
    let proof = Proof::of("missing segments");
    for name in &names[..names.len() - 2] {
        for index in [false, true] {
            let storage = sealed.kill();
            storage.remove(name).expect("there");
            if index {
                let _ = storage.remove(&name.replace(".seg", ".idx"));
            }
            let rig = Rig::open(&storage, told.clone(), options()).expect("opens");
            assert!(!rig.opening.damaged.is_empty(), "{name} is missing");
            let (report, holdings) = rig.check_damaged(&topics);
            let others = report.violations() - report.cursor_regressed;
            assert_eq!(others, 0, "{name} missing: {report}");
            assert!(holdings.lost.values().any(|holes| !holes.is_empty()), "{name}");
            let others = names.iter().filter(|other| *other != name);
            let gone = others.filter(|other| storage.bytes(other).is_none()).count();
            assert_eq!(gone, 0, "{name} missing, and then others, too");
            proof.ran(1);
        }
    }
}

#[test]
fn rot_in_a_closed_segment_is_found_and_no_wrong_byte_is_served_or_deleted() {
    let (sealed, told, topics) = sealed();
    let names = files(&sealed, ".seg");
    let clean = Rig::open(&sealed.kill(), told.clone(), options()).expect("opens");
    let whole = clean.read(&topics, 1 << 16).after.found.len();
    let mut chance = Chance::new(5);
    let mut proof = Proof::of("rot in closed segments");
    let wanted = scaled(10_000, 500);
    let (mut told_at_once, mut missed, mut harmless) = (0, 0, 0);
    for number in 0..wanted {
        let storage = sealed.kill();
        let name = chance.pick(&names[..names.len() - 1]).clone();
        let length = sealed.bytes(&name).expect("there").len() as u64;
        let (at, bit) = (usize::try_from(chance.below(length)).expect("small"), chance.below(8));
        let what = format!("case {number}: {name} byte {at} bit {bit}");
        let open_first = chance.below(2) == 0;
        let rot = || storage.rot(&name, |bytes| bytes[at] ^= 1 << bit);
        if !open_first {
            rot();
        }
        let rig = Rig::open(&storage, told.clone(), options());
        let rig = rig.unwrap_or_else(|error| panic!("{what}: {error}"));
        if open_first {
            rot();
        }
        let (report, holdings) = rig.check_damaged(&topics);
        let others = report.violations() - report.cursor_regressed;
        assert_eq!(others, 0, "{what}: {report}");
        let mut rotten = sealed.bytes(&name).expect("there").to_vec();
        rotten[at] ^= 1 << bit;
        let (kept, cut) = rotten.split_at(storage.bytes(&name).expect("still there").len());
        assert_eq!(storage.bytes(&name).as_deref().map(Vec::as_slice), Some(kept), "{what}");
        assert!(cut.iter().filter(|byte| **byte != 0).count() < 2, "{what}: not just unused");
        let found = holdings.after.found.len();
        if rig.reader.stats().damaged > 0 {
            told_at_once += 1;
        } else if found < whole || report.cursor_regressed > 0 {
            missed += 1;
        } else {
            harmless += 1;
        }
        proof.ran(1);
    }
    proof.note(format!("{told_at_once} told, {harmless} in bytes that say nothing"));
    assert_eq!(missed, 0);
    assert!(told_at_once > wanted / 2);
}
