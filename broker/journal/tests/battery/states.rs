//! Every state that a crash may leave, at every step that the log takes on its directory.

use sampan_journal::storage::faulty::{Faulty, Medium, Step};
use sampan_protocol::Topic;
use sampan_tests::chance::Chance;
use sampan_tests::choices;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::rig::{Rig, Told, limited, topic};
use crate::scaled;

/// Opens what a crash has left, and looks at everything; then writes, closes, and looks again.
fn recovers(storage: &Faulty, told: Told, topics: &[Topic], what: &str) {
    let opened = Rig::open(storage, told, limited());
    let mut rig = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(rig.opening.damaged.is_empty(), "{what}: {:?}", rig.opening);
    let report = rig.check(topics, Level::Synced, 1 << 16);
    assert_eq!(report.violations(), 0, "{what}: {report}");
    rig.send(&topics[0], 2, 40, true).expect("written");
    rig.sync().expect("synced");
    rig.close().expect("closed");
    let rig = Rig::open(&rig.storage.kill(), rig.told, limited()).expect("opens again");
    assert!(rig.opening.clean && rig.opening.lost.is_empty(), "{what}: {:?}", rig.opening);
    let report = rig.check(topics, Level::Synced, 700);
    assert_eq!(report.violations(), 0, "{what}, opened again: {report}");
}

/// Crashes a run of a log at every step, in as many states as there are or `limit`. How many.
fn crash_everywhere(rig: &Rig, topics: &[Topic], limit: u64, chance: &mut Chance) -> u64 {
    let mut medium = Medium::default();
    let mut ran = 0;
    for (number, step) in rig.storage.steps().iter().enumerate() {
        medium.apply(step);
        let told = rig.told.until(number + 1);
        ran += choices::some(limit, chance, |choose| {
            let mut choices = Vec::new();
            let state = medium.crash(&mut |bound| {
                choices.push(choose(bound));
                choices[choices.len() - 1]
            });
            let what = format!("step {number}, {step:.80?}, {choices:?}");
            recovers(&state.into(), told.clone(), topics, &what);
        });
    }
    ran
}

/// A run that makes, rolls, seals, cleans and recycles segments.
fn busy(seed: u64) -> (Rig, Vec<Topic>) {
    let mut chance = Chance::of(seed, "states", 0);
    let topics: Vec<Topic> = (1..=3).map(topic).collect();
    let storage = Faulty::default();
    storage.record();
    let mut rig = Rig::open(&storage, Told::new(), limited()).expect("a new log");
    for _ in 0..60 {
        for topic in &topics {
            let bytes = usize::try_from(chance.between(&(33..=600))).expect("small");
            rig.send(topic, 1 + chance.below(3), bytes, chance.below(4) == 0).expect("written");
        }
        rig.put(chance.below(4), 40).expect("written");
        if chance.below(3) > 0 {
            rig.sync().expect("synced");
        }
        if chance.below(4) == 0 {
            rig.maintain().expect("maintained");
        }
    }
    (rig, topics)
}

/// Whether a file came to have such a name.
fn renames(rig: &Rig, ending: &str) -> bool {
    let named = |step: &Step| matches!(step, Step::Rename { to, .. } if to.ends_with(ending));
    rig.storage.steps().iter().any(named)
}

#[test]
fn every_state_that_a_crash_may_leave_recovers() {
    let proof = Proof::of("crash states");
    let (seeds, limit) = (scaled(10, 1), scaled(100, 8));
    proof.each(seeds, |seed| {
        let (rig, topics) = busy(seed + 1);
        for ending in [".seg", ".idx", ".old"] {
            assert!(renames(&rig, ending), "seed {seed}: none of what ends with {ending} was made");
        }
        let mut chance = Chance::of(seed + 1, "crash", 0);
        crash_everywhere(&rig, &topics, limit, &mut chance)
    });
}
