//! One reader at a hundredth of the speed that it would need, among a hundred.

use std::time::Duration;

use sampan_protocol::Topic;
use sampan_protocol::control::GapReason;

use super::crowd::{publishers, readers, topics};
use super::latency::p99;
use super::replay::play;
use crate::app::Publishing;
use crate::broker::Plan;
use crate::history::What;
use crate::net::{Pipe, To, Weather};
use crate::world::World;

/// Messages per second of the topic, and bytes of each.
const RATE: u64 = 25;
const BYTES: u64 = 4000;
/// How long they are published.
const SECONDS: u64 = 20;

/// A budget small enough to be used up within a run.
fn plan() -> Plan {
    let mut plan = Plan::new();
    let mut config = (*plan.config).clone();
    config.limits.subscription_bytes = 64 * 1024;
    config.limits.connection_bytes = 256 * 1024;
    config.limits.page_bytes = 16 * 1024;
    plan.config = config.into();
    plan.limits.send_window = 32 * 1024;
    plan
}

/// A hundred readers of one topic; with `slow` the first gets a hundredth of its bytes.
fn hundred(world: &mut World, topic: &Topic, slow: bool) -> Vec<u32> {
    let weather = Weather::clean();
    let topics = [topic.clone()];
    let seats: Vec<u32> = (0..100).flat_map(|_| readers(world, 1, &topics, &weather)).collect();
    let count = RATE * SECONDS;
    let bytes = BYTES..=BYTES;
    let plan = Publishing { bytes, ..Publishing::to(&topics, count, 1000 / RATE) };
    publishers(world, 1, &plan, &weather);
    // The handshake and the subscription are not what is slow.
    world.run(Duration::from_secs(2));
    if slow {
        let pipe = Pipe { bytes_per_s: RATE * BYTES / 100, queue_bytes: 8 * 1024 };
        world.net.way(seats[0], To::Client).weather.pipe = Some(pipe);
    }
    world.run(Duration::from_secs(SECONDS + 5));
    seats
}

/// The slow reader's way is free again, and how far it had come until then.
fn catch_up(world: &mut World, seat: u32) -> usize {
    let received = received(world, seat);
    world.net.way(seat, To::Client).weather.pipe = None;
    received
}

fn received(world: &World, seat: u32) -> usize {
    let readers = &world.history.readers;
    world.history.count(|what| {
        matches!(what, What::Message { reader, .. } if readers[*reader as usize].seat == seat)
    })
}

/// The others' p99 with a slow reader among them is what it is without one.
fn nobody_else_notices(seed: u64, topic: &Topic, others: &[u32], with: Duration) {
    let mut control = World::new(seed, plan());
    hundred(&mut control, topic, false);
    let without = p99(&control.history, others);
    assert!(
        with <= without + without / 20 + Duration::from_millis(1),
        "p99 of the others is {with:?} with a slow reader and {without:?} without"
    );
}

#[test]
fn a_slow_reader_of_an_ephemeral_topic_is_told_of_every_offset_that_it_misses() {
    let name = "a_slow_reader_of_an_ephemeral_topic_is_told_of_every_offset_that_it_misses";
    play(
        name,
        &[31],
        |_| plan(),
        |world| {
            let topic = &topics("bench.room", 1)[0];
            let seats = hundred(world, topic, true);
            let got = catch_up(world, seats[0]);
            let all = usize::try_from(RATE * SECONDS).expect("few");
            assert!(got < all / 5, "the slow reader got {got} of {all} while it was slow");
            nobody_else_notices(world.seed, topic, &seats[1..], p99(&world.history, &seats[1..]));
            world.quiesce(Duration::from_secs(120));
            // That gaps account for every offset that did not come is what the checker checks.
            let slow = GapReason::SlowReader;
            let gaps = world
                .history
                .count(|what| matches!(what, What::Gap { reason, .. } if *reason == slow));
            assert!(gaps > 0, "a slow reader without gaps");
            let heard = received(world, seats[0]);
            assert!(heard < all, "a slow reader that missed nothing");
        },
    );
}

#[test]
fn a_slow_reader_of_a_durable_topic_loses_nothing() {
    let name = "a_slow_reader_of_a_durable_topic_loses_nothing";
    play(
        name,
        &[32],
        |_| plan(),
        |world| {
            let topic = &topics("order", 1)[0];
            let seats = hundred(world, topic, true);
            let got = catch_up(world, seats[0]);
            let all = usize::try_from(RATE * SECONDS).expect("few");
            assert!(got < all / 5, "the slow reader got {got} of {all} while it was slow");
            nobody_else_notices(world.seed, topic, &seats[1..], p99(&world.history, &seats[1..]));
            world.quiesce(Duration::from_secs(120));
            assert_eq!(received(world, seats[0]), all, "the slow reader has caught up");
        },
    );
}
