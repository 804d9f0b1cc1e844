//! What a journal on disk makes of publishes: acks, restarts, failures, damage.

use sampan_protocol::control::{Gap, GapReason, TopicPosition};
use sampan_protocol::frame::flag;
use sampan_protocol::{AckLevel, Code};

use super::*;
use crate::class::{Rule, Table};
use crate::dedupe::Dedupe;
use crate::journal::{Faults, Hole};

const TICK: Duration = Duration::from_millis(10);
const PRICE: &str = "inventory.product.1";

/// A journal that takes `TICK` for each step.
fn disk() -> journal::Config {
    let faults = Faults { delay: TICK..=TICK, ..Faults::default() };
    journal::Config { best: AckLevel::Synced, faults, ..journal::Config::default() }
}

fn world() -> World {
    let mut world = World::with(2, Config::shipped(), disk());
    // Opens the topics, so that nothing waits for that later.
    let mut client = world.client(0, "opener", Role::Service);
    for topic in ["order.1", PRICE] {
        world.subscribe(&mut client, topic, Start::Now);
    }
    world.sleep(TICK * 10);
    world.leave(&client);
    world
}

fn level(level: AckLevel) -> u8 {
    level.number()
}

/// Offset, level and other flags of every ack.
fn acks(frames: &[Frame]) -> Vec<(u64, Option<AckLevel>, u8)> {
    let ack = |frame: &&Frame| {
        let Header { number, flags, .. } = frame.header;
        (number, AckLevel::from_number(flags & flag::LEVEL_MASK), flags & !flag::LEVEL_MASK)
    };
    of_kind(frames, Kind::Published).iter().map(ack).collect()
}

fn gaps(frames: &[Frame]) -> Vec<(u64, u64, Option<GapReason>)> {
    let gaps = of_kind(frames, Kind::Gap).into_iter();
    let gaps = gaps.map(|frame| control::decode::<Gap>(frame).expect("valid"));
    gaps.map(|gap| (gap.from, gap.to, GapReason::from_number(gap.reason))).collect()
}

#[test]
fn a_repeat_after_a_restart_is_a_duplicate_until_the_window_ends() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let once: &[(Tag, &[u8])] = &[(Tag::IdempotencyKey, b"order-1")];
    let producer = 77_u64.to_le_bytes();
    let named: &[(Tag, &[u8])] = &[(Tag::Producer, &producer)];
    for topic in ["order.1", PRICE] {
        for sequence in 1..=3 {
            world.send(&mut publisher, publish(topic, "x", named, 0, sequence));
        }
        world.send(&mut publisher, publish(topic, "y", once, 0, 9));
    }
    world.sleep(TICK * 10);
    world.crash();
    let mut publisher = world.client(0, "p", Role::Service);
    for topic in ["order.1", PRICE] {
        world.send(&mut publisher, publish(topic, "x", named, 0, 2));
        world.send(&mut publisher, publish(topic, "y", once, 0, 99));
        world.send(&mut publisher, publish(topic, "z", named, 0, 4));
        world.sleep(TICK * 10);
        let acks = acks(&world.receive(&mut publisher));
        let told: Vec<_> = acks.iter().map(|(offset, _, flags)| (*offset, *flags)).collect();
        assert_eq!(told, [(2, flag::DUPLICATE), (4, flag::DUPLICATE), (5, 0)], "{topic}");
    }
    world.sleep(Dedupe::WINDOW);
    world.crash();
    let mut publisher = world.client(0, "p", Role::Service);
    world.send(&mut publisher, publish("order.1", "x", named, 0, 2));
    world.send(&mut publisher, publish("order.1", "x", once, 0, 99));
    world.sleep(TICK * 10);
    let acks = acks(&world.receive(&mut publisher));
    assert_eq!(acks.iter().map(|(offset, ..)| *offset).collect::<Vec<_>>(), [6, 7]);
}

#[test]
fn the_last_messages_are_counted_without_those_that_a_crash_took() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    for text in ["a", "b", "c"] {
        world.publish(&mut publisher, "order.1", text);
    }
    world.sleep(TICK * 10);
    for _ in 0..50 {
        world.publish_with(&mut publisher, "order.1", "lost", &[], level(AckLevel::Routed));
    }
    world.crash();
    let mut publisher = world.client(0, "p", Role::Service);
    for text in ["d", "e"] {
        world.publish(&mut publisher, "order.1", text);
    }
    world.sleep(TICK * 10);
    for (count, expected) in [(1, "e"), (2, "de"), (3, "cde"), (4, "bcde"), (9, "abcde")] {
        let mut reader = world.client(1, "r", Role::Service);
        world.subscribe(&mut reader, "order.1", Start::Last(count));
        world.sleep(TICK * 10);
        let frames = world.receive(&mut reader);
        assert_eq!(payloads(&frames).concat(), expected, "the last {count}");
    }
}

#[test]
fn a_latest_topic_has_its_values_versions_and_offsets_after_a_restart() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let versioned = |key: &'static [u8], version: u64| {
        [(Tag::Key, key.to_vec()), (Tag::Version, version.to_le_bytes().to_vec())]
    };
    let set = |world: &mut World, publisher: &mut Client, key, version, text: &str| {
        let extra = versioned(key, version);
        let extra: Vec<(Tag, &[u8])> =
            extra.iter().map(|(tag, value)| (*tag, &value[..])).collect();
        world.publish_with(publisher, PRICE, text, &extra, 0);
    };
    for (key, version, text) in [(b"a", 1, "a1"), (b"b", 1, "b1"), (b"a", 2, "a2"), (b"c", 7, "c7")]
    {
        set(&mut world, &mut publisher, key, version, text);
    }
    world.sleep(TICK * 10);
    let before = world.shards.iter().map(|shard| shard.counters().latest_bytes).sum::<u64>();
    world.crash();
    world.sleep(TICK * 10);
    let after = world.shards.iter().map(|shard| shard.counters().latest_bytes).sum::<u64>();
    assert_eq!(after, before);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    world.sleep(TICK * 10);
    let frames = world.receive(&mut reader);
    assert_eq!(payloads(&frames), ["b1", "a2", "c7"]);
    assert_eq!(account(&frames, 1).0, [2, 3, 4]);
    let mut publisher = world.client(0, "p2", Role::Service);
    set(&mut world, &mut publisher, b"c", 7, "stale");
    set(&mut world, &mut publisher, b"c", 8, "c8");
    world.sleep(TICK * 10);
    let logged = Some(AckLevel::Logged);
    let acks = acks(&world.receive(&mut publisher));
    assert_eq!(acks, [(4, logged, flag::STALE), (5, logged, 0)]);
    assert_eq!(payloads(&world.receive(&mut reader)), ["c8"]);
}

/// A topic of values with these keys, some of whose offsets damage has taken before a restart.
fn damaged_values(world: &mut World, keys: &str, damaged: &[(u64, u64)]) {
    let mut publisher = world.client(0, "p", Role::Service);
    for key in keys.split(' ') {
        world.publish_with(&mut publisher, PRICE, key, &[(Tag::Key, key.as_bytes())], 0);
    }
    world.sleep(TICK * 10);
    let price = PRICE.parse().expect("a name");
    for (store, (from, to)) in
        world.stores.iter().flat_map(|store| damaged.iter().map(move |hole| (store, *hole)))
    {
        store.memory().damage(&price, Hole { from, to });
    }
    world.crash();
    world.sleep(TICK * 10);
}

#[test]
fn values_that_storage_has_damaged_are_counted_and_told_and_the_others_are_there() {
    let (damaged, conflated) = (Some(GapReason::Damaged), Some(GapReason::Conflated));
    // What the values are, what of them is damaged, and what a new reader is told.
    let cases: [(_, &[_], &[&str], &[_]); 6] = [
        ("a b c", &[(2, 2)], &["a", "c"], &[(1, 3, conflated), (2, 2, damaged)]),
        ("a b c", &[(1, 1)], &["b", "c"], &[(1, 1, damaged), (3, 3, conflated)]),
        ("a b c", &[(2, 3)], &["a"], &[(1, 3, conflated), (2, 3, damaged)]),
        ("a b c", &[(1, 2)], &["c"], &[(1, 2, damaged)]),
        ("a b c", &[(1, 3)], &[], &[(1, 3, damaged)]),
        ("a b a c d b", &[(3, 3), (5, 5)], &["c", "b"], &[(1, 3, damaged), (5, 5, damaged)]),
    ];
    for (keys, holes, kept, told) in cases {
        let mut world = world();
        damaged_values(&mut world, keys, holes);
        let counted: u64 = world.shards.iter().map(|shard| shard.counters().values_damaged).sum();
        assert_eq!(counted, holes.iter().map(|(from, to)| to - from + 1).sum::<u64>());
        let mut reader = world.client(1, "r", Role::Service);
        world.subscribe(&mut reader, PRICE, Start::Now);
        world.sleep(TICK * 10);
        let frames = world.receive(&mut reader);
        account(&frames, 1);
        assert_eq!(
            (payloads(&frames), gaps(&frames)),
            (kept.iter().map(|kept| (*kept).to_owned()).collect(), told.to_vec()),
            "{keys} {holes:?}"
        );
    }
}

#[test]
fn a_reader_that_resumes_is_told_of_damage_only_behind_its_position() {
    let mut world = world();
    damaged_values(&mut world, "a b c d", &[(2, 2)]);
    for (offset, kept, told) in [(1, "c d", 1), (2, "c d", 0)] {
        let mut reader = world.client(1, "r", Role::Service);
        let positions = vec![TopicPosition { topic: PRICE.into(), epoch: 1, offset }];
        world.subscribe(&mut reader, PRICE, Start::Resume { joined_ms: 1, positions });
        world.sleep(TICK * 10);
        let frames = world.receive(&mut reader);
        account(&frames, offset + 1);
        assert_eq!(payloads(&frames).join(" "), kept);
        let of_damage = gaps(&frames).into_iter().filter(|gap| gap.2 == Some(GapReason::Damaged));
        assert_eq!(of_damage.count(), told, "{offset}");
    }
}

#[test]
fn a_latest_value_is_delivered_at_once_and_acked_at_the_level_asked() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    world.receive(&mut reader);
    let asked = [AckLevel::Routed, AckLevel::Logged, AckLevel::Synced];
    for level in asked {
        world.publish_with(&mut publisher, PRICE, level.name(), &[], level.number());
    }
    assert_eq!(payloads(&world.receive(&mut reader)), asked.map(AckLevel::name));
    for (offset, level) in (1..).zip(asked) {
        assert_eq!(acks(&world.receive(&mut publisher)), [(offset, Some(level), 0)]);
        world.sleep(TICK);
    }
}

#[test]
fn a_level_is_told_when_it_is_true_and_not_before() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "order.1", Start::Now);
    world.receive(&mut reader);
    let asked = [AckLevel::Routed, AckLevel::Logged, AckLevel::Synced];
    for level in asked {
        world.publish_with(&mut publisher, "order.1", level.name(), &[], level.number());
    }
    for (offset, level) in (1..).zip(asked) {
        assert_eq!(acks(&world.receive(&mut publisher)), [(offset, Some(level), 0)]);
        // What a crash can take back is not shown.
        let shown = if level == AckLevel::Synced { &asked[..] } else { &[] };
        let shown: Vec<&str> = shown.iter().map(|level| level.name()).collect();
        assert_eq!(payloads(&world.receive(&mut reader)), shown);
        world.sleep(TICK);
    }
    // A repeat that asks for less than its first hears no sooner that its offset is final.
    let sequence = world.publish(&mut publisher, "order.1", "first");
    let again = publish("order.1", "first", &[], level(AckLevel::Routed), sequence);
    world.send(&mut publisher, again);
    world.sleep(TICK);
    assert!(acks(&world.receive(&mut publisher)).is_empty());
    world.sleep(TICK);
    let acks = acks(&world.receive(&mut publisher));
    let told: Vec<_> = acks.iter().map(|(offset, _, flags)| (*offset, *flags)).collect();
    assert_eq!(told, [(4, 0), (4, flag::DUPLICATE)]);
}

#[test]
fn a_journal_that_is_full_says_when_to_come_again_and_its_offsets_are_used_later() {
    let config = journal::Config { capacity_bytes: 2_000, ..disk() };
    for topic in ["order.1", PRICE] {
        let mut world = World::with(1, Config::shipped(), config.clone());
        let mut publisher = world.client(0, "p", Role::Service);
        let mut reader = world.client(0, "r", Role::Service);
        world.subscribe(&mut reader, topic, Start::Now);
        world.sleep(TICK * 10);
        let once: &[(Tag, &[u8])] = &[(Tag::IdempotencyKey, b"once"), (Tag::Key, b"k")];
        world.publish(&mut publisher, "order.9", "opens the topic");
        world.sleep(TICK * 10);
        world.receive(&mut publisher);
        world.publish(&mut publisher, "order.9", &"x".repeat(1_200));
        let bytes = publish(topic, &"y".repeat(900), once, 0, 50);
        world.send(&mut publisher, bytes.clone());
        let frames = world.receive(&mut publisher);
        let refused = of_kind(&frames, Kind::PublishRefused);
        let body: control::PublishRefused = control::decode(refused[0]).expect("valid");
        assert_eq!(Code(body.code), Code::BUSY);
        assert_eq!(u128::from(body.retry_after_ms), TICK.as_millis());
        world.sleep(TICK * 10);
        world.send(&mut publisher, bytes);
        world.sleep(TICK * 10);
        let acks = acks(&world.receive(&mut publisher));
        let told: Vec<_> = acks.iter().map(|(offset, _, flags)| (*offset, *flags)).collect();
        assert_eq!(told, [(2, 0), (1, 0)], "{topic}");
        let (offsets, gaps) = account(&world.receive(&mut reader), 1);
        assert_eq!((offsets, gaps.len()), (vec![1], 0));
    }
}

#[test]
fn a_newer_value_that_the_journal_refuses_leaves_the_older_one() {
    let config = journal::Config { capacity_bytes: 2_000, ..disk() };
    let mut world = World::with(1, Config::shipped(), config);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, PRICE, "old");
    world.sleep(TICK * 10);
    world.publish(&mut publisher, "order.1", "opens the topic");
    world.sleep(TICK * 10);
    world.receive(&mut publisher);
    world.publish(&mut publisher, "order.1", &"x".repeat(1_200));
    let sequence = world.publish(&mut publisher, PRICE, &"new".repeat(300));
    assert_eq!(refusal(&world.receive(&mut publisher), sequence), Some(Code::BUSY));
    let mut reader = world.client(0, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    world.sleep(TICK * 10);
    assert_eq!(payloads(&world.receive(&mut reader)), ["old"]);
}

#[test]
fn a_broken_journal_gets_no_gap_announced_that_a_restart_could_contradict() {
    for seed in 0..20 {
        let mut world = World::with(1, Config::shipped(), journal::Config { seed, ..disk() });
        let mut publisher = world.client(0, "p", Role::Service);
        let mut reader = world.client(0, "r", Role::Service);
        world.subscribe(&mut reader, "order.1", Start::Now);
        world.sleep(TICK * 10);
        world.publish(&mut publisher, "order.1", "1");
        world.sleep(TICK * 10);
        world.receive(&mut publisher);
        let sequences = ["2", "3"].map(|text| world.publish(&mut publisher, "order.1", text));
        world.sleep(TICK);
        world.stores[0].memory().fence(world.now);
        world.sleep(TICK);
        let after = world.publish(&mut publisher, "order.1", "4");
        world.sleep(Duration::from_secs(60));
        let told = world.receive(&mut publisher);
        for sequence in sequences.into_iter().chain([after]) {
            assert_eq!(refusal(&told, sequence), Some(Code::STORAGE));
        }
        let seen = world.receive(&mut reader);
        assert_eq!((payloads(&seen), gaps(&seen)), (vec!["1".to_owned()], vec![]));
        world.crash();
        let mut publisher = world.client(0, "p", Role::Service);
        let mut reader = world.client(0, "r", Role::Service);
        let positions = vec![TopicPosition { topic: "order.1".into(), epoch: 1, offset: 1 }];
        world.subscribe(&mut reader, "order.1", Start::Resume { joined_ms: 1, positions });
        for (sequence, text) in sequences.into_iter().chain([after]).zip(["2", "3", "4"]) {
            world.send(&mut publisher, publish("order.1", text, &[], 0, sequence));
            world.sleep(TICK * 10);
        }
        let frames = world.receive(&mut reader);
        assert_eq!(payloads(&frames), ["2", "3", "4"], "each once, stored before or after");
        account(&frames, 2);
    }
}

#[test]
fn what_damage_took_is_told_as_damaged() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    for n in 1..=5 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(TICK * 10);
    }
    let topic = Topic::parse("order.1").expect("valid");
    for store in &world.stores {
        store.memory().damage(&topic, Hole { from: 2, to: 3 });
    }
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "order.1", Start::Last(5));
    world.sleep(TICK * 10);
    let damaged = Some(GapReason::Damaged);
    let frames = world.receive(&mut reader);
    assert_eq!(payloads(&frames), ["1", "4", "5"]);
    assert_eq!(gaps(&frames), [(2, 3, damaged)]);
    for store in &world.stores {
        store.memory().damage(&topic, Hole { from: 5, to: 5 });
    }
    let mut reader = world.client(1, "r2", Role::Service);
    let positions = vec![TopicPosition { topic: "order.1".into(), epoch: 1, offset: 4 }];
    world.subscribe(&mut reader, "order.1", Start::Resume { joined_ms: 1, positions });
    world.sleep(TICK * 10);
    assert_eq!(gaps(&world.receive(&mut reader)), [(5, 5, damaged)]);
}

#[test]
fn a_value_that_a_crash_takes_back_gives_way_to_the_one_before_and_its_offset_to_none() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, PRICE, "old");
    world.sleep(TICK * 10);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    world.publish_with(&mut publisher, PRICE, "new", &[], level(AckLevel::Routed));
    assert_eq!(payloads(&world.receive(&mut reader)), ["old", "new"]);
    world.crash();
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    world.sleep(TICK * 10);
    let mut told = world.receive(&mut reader);
    assert_eq!(payloads(&told), ["old"]);
    let mut known = world.client(1, "known", Role::Service);
    let positions = vec![TopicPosition { topic: PRICE.into(), epoch: 1, offset: 1 }];
    world.subscribe(&mut known, PRICE, Start::Resume { joined_ms: 1, positions });
    assert_eq!(gaps(&world.receive(&mut known)), [(2, 2, Some(GapReason::UnsyncedLost))]);
    let mut publisher = world.client(0, "p2", Role::Service);
    world.publish(&mut publisher, PRICE, "next");
    world.sleep(TICK * 10);
    let offsets: Vec<u64> = acks(&world.receive(&mut publisher)).iter().map(|ack| ack.0).collect();
    assert_eq!(offsets, [3]);
    told.extend(world.receive(&mut reader));
    account(&told, 1);
    assert_eq!(payloads(&told), ["old", "next"]);
}

#[test]
fn a_value_that_was_shown_and_not_stored_makes_no_other_stale() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    let seven = 7_u64.to_le_bytes();
    let version: &[(Tag, &[u8])] = &[(Tag::Version, &seven)];
    let fail = |world: &World, fail_ppm| {
        for store in &world.stores {
            store.memory().set_faults(Faults { fail_ppm, ..disk().faults });
        }
    };
    fail(&world, 1_000_000);
    let sequence = world.publish_with(&mut publisher, PRICE, "x", version, 0);
    // As stale as that one is new: what becomes of the one becomes of the other.
    let stale = world.publish_with(&mut publisher, PRICE, "y", version, 0);
    world.sleep(TICK * 10);
    let told = world.receive(&mut publisher);
    for sequence in [sequence, stale] {
        assert_eq!(refusal(&told, sequence), Some(Code::STORAGE));
    }
    fail(&world, 0);
    world.send(&mut publisher, publish(PRICE, "x", version, 0, sequence));
    world.sleep(TICK * 10);
    assert_eq!(acks(&world.receive(&mut publisher)), [(2, Some(AckLevel::Logged), 0)]);
    assert_eq!(payloads(&world.receive(&mut reader)), ["x", "x"]);
}

#[test]
fn a_throttled_topic_tells_the_newest_values_at_its_pace_and_acks_at_once() {
    let pattern = sampan_protocol::Pattern::parse("inventory.>").expect("valid");
    let rule = Rule { max_hz: Some(1), ..Rule::new(pattern, sampan_protocol::Class::Latest) };
    let config = Config { classes: Table::new(vec![rule]), ..(*Config::shipped()).clone() };
    let mut world = World::with(1, Arc::new(config), disk());
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(0, "r", Role::Service);
    world.subscribe(&mut reader, PRICE, Start::Now);
    world.sleep(TICK * 10);
    for n in 1..=6 {
        let key: &[(Tag, &[u8])] = &[(Tag::Key, if n % 2 == 0 { b"even" } else { b"odd" })];
        world.publish_with(&mut publisher, PRICE, &n.to_string(), key, 0);
        world.sleep(TICK * 5);
        assert_eq!(acks(&world.receive(&mut publisher)), [(n, Some(AckLevel::Logged), 0)]);
    }
    let mut told = world.receive(&mut reader);
    assert_eq!(payloads(&told), ["1"]);
    world.sleep(Duration::from_secs(1));
    told.extend(world.receive(&mut reader));
    assert_eq!(payloads(&told), ["1", "5", "6"]);
    assert_eq!(account(&told, 1).0, [1, 5, 6]);
}
