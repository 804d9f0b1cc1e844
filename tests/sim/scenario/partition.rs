//! Paths that are cut for a while, both ways or one way.

use std::time::Duration;

use super::crowd::{publishers, readers, topics};
use super::replay::play;
use crate::app::Publishing;
use crate::broker::Plan;
use crate::history::What;
use crate::net::{To, Weather};
use crate::world::World;

/// Half of the readers and half of the publishers are cut off from second 5 on, for this long.
fn cut_off(world: &mut World, ways: &[To], time: Duration) {
    let weather = Weather::lossy(10_000);
    let (orders, rooms) = (topics("order", 4), topics("bench.room", 2));
    let stock = topics("inventory.product", 2);
    // Publishing goes on for as long, and half as long again.
    let count = 60 + u64::try_from(time.as_millis()).expect("short") * 3 / 2 / 500;
    let mut cut: Vec<u32> = Vec::new();
    for topics in [&orders, &rooms, &stock] {
        cut.extend(readers(world, 10, topics, &weather).iter().step_by(2));
        let keys = if topics[0] == stock[0] { 3 } else { 0 };
        let plan = Publishing { keys, ..Publishing::to(topics, count, 500) };
        cut.extend(publishers(world, 2, &plan, &weather).iter().step_by(2));
    }
    world.run(Duration::from_secs(5));
    for (seat, way) in cut.iter().flat_map(|seat| ways.iter().map(move |way| (*seat, *way))) {
        world.net.way(seat, way).cut = true;
    }
    world.run(time);
    cut.iter().for_each(|seat| world.net.cut(*seat, false));
}

const BOTH: &[To] = &[To::Broker, To::Client];

fn away(world: &World) -> usize {
    world.history.count(|what| matches!(what, What::Away { .. }))
}

#[test]
fn cut_for_5_s() {
    play(
        "cut_for_5_s",
        &[21],
        |_| Plan::new(),
        |world| {
            cut_off(world, BOTH, Duration::from_secs(5));
            world.quiesce(Duration::from_secs(120));
            assert_eq!(away(world), 0, "5 s are less than any idle time");
        },
    );
}

#[test]
fn cut_for_30_s() {
    play(
        "cut_for_30_s",
        &[22],
        |_| Plan::new(),
        |world| {
            cut_off(world, BOTH, Duration::from_secs(30));
        },
    );
}

#[test]
fn cut_for_120_s() {
    play(
        "cut_for_120_s",
        &[23],
        |_| Plan::new(),
        |world| {
            cut_off(world, BOTH, Duration::from_secs(120));
            assert!(away(world) > 0, "two minutes are more than any idle time");
        },
    );
}

#[test]
fn cut_on_the_way_to_the_broker() {
    play(
        "cut_on_the_way_to_the_broker",
        &[24],
        |_| Plan::new(),
        |world| {
            cut_off(world, &[To::Broker], Duration::from_secs(60));
            assert!(away(world) > 0, "a minute is more than any idle time");
        },
    );
}

#[test]
fn cut_on_the_way_to_the_client() {
    play(
        "cut_on_the_way_to_the_client",
        &[25],
        |_| Plan::new(),
        |world| {
            cut_off(world, &[To::Client], Duration::from_secs(60));
            assert!(away(world) > 0, "a minute is more than any idle time");
        },
    );
}
