//! Readers that fall behind, and appends that fail.

use sampan_protocol::control::{GapReason, TopicPosition};
use sampan_protocol::frame::flag;

use super::*;
use crate::config::Limits;
use crate::journal::Faults;

fn tight() -> Arc<Config> {
    let limits = Limits {
        subscription_bytes: 4_000,
        connection_bytes: 8_000,
        page_bytes: 1_000,
        ..Limits::default()
    };
    Arc::new(Config { limits, ..(*Config::shipped()).clone() })
}

fn world() -> World {
    World::with(2, tight(), journal::Config::default())
}

#[test]
fn a_slow_durable_reader_detaches_and_loses_nothing() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut slow = world.client(1, "slow", Role::Service);
    let mut fast = world.client(1, "fast", Role::Service);
    world.subscribe(&mut slow, "order.1", Start::Now);
    world.subscribe(&mut fast, "order.1", Start::Now);
    let (mut slow_got, mut fast_got) = (Vec::new(), Vec::new());
    for n in 1..=500 {
        world.publish(&mut publisher, "order.1", &format!("{n:0100}"));
        world.receive(&mut publisher);
        slow_got.extend(world.receive_some(&mut slow, 10));
        fast_got.extend(world.receive(&mut fast));
    }
    assert_eq!(account(&fast_got, 1).0.len(), 500);
    assert!(world.shards[1].counters().outbox_bytes < 10_000);
    assert!(world.shards[1].counters().detached > 0);
    slow_got.extend(world.receive(&mut slow));
    let (offsets, gaps) = account(&slow_got, 1);
    assert_eq!(offsets, (1..=500).collect::<Vec<u64>>());
    assert!(gaps.is_empty());
    assert_eq!(world.shards[1].counters().reattached, world.shards[1].counters().detached);
}

#[test]
fn what_is_above_every_budget_reaches_a_reader_for_whom_nothing_waits() {
    for topic in ["order.1", "inventory.product.1"] {
        let mut world = world();
        let mut publisher = world.client(0, "p", Role::Service);
        let mut reader = world.client(1, "r", Role::Service);
        world.subscribe(&mut reader, topic, Start::Now);
        world.receive(&mut reader);
        for bytes in [10_000, 10] {
            world.publish(&mut publisher, topic, &"x".repeat(bytes));
            let lengths: Vec<usize> =
                payloads(&world.receive(&mut reader)).iter().map(String::len).collect();
            assert_eq!(lengths, [bytes], "{topic}");
        }
        let counters = world.shards[1].counters();
        assert_eq!((counters.detached, counters.reattached), (1, 1), "{topic}");
    }
}

#[test]
fn a_reader_for_whom_nothing_waits_is_not_slow_however_much_comes_at_once() {
    for topic in ["order.1", "bench.1", "inventory.product.1"] {
        let mut world = world();
        let mut publisher = world.client(0, "p", Role::Service);
        let mut reader = world.client(1, "r", Role::Service);
        world.subscribe(&mut reader, topic, Start::Now);
        world.publish(&mut publisher, topic, &"x".repeat(6_000));
        let frames = world.receive(&mut reader);
        assert_eq!(account(&frames, 1), (vec![1], Vec::new()), "{topic}");
        assert_eq!(world.shards[1].counters().detached, 0, "{topic}");
    }
}

#[test]
fn room_that_sending_makes_is_used_without_waiting_for_anything_else() {
    let mut world = World::with(1, tight(), journal::Config::default());
    let mut publisher = world.client(0, "p", Role::Service);
    let mut slow = world.client(0, "slow", Role::Service);
    world.subscribe(&mut slow, "order.1", Start::Now);
    for n in 1..=50 {
        world.publish(&mut publisher, "order.1", &format!("{n:0100}"));
    }
    assert_eq!((world.shards[0].counters().detached, world.shards[0].is_unsettled()), (1, false));
    for channel in Channel::all() {
        world.shards[0].transfer(world.now, slow.key, channel, &mut Bytes::clear);
    }
    assert!(world.shards[0].is_unsettled());
    world.shards[0].settle(world.now);
    assert!(!world.shards[0].is_unsettled() && world.shards[0].has(slow.key, Channel::Lane(1)));
}

#[test]
fn a_slow_ephemeral_reader_is_told_of_every_offset_that_it_misses() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut slow = world.client(1, "slow", Role::Service);
    world.subscribe(&mut slow, "bench.1", Start::Now);
    let mut got = Vec::new();
    for n in 1..=1000 {
        world.publish(&mut publisher, "bench.1", &format!("{n:0100}"));
        world.receive(&mut publisher);
        got.extend(world.receive_some(&mut slow, 7));
    }
    assert!(world.shards[1].counters().outbox_bytes < 6_000);
    got.extend(world.receive(&mut slow));
    let (offsets, gaps) = account(&got, 1);
    let missed: u64 = gaps.iter().map(|gap| gap.to - gap.from + 1).sum();
    assert_eq!(offsets.len() as u64 + missed, 1000);
    assert!(missed > 0);
    assert!(gaps.iter().all(|gap| gap.reason == GapReason::SlowReader.number()));
    assert_eq!(offsets.last(), Some(&1000), "the newest are kept");
}

#[test]
fn a_slow_ephemeral_reader_keeps_the_newest_of_every_key() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut slow = world.client(1, "slow", Role::Service);
    world.subscribe(&mut slow, "bench.1", Start::Now);
    let rare: &[(Tag, &[u8])] = &[(Tag::Key, b"rare")];
    let often: &[(Tag, &[u8])] = &[(Tag::Key, b"often")];
    world.publish_with(&mut publisher, "bench.1", "rare", rare, 0);
    for n in 1..=200 {
        world.publish_with(&mut publisher, "bench.1", &format!("{n:0100}"), often, 0);
        world.receive(&mut publisher);
    }
    let frames = world.receive(&mut slow);
    account(&frames, 1);
    let got = payloads(&frames);
    assert_eq!(got[0], "rare");
    assert_eq!(got.last().map(|s| s.trim_start_matches('0')), Some("200"));
    assert!(got.len() < 40, "{}", got.len());
}

#[test]
fn a_slow_latest_reader_gets_the_newest_values_only() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut slow = world.client(1, "slow", Role::Service);
    let topic = "inventory.product.1";
    world.subscribe(&mut slow, topic, Start::Now);
    for n in 1..=300_u32 {
        let key = format!("k{}", n % 3);
        let extra: &[(Tag, &[u8])] = &[(Tag::Key, key.as_bytes())];
        world.publish_with(&mut publisher, topic, &format!("{n:0100}"), extra, 0);
        world.receive(&mut publisher);
    }
    let frames = world.receive(&mut slow);
    account(&frames, 1);
    let got = payloads(&frames);
    let newest: Vec<&str> =
        got.iter().rev().take(3).rev().map(|s| s.trim_start_matches('0')).collect();
    assert_eq!(newest, ["298", "299", "300"]);
    assert!(got.len() < 60, "{}", got.len());
}

#[test]
fn readers_that_have_stopped_are_sent_away_before_others_starve() {
    let limits = Limits { shard_bytes: 20_000, ..tight().limits.clone() };
    let config = Arc::new(Config { limits, ..(*Config::shipped()).clone() });
    let mut world = World::with(2, config, journal::Config::default());
    let mut publisher = world.client(0, "p", Role::Service);
    let mut stopped: Vec<Client> = (0..5).map(|_| world.client(1, "s", Role::Service)).collect();
    for client in &mut stopped {
        world.subscribe(client, "order.1", Start::Now);
    }
    let mut slow = world.client(1, "slow", Role::Service);
    world.subscribe(&mut slow, "order.1", Start::Now);
    let mut got = Vec::new();
    for n in 1..=200 {
        world.publish(&mut publisher, "order.1", &format!("{n:0100}"));
        world.receive(&mut publisher);
        got.extend(world.receive_some(&mut slow, 10));
    }
    assert!(world.shards[1].counters().outbox_bytes <= 20_000);
    got.extend(world.receive(&mut slow));
    assert!(account(&got, 1).0.len() < 200, "the others have left no room");
    // Whoever takes a little stays, however long it takes.
    for _ in 0..30 {
        world.sleep(Duration::from_secs(1));
        got.extend(world.receive_some(&mut slow, 200));
        for client in &stopped {
            if world.shards[1].closing(client.key).is_some() {
                world.leave(client);
            }
        }
    }
    let gone = world.shards[1].counters().sessions_closed.clone();
    assert!(gone.get(&sampan_protocol::Code::OVERLOADED.0).is_some_and(|gone| *gone >= 3));
    assert!(gone.len() == 1 && world.shards[1].closing(slow.key).is_none(), "{gone:?}");
    got.extend(world.receive(&mut slow));
    assert_eq!(account(&got, 1).0, (1..=200).collect::<Vec<u64>>());
}

#[test]
fn a_client_that_reads_no_answers_is_closed() {
    let limits = Limits { control_bytes: 2_000, ..Limits::default() };
    let config = Arc::new(Config { limits, ..(*Config::shipped()).clone() });
    let mut world = World::with(1, config, journal::Config::default());
    let mut publisher = world.client(0, "p", Role::Service);
    for _ in 0..100 {
        world.publish(&mut publisher, "bench.1", "x");
    }
    let closing = world.shards[0].closing(publisher.key).map(|(code, _)| code);
    assert_eq!(closing, Some(sampan_protocol::Code::ABUSE));
    assert!(world.shards[0].counters().outbox_bytes <= 2_000);
}

#[test]
fn a_failed_append_is_refused_and_its_offsets_are_told_as_never_used() {
    let faults = Faults { fail_ppm: 300_000, ..Faults::default() };
    let journal = journal::Config { faults, seed: 7, ..journal::Config::default() };
    let mut world = World::with(2, Config::shipped(), journal);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "order.1", Start::Now);
    let (mut acked, mut refused) = (0, 0);
    for n in 0..100 {
        let sequence = world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(Duration::from_millis(10));
        let frames = world.receive(&mut publisher);
        match refusal(&frames, sequence) {
            Some(code) => {
                assert_eq!(code, sampan_protocol::Code::STORAGE);
                refused += 1;
            }
            None => acked += of_kind(&frames, Kind::Published).len(),
        }
    }
    assert!(refused > 5, "{refused}");
    assert_eq!(acked + refused, 100);
    let (offsets, gaps) = account(&world.receive(&mut reader), 1);
    assert_eq!(offsets.len(), acked);
    assert!(gaps.iter().all(|gap| gap.reason == GapReason::NeverUsed.number()));
    assert!(!gaps.is_empty());
}

#[test]
fn a_failed_append_whose_publisher_was_told_routed_is_told_as_lost() {
    let faults = Faults { fail_ppm: 300_000, ..Faults::default() };
    let best = sampan_protocol::AckLevel::Synced;
    let journal = journal::Config { faults, best, seed: 7, ..journal::Config::default() };
    for level in [sampan_protocol::AckLevel::Routed.number(), flag::NO_ACK] {
        let mut world = World::with(2, Config::shipped(), journal.clone());
        let mut publisher = world.client(0, "p", Role::Service);
        let mut reader = world.client(1, "r", Role::Service);
        world.subscribe(&mut reader, "order.1", Start::Now);
        // Its place in the topic is known to no page and no join point.
        let mut pattern = world.client(1, "r", Role::Service);
        world.subscribe(&mut pattern, "order.*", Start::Now);
        for n in 0..100 {
            world.publish_with(&mut publisher, "order.1", &n.to_string(), &[], level);
            world.sleep(Duration::from_millis(10));
        }
        assert!(of_kind(&world.receive(&mut publisher), Kind::PublishRefused).is_empty());
        let (_, gaps) = account(&world.receive(&mut reader), 1);
        assert_eq!(account(&world.receive(&mut pattern), 1).1, gaps);
        assert!(gaps.len() > 5, "{gaps:?}");
        assert!(gaps.iter().all(|gap| gap.reason == GapReason::UnsyncedLost.number()), "{gaps:?}");
    }
}

#[test]
fn a_durable_topic_is_not_served_before_the_journal_has_opened_it() {
    let journal = journal::Config { pending_max: 0, ..journal::Config::default() };
    let mut world = World::with(2, Config::shipped(), journal);
    let mut client = world.client(0, "c", Role::Service);
    let sequence = world.publish(&mut client, "order.1", "x");
    let frames = world.receive(&mut client);
    assert_eq!(refusal(&frames, sequence), Some(sampan_protocol::Code::BUSY));
    let number = world.subscribe(&mut client, "order.1", Start::Now);
    // Asked again under the same number, as a client does that was told to come back.
    let body = control::Subscribe { pattern: "order.1".into(), start: Start::Now };
    world.send(&mut client, control::encode(&body, number).expect("valid"));
    let frames = world.receive(&mut client);
    let codes = of_kind(&frames, Kind::Refused).into_iter().map(|refused| {
        let body: control::Refused = control::decode(refused).expect("valid");
        sampan_protocol::Code(body.code)
    });
    assert_eq!(codes.collect::<Vec<_>>(), [sampan_protocol::Code::BUSY; 2]);
    assert!(world.shards.iter().all(|shard| shard.counters().audiences == 0));
    let position = TopicPosition { topic: "order.1".into(), epoch: 1, offset: 1 };
    let start = Start::Resume { joined_ms: 1, positions: vec![position] };
    let number = world.subscribe(&mut client, "order.*", start);
    let frames = world.receive(&mut client);
    assert_eq!((frames[0].header.kind, frames[0].header.number), (Kind::Subscribed, number));
    assert!(world.shards.iter().all(|shard| shard.topics(10).is_empty()));
}

#[test]
fn a_repeated_publish_waits_for_the_journal_like_its_first() {
    let delay = Duration::from_millis(50)..=Duration::from_millis(50);
    let faults = Faults { delay, ..Faults::default() };
    let best = sampan_protocol::AckLevel::Synced;
    let journal = journal::Config { best, faults, ..journal::Config::default() };
    let mut world = World::with(1, Config::shipped(), journal);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "order.1", "opens the topic");
    world.sleep(Duration::from_secs(1));
    world.receive(&mut publisher);
    for _ in 0..2 {
        world.send(&mut publisher, publish("order.1", "x", &[], 3, 9));
        assert!(world.receive(&mut publisher).is_empty(), "nothing is stored yet");
    }
    world.sleep(Duration::from_secs(1));
    let acks = world.receive(&mut publisher);
    let acks = of_kind(&acks, Kind::Published);
    assert_eq!(acks.len(), 2);
    for ack in acks {
        assert_eq!((ack.header.number, ack.header.flags & 7), (2, 3), "one offset, synced");
    }
    let latency = world.shards[0].counters().ack_latency;
    assert_eq!(latency.counts.iter().sum::<u64>(), 3);
    assert!(latency.sum >= 3 * Duration::from_millis(50), "{:?}", latency.sum);
}
