//! A torn tail: whatever a crash has made of the last block, what was synced before it is there.

use std::ops::Range;
use std::sync::Arc;

use sampan_journal::storage::Storage;
use sampan_journal::storage::faulty::Faulty;
use sampan_protocol::Topic;
use sampan_tests::chance::Chance;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::rig::{Rig, Told, options, topic};
use crate::scaled;

/// A log whose last block was written and not synced.
struct Torn {
    topics: Vec<Topic>,
    told: Told,
    /// The disk with the block.
    with: Faulty,
    /// The name of the segment, its bytes without the block and with it.
    name: String,
    before: Arc<Vec<u8>>,
    after: Arc<Vec<u8>>,
    /// Where the block is.
    block: Range<usize>,
}

impl Torn {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::of(seed, "tail", 0);
        let topics: Vec<Topic> = (1..=3).map(topic).collect();
        let mut rig = Rig::new();
        let rounds = chance.below(20);
        for _ in 0..rounds {
            fill(&mut rig, &topics, &mut chance);
            rig.sync().expect("synced");
        }
        let before = rig.storage.kill();
        fill(&mut rig, &topics, &mut chance);
        let with = rig.storage.kill();
        let mut changed = with.list().expect("listed");
        changed.retain(|name| before.bytes(name) != with.bytes(name));
        let [name] = &changed[..] else {
            // A roll syncs what is ahead of it; there is none with the next seed.
            return Torn::new(seed + 1_000_000);
        };
        let name = name.clone();
        let after = with.bytes(&name).expect("there");
        let Some(before) = before.bytes(&name) else { return Torn::new(seed + 1_000_000) };
        let differs = |at: &usize| before.get(*at) != after.get(*at);
        let from = (0..after.len()).find(differs).expect("changed");
        let to = (0..after.len()).rfind(differs).expect("changed") + 1;
        Torn { topics, told: rig.told, with, name, before, after, block: from..to }
    }

    /// Opens the log with this in the place of the segment, and looks at everything.
    fn try_with(&self, change: impl FnOnce(&mut Vec<u8>), what: impl Fn() -> String) {
        let storage = self.with.kill();
        storage.rot(&self.name, change);
        let mut rig = Rig::open(&storage, self.told.clone(), options())
            .unwrap_or_else(|error| panic!("{}: {error}", what()));
        assert!(rig.opening.damaged.is_empty(), "{}: {:?}", what(), rig.opening);
        rig.send(&self.topics[0], 1, 40, false).expect("written");
        rig.sync().expect("synced");
        let report = rig.check(&self.topics, Level::Synced, 1 << 16);
        assert_eq!(report.violations(), 0, "{}: {report}", what());
    }
}

/// Writes a little of everything.
fn fill(rig: &mut Rig, topics: &[Topic], chance: &mut Chance) {
    for topic in topics {
        let (count, bytes) = (1 + chance.below(3), chance.between(&(33..=120)));
        let bytes = usize::try_from(bytes).expect("small");
        rig.send(topic, count, bytes, false).expect("written");
    }
    rig.put(chance.below(4), 40).expect("written");
}

/// Runs `case` for tails of several seeds until there were as many cases as wanted.
fn cases(name: &'static str, wanted: u64, case: impl Fn(&Torn, u64) -> u64 + Sync) {
    Proof::of(name).until(wanted, |number| case(&Torn::new(number + 1), number + 1));
}

#[test]
fn a_tail_torn_at_any_byte_loses_nothing_that_was_synced() {
    cases("torn tails", scaled(150_000, 6_000), |torn, seed| {
        let block = torn.block.clone();
        let mut ran = 0;
        for at in block.clone() {
            let what = |how: &str| format!("seed {seed}: {how} at byte {at} of {block:?}");
            let old = &torn.before;
            torn.try_with(
                |bytes| bytes[at..block.end].copy_from_slice(&old[at..block.end]),
                || what("not written"),
            );
            torn.try_with(
                |bytes| bytes[block.start..=at].copy_from_slice(&old[block.start..=at]),
                || what("not written up to"),
            );
            torn.try_with(|bytes| bytes.truncate(at), || what("file ends"));
            torn.try_with(|bytes| bytes[at..].fill(0), || what("zeros"));
            ran += 4;
        }
        ran
    });
}

#[test]
fn a_tail_with_any_bit_flipped_loses_nothing_that_was_synced() {
    cases("tails with a bit flipped", scaled(800_000, 20_000), |torn, seed| {
        let mut ran = 0;
        for at in torn.block.clone() {
            for bit in 0..8 {
                let what = || format!("seed {seed}: bit {bit} of byte {at} of {:?}", torn.block);
                torn.try_with(|bytes| bytes[at] ^= 1 << bit, what);
                ran += 1;
            }
        }
        ran
    });
}

#[test]
fn a_tail_with_holes_loses_nothing_that_was_synced() {
    cases("tails with holes", scaled(20_000, 1_000), |torn, seed| {
        let mut ran = 0;
        for hole in [8, 64, 512, 4096] {
            for at in (torn.block.start / hole * hole..torn.block.end).step_by(hole.min(64)) {
                let range = at.max(torn.block.start)..(at + hole).min(torn.block.end);
                let what = || format!("seed {seed}: {range:?} of {:?}", torn.block);
                torn.try_with(|bytes| bytes[range.clone()].fill(0), what);
                torn.try_with(|bytes| bytes[range.clone()].fill(0xff), what);
                ran += 2;
            }
        }
        ran
    });
}

#[test]
fn a_stale_block_in_the_tail_is_never_taken_for_a_new_one() {
    cases("stale blocks", scaled(20_000, 1_000), |torn, seed| {
        let mut chance = Chance::of(seed, "stale", 0);
        let mut ran = 0;
        let names = torn.with.list().expect("listed");
        for name in names.iter().filter(|name| name.ends_with(".seg") && **name != torn.name) {
            let older = torn.with.bytes(name).expect("there");
            let stale = torn.block.start..older.len().min(torn.after.len());
            let all = stale.clone();
            let what = || format!("seed {seed}: {name} behind {}", all.start);
            torn.try_with(|bytes| bytes[stale.clone()].copy_from_slice(&older[stale]), what);
            ran += 1;
        }
        // The last block, and every part of the segment, behind it and at places of other blocks.
        for _ in 0..50 {
            let end = torn.block.end;
            let aligned = |at: u64| usize::try_from(at / 8 * 8).expect("small");
            let from = aligned(4096 + chance.below(end as u64 - 4096));
            let length = aligned(chance.below((end - from) as u64)).min(torn.after.len() - end);
            let to = if chance.below(2) == 0 { end } else { torn.block.start };
            let to = to.next_multiple_of(8).min(torn.after.len() - length);
            let what = || format!("seed {seed}: {length} bytes from {from} at {to}");
            torn.try_with(|bytes| bytes.copy_within(from..from + length, to), what);
            ran += 1;
        }
        ran
    });
}

#[test]
fn the_last_block_twice_is_the_last_block_once() {
    cases("the last block twice", scaled(2_000, 100), |torn, seed| {
        let block = torn.block.clone();
        let room = torn.after.len() - block.end.next_multiple_of(8);
        let fits = block.len().min(room);
        let mut ran = 0;
        for shift in [0, 8, 64, 512] {
            let to = block.end.next_multiple_of(8) + shift;
            if to + fits <= torn.after.len() {
                let what = || format!("seed {seed}: {block:?} again at {to}");
                torn.try_with(|bytes| bytes.copy_within(block.start..block.start + fits, to), what);
                ran += 1;
            }
        }
        ran
    });
}
