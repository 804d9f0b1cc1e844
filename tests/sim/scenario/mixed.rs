//! Everything at once, drawn by lot from the seed: brokers, disks, crowds and troubles.

use std::ops::RangeInclusive;
use std::time::Duration;

use sampan_core::journal::Faults;
use sampan_protocol::control::Start;
use sampan_protocol::{AckLevel, Topic};

use super::crowd::{pattern, topics};
use super::replay::play;
use crate::app::{
    Asker, Asking, Authorizer, Member, Publisher, Publishing, Reader, Responder, Task, Watcher,
};
use crate::broker::Plan;
use crate::chance::Chance;
use crate::net::{To, Weather};
use crate::world::{Join, World};

/// Troubles of one run.
const TROUBLES: RangeInclusive<u64> = 12..=30;

fn ms(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_millis(from)..=Duration::from_millis(to)
}

/// A broker of one to four shards, on disks of some speed or on none.
pub(super) fn plan(seed: u64) -> Plan {
    let mut chance = Chance::of(seed, "plan", 0);
    let mut plan = Plan::new();
    plan.shards = u8::try_from(chance.between(&(1..=4))).expect("small");
    let levels = [AckLevel::Synced, AckLevel::Synced, AckLevel::Logged, AckLevel::Routed];
    plan.journal.best = *chance.pick(&levels);
    let longest = Duration::from_millis(chance.between(&(0..=60)));
    plan.journal.faults = Faults { delay: Duration::ZERO..=longest, fail_ppm: 0 };
    plan
}

/// Topics of each class.
struct Topics {
    orders: Vec<Topic>,
    rooms: Vec<Topic>,
    typing: Vec<Topic>,
    stock: Vec<Topic>,
}

impl Topics {
    fn any(&self, chance: &mut Chance) -> &[Topic] {
        let Topics { orders, rooms, typing, stock } = self;
        let all: [&[Topic]; 5] = [orders, orders, rooms, typing, stock];
        chance.pick::<&[Topic]>(&all)
    }
}

fn weather(chance: &mut Chance) -> Weather {
    let loss = u32::try_from(chance.below(100_000)).expect("small");
    match chance.below(4) {
        0 => Weather::clean(),
        1 | 2 => Weather::lossy(loss),
        _ => Weather::storm(),
    }
}

fn start(chance: &mut Chance) -> Start {
    match chance.below(4) {
        0 => Start::Last(u32::try_from(chance.below(50)).expect("small")),
        1 => Start::Since(1_700_000_000_000 + chance.below(20_000)),
        _ => Start::Now,
    }
}

fn reader(chance: &mut Chance, topics: &Topics) -> Box<dyn Task> {
    let of = topics.any(chance);
    let name = match chance.below(5) {
        0 => pattern(of),
        1 => ">".to_owned(),
        _ => chance.pick(of).to_string(),
    };
    let after = chance.within(&ms(0, 15_000));
    let stays = (chance.below(4) == 0).then(|| chance.within(&ms(1_000, 20_000)));
    Reader::later(&name, start(chance), after, stays)
}

fn publisher(chance: &mut Chance, topics: &Topics, nth: u64) -> Box<dyn Task> {
    let of = topics.any(chance);
    let best = [None, None, Some(AckLevel::Routed)];
    let plan = Publishing {
        keys: if of[0] == topics.stock[0] { 4 } else { 0 },
        level: *chance.pick(&best),
        bytes: *chance.pick(&[16, 100])..=*chance.pick(&[200, 2_000, 20_000]),
        wants_ack: chance.below(8) > 0,
        ..Publishing::to(of, chance.between(&(20..=80)), chance.between(&(50..=500)))
    };
    Publisher::nth(nth, plan)
}

fn task(chance: &mut Chance, topics: &Topics, nth: u64) -> Box<dyn Task> {
    let room = &topics.orders[0];
    match chance.below(20) {
        0..=9 => reader(chance, topics),
        10..=14 => publisher(chance, topics, nth),
        15 => Member::task(room, (chance.below(2) == 0).then_some(Duration::from_secs(12))),
        16 => Watcher::task(room),
        17 => Responder::task("chat.*", ms(1, 300)),
        18 => Authorizer::task("order.*"),
        _ => {
            let topic = Topic::parse("chat.ask").expect("a topic");
            let (count, every) = (chance.between(&(5..=30)), ms(50, 900));
            let (timeout, after) = (Duration::from_secs(5), Duration::from_secs(2));
            Asker::nth(nth, Asking { topic, count, every, timeout, after })
        }
    }
}

fn arrive(world: &mut World, topics: &Topics) {
    let mut chance = world.chance.clone();
    let count = chance.between(&(1..=2));
    let tasks = (0..count).map(|nth| task(&mut chance, topics, nth)).collect();
    let after = chance.within(&ms(0, 5_000));
    let weather = weather(&mut chance);
    world.chance = chance;
    world.join(Join { weather, after, ..Join::service(tasks) });
}

/// Something goes wrong, or changes.
fn trouble(world: &mut World, topics: &Topics) {
    let seats = u32::try_from(world.seats.len()).expect("few");
    let seat = u32::try_from(world.chance.below(seats.into())).expect("few");
    match world.chance.below(100) {
        0..=29 => world.net.rebind(seat),
        30..=44 => world.net.cut(seat, true),
        45..=54 => {
            let way = *world.chance.pick(&[To::Broker, To::Client]);
            world.net.way(seat, way).cut = true;
        }
        55..=69 => heal(world),
        70..=77 => {
            let weather = weather(&mut world.chance);
            world.net.set_weather(seat, &weather);
        }
        78..=82 => arrive(world, topics),
        83..=85 => world.leave(seat),
        86..=92 => {
            world.crash();
            let down = world.chance.within(&ms(10, 5_000));
            world.run(down);
            world.restart();
        }
        93..=95 => {
            let down = world.chance.within(&ms(10, 3_000));
            world.fence(down);
        }
        _ => {
            let longest = Duration::from_millis(world.chance.below(200));
            let fail_ppm = u32::try_from(world.chance.below(40_000)).expect("small");
            world.set_faults(&Faults { delay: Duration::ZERO..=longest, fail_ppm });
        }
    }
}

fn heal(world: &mut World) {
    let seats = u32::try_from(world.seats.len()).expect("few");
    (0..seats).for_each(|seat| world.net.cut(seat, false));
}

/// A crowd, its troubles, and their end.
pub(super) fn scene(world: &mut World) {
    let topics = Topics {
        orders: topics("order", 4),
        rooms: topics("bench.room", 2),
        typing: topics("chat.typing", 1),
        stock: topics("inventory.product", 2),
    };
    for _ in 0..world.chance.between(&(15..=60)) {
        arrive(world, &topics);
    }
    for _ in 0..world.chance.between(&TROUBLES) {
        let pause = world.chance.within(&ms(1, 3_000));
        world.run(pause);
        trouble(world, &topics);
    }
    heal(world);
    world.set_faults(&Faults::default());
}

/// Seeds of real chance, `SIM_FRESH` of them, to look where nobody has looked; `make sim` asks for
/// some. A failure names its seed.
fn fresh() -> Vec<u64> {
    let count = std::env::var("SIM_FRESH").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    let state = std::hash::RandomState::new();
    let seeds =
        (0..count).map(|n: u64| std::hash::BuildHasher::hash_one(&state, n) % 1_000_000_000);
    let seeds: Vec<u64> = seeds.collect();
    println!("fresh seeds {seeds:?}");
    seeds
}

#[test]
fn everything_at_once() {
    let seeds: Vec<u64> = (100..112).chain(fresh()).collect();
    play("everything_at_once", &seeds, plan, scene);
}
