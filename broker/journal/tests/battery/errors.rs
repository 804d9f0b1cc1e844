//! Disks that report errors, and disks that are full.

use std::io::ErrorKind;
use std::time::Duration;

use sampan_journal::storage::faulty::{Fault, Faulty, Kind};
use sampan_journal::{Error, OpenError};
use sampan_protocol::Topic;
use sampan_tests::chance::Chance;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::rig::{Rig, Told, options, topic};
use crate::scaled;

const EVERY_KIND: [Kind; 10] = [
    Kind::Read,
    Kind::Write,
    Kind::Sync,
    Kind::SetLen,
    Kind::Create,
    Kind::Open,
    Kind::Rename,
    Kind::Remove,
    Kind::SyncDir,
    Kind::List,
];

fn topics() -> Vec<Topic> {
    (1..=3).map(topic).collect()
}

/// What failed.
#[derive(Debug)]
enum Failed {
    /// Something that is written.
    Writing(Error),
    /// What is done beside the writes: preparing, sealing, cleaning.
    Upkeep(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Failed::Writing(error)
    }
}

/// Writes until something fails or so many rounds are over.
fn work(rig: &mut Rig, rounds: u64, chance: &mut Chance) -> Result<(), Failed> {
    let topics = topics();
    for _ in 0..rounds {
        let topic = &topics[usize::try_from(chance.below(3)).expect("small")];
        let bytes = usize::try_from(chance.between(&(33..=900))).expect("small");
        rig.send(topic, 1 + chance.below(3), bytes, chance.below(4) == 0)?;
        rig.put(chance.below(4), 40)?;
        if chance.below(3) > 0 {
            rig.sync()?;
        }
        if chance.below(4) == 0 {
            rig.maintain().map_err(Failed::Upkeep)?;
        }
    }
    Ok(rig.sync()?)
}

#[test]
fn a_failed_write_or_sync_is_never_acknowledged_and_fences() {
    let proof = Proof::of("errors while writing");
    for on in [Kind::Write, Kind::Sync, Kind::SyncDir, Kind::Rename, Kind::Create] {
        for skip in 0..scaled(200, 20) {
            for times in [1, u64::MAX] {
                let what = format!("{on:?} fails {times} times after {skip}");
                let mut chance = Chance::of(skip, "errors", times);
                let mut rig = Rig::new();
                rig.storage.fail(Fault { on, skip, times, error: ErrorKind::Other });
                let failed = work(&mut rig, 60, &mut chance);
                if let Err(Failed::Writing(_)) = failed {
                    let again = rig.send(&topics()[0], 1, 40, false);
                    assert_eq!(again, Err(Error::Fenced), "{what}");
                    assert_eq!(rig.sync(), Err(Error::Fenced), "{what}");
                }
                // What the page cache held, and what a power cut leaves of it.
                for power in [false, true] {
                    let mut chance = Chance::of(skip, "power", times);
                    let storage = match power {
                        true => rig.storage.crash(&mut |bound| chance.below(bound)),
                        false => rig.storage.kill(),
                    };
                    let again = Rig::open(&storage, rig.told.clone(), options());
                    let mut again = again.unwrap_or_else(|error| panic!("{what}: {error}"));
                    work(&mut again, 3, &mut chance).expect("healed");
                    let report = again.check(&topics(), Level::Synced, 1 << 16);
                    assert_eq!(report.violations(), 0, "{what}, power {power}: {report}");
                    proof.ran(1);
                }
            }
        }
    }
}

#[test]
fn an_error_while_opening_is_told_and_changes_nothing() {
    let mut chance = Chance::new(1);
    let mut rig = Rig::new();
    work(&mut rig, 60, &mut chance).expect("no fault");
    let proof = Proof::of("errors while opening");
    for on in EVERY_KIND {
        for skip in 0..scaled(60, 20) {
            let storage = rig.storage.kill();
            storage.fail(Fault { on, skip, times: 1, error: ErrorKind::Other });
            let opened = Rig::open(&storage, rig.told.clone(), options()).map(drop);
            storage.heal();
            let again = Rig::open(&storage.kill(), rig.told.clone(), options());
            let what = format!("{on:?} after {skip}, which answered {opened:?}");
            let again = again.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert!(again.opening.damaged.is_empty(), "{what}: {:?}", again.opening);
            let report = again.check(&topics(), Level::Synced, 1 << 16);
            assert_eq!(report.violations(), 0, "{what}: {report}");
            proof.ran(1);
        }
    }
}

#[test]
fn a_full_disk_refuses_messages_takes_acks_and_recovers_when_space_returns() {
    let mut proof = Proof::of("full disks");
    let mut refused = 0;
    for seed in 0..scaled(400, 40) {
        let mut chance = Chance::of(seed, "full", 0);
        let storage = Faulty::default();
        let mut rig = Rig::open(&storage, Told::new(), options()).expect("a new log");
        work(&mut rig, chance.below(20), &mut chance).expect("space");
        storage.limit(storage.used() + chance.below(50_000));
        let mut full = false;
        for _ in 0..60 {
            match work(&mut rig, 1, &mut chance) {
                Ok(()) => {}
                Err(Failed::Writing(Error::Full) | Failed::Upkeep(Error::Full)) => full = true,
                Err(other) => panic!("seed {seed}: {other:?}"),
            }
            if full {
                break;
            }
        }
        assert!(full && !rig.is_fenced(), "seed {seed}");
        for _ in 0..20 {
            rig.put(chance.below(4), 40).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            rig.sync().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            refused += u64::from(rig.send(&topics()[0], 1, 900, false).is_err());
        }
        let report = rig.check(&topics(), Level::Synced, 1 << 16);
        assert_eq!(report.violations(), 0, "seed {seed}, full: {report}");
        if chance.below(2) == 0 {
            // Once the reserve is used, a full disk has no segment left to open with; it says so.
            let storage = storage.crash(&mut |bound| chance.below(bound));
            storage.limit(storage.used());
            rig = match Rig::open(&storage, rig.told.clone(), options()) {
                Ok(again) => again,
                Err(OpenError::Storage(error)) if error.kind() == ErrorKind::StorageFull => {
                    storage.heal();
                    let again = Rig::open(&storage, rig.told.clone(), options());
                    again.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
                }
                Err(error) => panic!("seed {seed}: {error}"),
            };
        }
        rig.storage.heal();
        // A full disk is not asked again at once.
        rig.pass(Duration::from_secs(10));
        work(&mut rig, 20, &mut chance).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
        let report = rig.check(&topics(), Level::Synced, 1 << 16);
        assert_eq!(report.violations(), 0, "seed {seed}, space again: {report}");
        proof.ran(1);
    }
    assert!(refused > proof.cases());
    proof.note(format!("{refused} messages refused"));
}
