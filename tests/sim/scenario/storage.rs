//! Disks that are slow, that fail now and then, and that fail for good until the broker starts again.

use std::time::Duration;

use sampan_core::journal::Faults;

use super::crowd::{publishers, readers, topics};
use super::replay::play;
use crate::app::Publishing;
use crate::broker::Plan;
use crate::history::What;
use crate::net::Weather;
use crate::world::World;

fn crowd(world: &mut World) {
    let weather = Weather::lossy(10_000);
    let orders = topics("order", 6);
    readers(world, 30, &orders, &weather);
    publishers(world, 6, &Publishing::to(&orders, 150, 150), &weather);
}

fn refused(world: &World) -> usize {
    world.history.count(|what| matches!(what, What::Refused { .. }))
}

#[test]
fn slow_disks() {
    let plan = |_| {
        let mut plan = Plan::new();
        let delay = Duration::from_millis(50)..=Duration::from_millis(500);
        plan.journal.faults = Faults { delay, fail_ppm: 0 };
        plan
    };
    play("slow_disks", &[51], plan, |world| {
        crowd(world);
        world.quiesce(Duration::from_secs(120));
        assert_eq!(refused(world), 0, "a slow disk is no reason to refuse");
    });
}

#[test]
fn disks_that_fail_now_and_then() {
    let plan = |_| {
        let mut plan = Plan::new();
        plan.journal.faults.fail_ppm = 50_000;
        plan
    };
    play("disks_that_fail_now_and_then", &[52, 53], plan, |world| {
        crowd(world);
        world.quiesce(Duration::from_secs(120));
        assert!(refused(world) > 0, "no failure was told");
    });
}

#[test]
fn disks_that_fail_and_end_the_broker() {
    play(
        "disks_that_fail_and_end_the_broker",
        &[54, 55],
        |_| Plan::new(),
        |world| {
            crowd(world);
            world.run(Duration::from_secs(6));
            for _ in 0..3 {
                world.fence(Duration::from_secs(2));
                world.run(Duration::from_secs(3));
            }
            assert!(refused(world) > 0, "no failure was told");
        },
    );
}

#[test]
fn disks_whose_speed_changes_all_the_time() {
    play(
        "disks_whose_speed_changes_all_the_time",
        &[56],
        |_| Plan::new(),
        |world| {
            crowd(world);
            for _ in 0..40 {
                let longest = Duration::from_millis(world.chance.below(400));
                let fail_ppm = u32::try_from(world.chance.below(30_000)).expect("small");
                world.set_faults(&Faults { delay: Duration::ZERO..=longest, fail_ppm });
                world.run(Duration::from_millis(500));
            }
            world.set_faults(&Faults::default());
        },
    );
}
