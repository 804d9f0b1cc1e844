//! A wall clock that jumps makes nothing old.

use std::time::Duration;

use sampan_core::class::{Retention, Rule, Table};
use sampan_journal::Options;
use sampan_protocol::{Class, Pattern};
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::rig::{Rig, Told, options, topic};

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Keeps an hour.
fn an_hour() -> Options {
    let pattern = Pattern::parse("order.>").expect("valid");
    let retention = Retention { age: Duration::from_secs(3600), ..Retention::DEFAULT };
    let rule = Rule { retention, ..Rule::new(pattern, Class::Durable) };
    Options { classes: Table::new(vec![rule]).into(), ..options() }
}

#[test]
fn a_clock_that_jumps_a_day_deletes_nothing_early_and_an_hour_that_passes_does() {
    let proof = Proof::of("clock jumps");
    for jump in [DAY_MS, -DAY_MS] {
        for reopen in [false, true] {
            let mut rig =
                Rig::open(&Default::default(), Told::new(), an_hour()).expect("a new log");
            let topics = [topic(1)];
            for _ in 0..40 {
                rig.send(&topics[0], 3, 500, false).expect("written");
                rig.sync().expect("synced");
                rig.pass(Duration::from_secs(1));
            }
            rig.told.now.unix_ms = rig.told.now.unix_ms.saturating_add_signed(jump);
            if reopen {
                rig.close().expect("closed");
                rig = Rig::open(&rig.storage, rig.told, an_hour()).expect("opens");
            }
            for _ in 0..20 {
                rig.pass(Duration::from_secs(10));
                rig.maintain().expect("maintained");
            }
            let what = format!("jump {jump}, reopen {reopen}");
            let holdings = rig.read(&topics, 1 << 16);
            assert_eq!(holdings.after.found.len(), 120, "{what}");
            assert_eq!(rig.check(&topics, Level::Synced, 1 << 16).violations(), 0, "{what}");
            rig.pass(Duration::from_secs(7200));
            for _ in 0..20 {
                rig.maintain().expect("maintained");
            }
            let holdings = rig.read(&topics, 1 << 16);
            assert_eq!(holdings.after.found.len(), 0, "{what}: an hour has passed");
            assert_eq!(rig.check(&topics, Level::Synced, 1 << 16).violations(), 0, "{what}");
            proof.ran(1);
        }
    }
}
