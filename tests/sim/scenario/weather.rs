//! Bad weather on every path: loss, late and doubled and damaged datagrams.

use sampan_protocol::control::Start;

use super::crowd::{join, publishers, readers, topics};
use super::replay::play;
use crate::app::{Publishing, Reader};
use crate::broker::Plan;
use crate::net::Weather;
use crate::world::World;

fn everybody_in(world: &mut World, weather: &Weather) {
    let orders = topics("order", 4);
    let rooms = topics("bench.room", 2);
    let stock = topics("inventory.product", 2);
    let typing = topics("chat.typing", 1);
    readers(world, 30, &orders, weather);
    readers(world, 10, &rooms, weather);
    readers(world, 10, &stock, weather);
    readers(world, 5, &typing, weather);
    join(world, weather, vec![Reader::task(">", Start::Now)]);
    publishers(world, 4, &Publishing::to(&orders, 100, 200), weather);
    publishers(world, 2, &Publishing::to(&rooms, 100, 200), weather);
    publishers(world, 2, &Publishing::to(&typing, 50, 300), weather);
    publishers(world, 2, &Publishing { keys: 4, ..Publishing::to(&stock, 100, 200) }, weather);
    let large = Publishing { bytes: 2_000..=60_000, ..Publishing::to(&orders, 20, 900) };
    publishers(world, 1, &large, weather);
}

#[test]
fn one_in_a_hundred_is_lost() {
    let plan = |_| Plan::new();
    play("one_in_a_hundred_is_lost", &[1, 2], plan, |world| {
        everybody_in(world, &Weather::lossy(10_000));
    });
}

#[test]
fn one_in_twenty_is_lost() {
    let plan = |_| Plan::new();
    play("one_in_twenty_is_lost", &[3], plan, |world| {
        everybody_in(world, &Weather::lossy(50_000));
    });
}

#[test]
fn one_in_five_is_lost() {
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play("one_in_five_is_lost", &[4, 5], plan, |world| {
        everybody_in(world, &Weather::lossy(200_000));
    });
}

#[test]
fn late_doubled_and_damaged() {
    let plan = |seed| Plan { shards: 1 + u8::try_from(seed % 3).expect("small"), ..Plan::new() };
    play("late_doubled_and_damaged", &[6, 7, 8], plan, |world| {
        everybody_in(world, &Weather::storm());
    });
}
