//! The broker dies with its machine, and comes back over what its disks had synced.

use std::time::Duration;

use sampan_core::journal::{self, Faults};
use sampan_protocol::AckLevel;

use super::crowd::{publishers, readers, topics};
use super::replay::play;
use crate::app::Publishing;
use crate::broker::Plan;
use crate::history::What;
use crate::net::Weather;
use crate::world::World;

/// 200 clients under load, all live; the seats.
fn crowd(world: &mut World, level: Option<AckLevel>) -> Vec<u32> {
    let weather = Weather::lossy(5_000);
    let (orders, rooms) = (topics("order", 8), topics("bench.room", 2));
    let stock = topics("inventory.product", 2);
    let mut seats = readers(world, 150, &orders, &weather);
    seats.extend(readers(world, 20, &rooms, &weather));
    seats.extend(readers(world, 10, &stock, &weather));
    let plan = Publishing { level, ..Publishing::to(&orders, 80, 400) };
    seats.extend(publishers(world, 14, &plan, &weather));
    seats.extend(publishers(world, 3, &Publishing::to(&rooms, 60, 400), &weather));
    let keyed = Publishing { keys: 3, ..Publishing::to(&stock, 60, 400) };
    seats.extend(publishers(world, 3, &keyed, &weather));
    assert_eq!(seats.len(), 200);
    world.run(Duration::from_secs(8));
    seats
}

/// The broker is down for a second; then everybody is live again, not all at once.
fn crash_once(world: &mut World, seats: &[u32]) {
    world.crash();
    let from = world.history.records.len();
    world.run(Duration::from_secs(1));
    world.restart();
    let all = seats.len();
    let live = move |what: &What| matches!(what, What::Live { .. });
    let back = world.run_until(Duration::from_secs(60), |world| {
        world.history.records[from..].iter().filter(|record| live(&record.what)).count() >= all
    });
    assert!(back, "not everybody is back after a minute");
    let mut times: Vec<Duration> = world.history.records[from..]
        .iter()
        .filter(|record| live(&record.what))
        .map(|record| record.at)
        .collect();
    times.sort_unstable();
    let instant = Duration::from_millis(10);
    let crowd = times.iter().map(|at| {
        times.partition_point(|other| *other < *at + instant)
            - times.partition_point(|other| *other < *at)
    });
    let crowd = crowd.max().unwrap_or(0);
    assert!(crowd <= all / 10, "{crowd} of {all} came back within {instant:?}");
}

#[test]
fn a_crash_under_200_clients() {
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play("a_crash_under_200_clients", &[41, 42], plan, |world| {
        let seats = crowd(world, None);
        crash_once(world, &seats);
    });
}

#[test]
fn three_crashes_under_clients_that_want_to_know_early() {
    let name = "three_crashes_under_clients_that_want_to_know_early";
    let plan = |_| {
        let mut plan = Plan::new();
        // Slow disks, so that much is only routed, or only logged, when the power goes.
        let delay = Duration::from_millis(20)..=Duration::from_millis(120);
        plan.journal.faults = Faults { delay, fail_ppm: 0 };
        plan
    };
    play(name, &[43, 44], plan, |world| {
        let level = if world.seed % 2 == 0 { AckLevel::Routed } else { AckLevel::Logged };
        let seats = crowd(world, Some(level));
        for _ in 0..3 {
            crash_once(world, &seats);
        }
        let lost =
            world.history.count(|what| matches!(what, What::Crashed { lost } if !lost.is_empty()));
        assert!(lost > 0, "no crash took anything");
    });
}

#[test]
fn a_broker_without_a_disk_forgets_and_says_so() {
    let name = "a_broker_without_a_disk_forgets_and_says_so";
    let plan = |_| Plan { journal: journal::Config::default(), ..Plan::new() };
    play(name, &[45], plan, |world| {
        let seats = crowd(world, None);
        crash_once(world, &seats);
    });
}
