//! Publish, subscribe, resume and history, over several shards.

use sampan_protocol::control::{GapReason, Subscribed, TopicName, TopicPosition};
use sampan_protocol::frame::flag;

use super::*;

#[test]
fn a_publish_reaches_subscribers_on_every_shard_with_its_topic_named_first() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut readers = [world.client(0, "a", Role::Service), world.client(1, "b", Role::Service)];
    for reader in &mut readers {
        let number = world.subscribe(reader, "order.1", Start::Now);
        let frames = world.receive(reader);
        assert_eq!((frames[0].header.kind, frames[0].header.number), (Kind::Subscribed, number));
    }
    world.publish(&mut publisher, "order.1", "one");
    world.publish(&mut publisher, "order.1", "two");
    for reader in &mut readers {
        let frames = world.receive(reader);
        let kinds: Vec<Kind> = frames.iter().map(|frame| frame.header.kind).collect();
        assert_eq!(kinds, [Kind::Topic, Kind::Deliver, Kind::Deliver]);
        let name: TopicName = control::decode(&frames[0]).expect("valid");
        assert_eq!((name.name.as_str(), name.next), ("order.1", 1));
        assert_eq!(payloads(&frames), ["one", "two"]);
        assert_eq!(account(&frames, 1).0, [1, 2]);
    }
    let acks = world.receive(&mut publisher);
    let acks = of_kind(&acks, Kind::Published);
    let last = acks.last().expect("acknowledged");
    let attributes = last.attributes().expect("valid");
    assert_eq!((last.header.number, attributes.sequence), (2, Some(2)));
    assert!(attributes.epoch.is_some_and(|epoch| epoch > 0));
}

#[test]
fn publishes_of_one_pass_are_acknowledged_as_one_run() {
    let mut world = World::new(1);
    let publisher = world.client(0, "p", Role::Service);
    for sequence in 1..=5 {
        let bytes = publish("bench.a", "x", &[], 0, sequence);
        let frame = Frame::decode(bytes, 1024).expect("valid");
        world.shards[0].frame(world.now, publisher.key, frame);
    }
    let mut publisher = publisher;
    let frames = world.receive(&mut publisher);
    assert_eq!(frames.len(), 1, "{frames:?}");
    let attributes = frames[0].attributes().expect("valid");
    assert_eq!((attributes.sequence, attributes.count), (Some(5), Some(5)));
    assert_eq!(frames[0].header.number, 5);
}

#[test]
fn a_session_that_matches_a_topic_twice_gets_one_copy() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    let exact = world.subscribe(&mut reader, "order.7", Start::Now);
    world.subscribe(&mut reader, "order.*", Start::Now);
    world.subscribe(&mut reader, "order.>", Start::Now);
    world.publish(&mut publisher, "order.7", "one");
    assert_eq!(payloads(&world.receive(&mut reader)), ["one"]);
    let end = Header::new(Kind::Unsubscribe).number(exact).bare();
    world.send(&mut reader, end);
    world.publish(&mut publisher, "order.7", "two");
    assert_eq!(payloads(&world.receive(&mut reader)), ["two"]);
}

#[test]
fn a_pattern_gets_topics_that_are_made_later_whoever_owns_them() {
    let mut world = World::new(3);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(2, "r", Role::Service);
    world.subscribe(&mut reader, "order.*", Start::Now);
    for n in 0..20 {
        world.publish(&mut publisher, &format!("order.{n}"), &n.to_string());
    }
    world.publish(&mut publisher, "order.1.deep", "no");
    let mut got = payloads(&world.receive(&mut reader));
    got.sort_by_key(|n| n.parse::<u32>().expect("number"));
    let expected: Vec<String> = (0..20).map(|n: u32| n.to_string()).collect();
    assert_eq!(got, expected);
}

#[test]
fn a_resumed_reader_gets_what_it_missed_once_and_in_order() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "order.1", Start::Now);
    let subscribed = world.receive(&mut reader);
    let join: Subscribed = control::decode(&subscribed[0]).expect("valid");
    world.publish(&mut publisher, "order.1", "1");
    assert_eq!(payloads(&world.receive(&mut reader)), ["1"]);
    world.leave(&reader);
    for n in 2..=9 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    let position = TopicPosition { offset: 1, ..join.positions[0].clone() };
    let mut again = world.client(0, "r", Role::Service);
    let start = Start::Resume { joined_ms: join.joined_ms, positions: vec![position] };
    world.subscribe(&mut again, "order.1", start);
    world.publish(&mut publisher, "order.1", "10");
    let frames = world.receive(&mut again);
    assert_eq!(account(&frames, 2).0, (2..=10).collect::<Vec<u64>>());
}

#[test]
fn a_resumed_pattern_gets_topics_with_and_without_a_position() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "order.old", "before");
    world.sleep(Duration::from_secs(1));
    let joined_ms = world.now.unix_ms;
    world.publish(&mut publisher, "order.a", "a1");
    world.publish(&mut publisher, "order.a", "a2");
    world.publish(&mut publisher, "order.b", "b1");
    let frames = world.receive(&mut publisher);
    let epoch = of_kind(&frames, Kind::Published)[0].attributes().expect("valid").epoch;
    let epoch = epoch.expect("told");
    let mut reader = world.client(1, "r", Role::Service);
    let positions = vec![TopicPosition { topic: "order.a".into(), epoch, offset: 1 }];
    let start = Start::Resume { joined_ms, positions };
    world.subscribe(&mut reader, "order.*", start);
    let mut got = payloads(&world.receive(&mut reader));
    got.sort();
    assert_eq!(got, ["a2", "b1"]);
}

#[test]
fn a_position_of_another_epoch_is_told_what_is_lost() {
    let mut world = World::new(1);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "order.1", "kept");
    let mut reader = world.client(0, "r", Role::Service);
    let positions = vec![TopicPosition { topic: "order.1".into(), epoch: 3, offset: 40 }];
    world.subscribe(&mut reader, "order.1", Start::Resume { joined_ms: 0, positions });
    let frames = world.receive(&mut reader);
    let gap: control::Gap = control::decode(of_kind(&frames, Kind::Gap)[0]).expect("a gap is told");
    assert_eq!((gap.epoch, gap.from), (3, 41));
    assert_eq!(gap.reason, GapReason::UnsyncedLost.number());
    assert_eq!(payloads(&frames), ["kept"]);
}

#[test]
fn a_lost_epoch_is_told_also_where_the_topic_flows_already() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "order.1", Start::Now);
    world.publish(&mut publisher, "order.1", "flows");
    world.receive(&mut reader);
    let positions = vec![TopicPosition { topic: "order.1".into(), epoch: 3, offset: 40 }];
    world.subscribe(&mut reader, "order.*", Start::Resume { joined_ms: 1, positions });
    let frames = world.receive(&mut reader);
    let gap: control::Gap = control::decode(of_kind(&frames, Kind::Gap)[0]).expect("a gap is told");
    assert_eq!((gap.epoch, gap.from), (3, 41));
}

#[test]
fn a_topic_is_named_with_the_first_offset_that_follows_even_if_that_is_read_from_the_journal() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    for payload in ["a", "b", "c"] {
        world.sleep(Duration::from_secs(1));
        world.publish(&mut publisher, "order.1", payload);
    }
    let second_ms = world.now.unix_ms - 1000;
    let lost = TopicPosition { topic: "order.1".into(), epoch: 3, offset: 40 };
    let resumed = Start::Resume { joined_ms: 0, positions: vec![lost] };
    for (start, first) in [(Start::Last(2), 2), (Start::Since(second_ms), 2), (resumed, 1)] {
        for pattern in ["order.1", "order.*"] {
            let mut reader = world.client(1, "r", Role::Service);
            world.subscribe(&mut reader, pattern, start.clone());
            let frames = world.receive(&mut reader);
            let name: TopicName = control::decode(of_kind(&frames, Kind::Topic)[0]).expect("valid");
            assert_eq!(name.next, first, "{pattern} from {start:?}");
            assert_eq!(of_kind(&frames, Kind::Deliver)[0].header.number, first);
        }
    }
}

#[test]
fn a_reader_whose_clock_is_ahead_gets_everything_from_its_join_on() {
    let config = journal::Config {
        best: sampan_protocol::AckLevel::Synced,
        faults: journal::Faults {
            delay: Duration::from_millis(50)..=Duration::from_millis(50),
            fail_ppm: 0,
        },
        ..journal::Config::default()
    };
    let mut world = World::with(2, Config::shipped(), config);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "order.1", "before");
    world.sleep(Duration::from_millis(200));
    let mut reader = world.client(1, "r", Role::Service);
    let start = Start::Since(world.now.unix_ms + 60_000);
    world.publish(&mut publisher, "order.1", "while it joins");
    world.sleep(Duration::from_millis(90));
    world.subscribe(&mut reader, "order.1", start);
    world.sleep(Duration::from_millis(200));
    assert_eq!(payloads(&world.receive(&mut reader)), ["while it joins"]);
}

#[test]
fn what_had_its_time_before_but_was_seen_after_the_join_is_delivered() {
    let delay = Duration::from_millis(50);
    let faults = journal::Faults { delay: delay..=delay, fail_ppm: 0 };
    let config = journal::Config { faults, ..journal::Config::default() };
    let mut world = World::with(1, Config::shipped(), config);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "order.1", "old");
    world.sleep(4 * delay);
    world.publish(&mut publisher, "order.1", "on its way to the journal");
    world.sleep(delay / 2);
    let mut reader = world.client(0, "r", Role::Service);
    world.subscribe(&mut reader, "order.*", Start::Since(world.now.unix_ms));
    world.sleep(4 * delay);
    assert_eq!(payloads(&world.receive(&mut reader)), ["on its way to the journal"]);
}

#[test]
fn subscriptions_of_a_session_start_in_order_even_if_the_first_waits_for_rooms_to_open() {
    let delay = Duration::from_millis(50);
    let faults = journal::Faults { delay: delay..=delay, fail_ppm: 0 };
    let config = journal::Config { faults, ..journal::Config::default() };
    let mut world = World::with(1, Config::shipped(), config);
    let mut publisher = world.client(0, "p", Role::Service);
    for payload in ["seen", "missed", "missed too"] {
        world.publish(&mut publisher, "order.1", payload);
        world.sleep(4 * delay);
    }
    let mut reader = world.client(0, "r", Role::Service);
    // The room of the second topic does not exist yet.
    let positions = ["order.1", "order.2"].map(|topic| TopicPosition {
        topic: topic.into(),
        epoch: 1,
        offset: 1,
    });
    let start = Start::Resume { joined_ms: 1, positions: positions.to_vec() };
    world.subscribe(&mut reader, "order.*", start);
    world.subscribe(&mut reader, "order.1", Start::Now);
    world.sleep(4 * delay);
    assert_eq!(payloads(&world.receive(&mut reader)), ["missed", "missed too"]);
}

#[test]
fn a_resumed_pattern_is_told_of_topics_that_nobody_has_used_since_the_broker_started() {
    let mut world = World::new(2);
    let mut reader = world.client(1, "r", Role::Service);
    let at = |topic: &str| TopicPosition { topic: topic.into(), epoch: 3, offset: 40 };
    let positions = vec![at("bench.1"), at("order.1"), at("order.2"), at("other.1")];
    let start = Start::Resume { joined_ms: 1, positions };
    for pattern in ["bench.*", "order.>"] {
        world.subscribe(&mut reader, pattern, start.clone());
    }
    let frames = world.receive(&mut reader);
    assert_eq!(of_kind(&frames, Kind::Subscribed).len(), 2);
    let gaps = of_kind(&frames, Kind::Gap).into_iter().map(|gap| {
        let gap: control::Gap = control::decode(gap).expect("valid");
        (gap.epoch, gap.from, gap.reason)
    });
    let lost = (3, 41, GapReason::UnsyncedLost.number());
    assert_eq!(gaps.collect::<Vec<_>>(), [lost; 3]);
}

#[test]
fn a_position_of_another_epoch_of_an_ephemeral_topic_is_told_what_the_current_one_did_not_keep() {
    let mut world = World::new(1);
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "bench.1", "missed");
    world.publish(&mut publisher, "bench.1", "missed");
    let mut reader = world.client(0, "r", Role::Service);
    let positions = vec![TopicPosition { topic: "bench.1".into(), epoch: 3, offset: 40 }];
    world.subscribe(&mut reader, "bench.1", Start::Resume { joined_ms: 0, positions });
    let frames = world.receive(&mut reader);
    let gaps: Vec<control::Gap> = of_kind(&frames, Kind::Gap)
        .into_iter()
        .map(|gap| control::decode(gap).expect("valid"))
        .collect();
    let name: TopicName = control::decode(of_kind(&frames, Kind::Topic)[0]).expect("valid");
    assert_eq!(name.next, 1, "what is told of first");
    assert_eq!((gaps[0].epoch, gaps[0].from), (3, 41));
    assert_eq!((gaps[1].from, gaps[1].to), (1, 2));
    assert_eq!(gaps[1].reason, GapReason::Retention.number());
    world.publish(&mut publisher, "bench.1", "heard");
    assert_eq!(account(&world.receive(&mut reader), 3).0, [3]);
}

#[test]
fn last_and_since_replay_kept_messages_then_go_live() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    for n in 1..=5 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(Duration::from_secs(1));
    }
    let mut last = world.client(1, "l", Role::Service);
    world.subscribe(&mut last, "order.1", Start::Last(2));
    let mut since = world.client(0, "s", Role::Service);
    let from = Start::Since(world.now.unix_ms - 3_500);
    world.subscribe(&mut since, "order.*", from);
    world.publish(&mut publisher, "order.1", "6");
    assert_eq!(payloads(&world.receive(&mut last)), ["4", "5", "6"]);
    assert_eq!(payloads(&world.receive(&mut since)), ["3", "4", "5", "6"]);
}

#[test]
fn a_repeated_publish_is_acknowledged_with_its_first_offset_and_not_delivered_again() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "order.1", Start::Now);
    for sequence in [1, 2, 1] {
        world.send(&mut publisher, publish("order.1", "x", &[], 0, sequence));
    }
    let acks = world.receive(&mut publisher);
    let again = of_kind(&acks, Kind::Published).pop().expect("acknowledged");
    assert_eq!(again.header.number, 1);
    assert_ne!(again.header.flags & flag::DUPLICATE, 0);
    assert_eq!(payloads(&world.receive(&mut reader)).len(), 2);
    let key: &[(Tag, &[u8])] = &[(Tag::IdempotencyKey, b"once")];
    world.send(&mut publisher, publish("order.1", "y", key, 0, 3));
    world.send(&mut publisher, publish("order.1", "y", key, 0, 4));
    let acks = world.receive(&mut publisher);
    let acks = of_kind(&acks, Kind::Published);
    assert_eq!(acks[0].header.number, acks[1].header.number);
    assert_eq!(payloads(&world.receive(&mut reader)), ["y"]);
}

#[test]
fn latest_gives_a_newcomer_the_newest_value_of_every_key_and_refuses_stale_ones() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let topic = "inventory.product.sku-1";
    let put = |world: &mut World, publisher: &mut Client, key: &[u8], version: u64, text: &str| {
        let version = version.to_le_bytes();
        let extra: &[(Tag, &[u8])] = &[(Tag::Key, key), (Tag::Version, &version)];
        world.publish_with(publisher, topic, text, extra, 0);
    };
    put(&mut world, &mut publisher, b"bkk", 1, "bkk 1");
    put(&mut world, &mut publisher, b"cnx", 1, "cnx 1");
    put(&mut world, &mut publisher, b"bkk", 2, "bkk 2");
    put(&mut world, &mut publisher, b"bkk", 2, "late");
    let acks = world.receive(&mut publisher);
    let stale = of_kind(&acks, Kind::Published).pop().expect("acknowledged");
    assert_ne!(stale.header.flags & flag::STALE, 0);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, topic, Start::Now);
    put(&mut world, &mut publisher, b"cnx", 2, "cnx 2");
    let frames = world.receive(&mut reader);
    assert_eq!(payloads(&frames), ["cnx 1", "bkk 2", "cnx 2"]);
    account(&frames, 1);
}

#[test]
fn a_reader_that_is_cut_off_before_the_kept_values_arrive_gets_them_when_it_resumes() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let topic = "inventory.product.sku-1";
    for key in ["a", "b"] {
        let key: &[(Tag, &[u8])] = &[(Tag::Key, key.as_bytes())];
        world.publish_with(&mut publisher, topic, "kept", key, 0);
    }
    for pattern in [topic, "inventory.product.*"] {
        world.sleep(Duration::from_secs(1));
        let mut reader = world.client(1, "r", Role::Service);
        world.subscribe(&mut reader, pattern, Start::Now);
        let frames = world.receive_some(&mut reader, 0);
        let join: Subscribed = control::decode(&frames[0]).expect("confirmed");
        world.leave(&reader);
        let mut reader = world.client(1, "r", Role::Service);
        let Subscribed { joined_ms, positions } = join;
        world.subscribe(&mut reader, pattern, Start::Resume { joined_ms, positions });
        assert_eq!(payloads(&world.receive(&mut reader)), ["kept", "kept"], "{pattern}");
    }
}

#[test]
fn a_level_that_the_topic_cannot_give_is_refused() {
    let mut world = World::new(1);
    let mut publisher = world.client(0, "p", Role::Service);
    for topic in ["order.1", "bench.1"] {
        let sequence = world.publish_with(&mut publisher, topic, "x", &[], 3);
        let frames = world.receive(&mut publisher);
        let code = refusal(&frames, sequence);
        assert_eq!(code, Some(sampan_protocol::Code::LEVEL_UNAVAILABLE), "{topic}");
    }
}

#[test]
fn large_and_small_payloads_arrive_whole_and_in_order() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut reader = world.client(1, "r", Role::Service);
    world.subscribe(&mut reader, "bench.a", Start::Now);
    let sizes = [0, 1, 1024, 1025, 70_000, 5, 900_000, 3];
    let sent: Vec<String> =
        sizes.iter().enumerate().map(|(n, size)| n.to_string().repeat(*size)).collect();
    for text in &sent {
        world.publish(&mut publisher, "bench.a", text);
        // Read as it comes: nine hundred kilobytes come near the budget of a subscription.
        assert_eq!(payloads(&world.receive(&mut reader)), std::slice::from_ref(text));
    }
}

#[test]
fn history_pages_hold_whole_messages_and_say_where_the_topic_stands() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    for n in 1..=9 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    let mut reader = world.client(1, "r", Role::Service);
    let ask =
        control::History { topic: "order.1".into(), from: control::From::Offset(3), limit: 4 };
    world.ask(&mut reader, |number| control::encode(&ask, number).expect("valid"));
    let frames = world.receive(&mut reader);
    let page = of_kind(&frames, Kind::Page)[0];
    let attributes = page.attributes().expect("valid");
    assert_eq!((attributes.floor, attributes.next), (Some(1), Some(10)));
    let mut inner = FrameReader::new(1024);
    inner.push(page.body());
    let mut offsets = Vec::new();
    while let Some(frame) = inner.next_frame().expect("valid") {
        offsets.push(frame.header.number);
    }
    assert_eq!(offsets, [3, 4, 5, 6]);
}

#[test]
fn everything_is_given_back_when_sessions_end() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut readers: Vec<Client> =
        (0..10).map(|n| world.client(n % 2, &format!("r{n}"), Role::Service)).collect();
    for reader in &mut readers {
        world.subscribe(reader, "order.1", Start::Now);
        world.subscribe(reader, "order.*", Start::Now);
    }
    world.publish(&mut publisher, "order.1", "unread");
    world.publish(&mut publisher, "order.2", "unread");
    for reader in &readers {
        world.leave(reader);
    }
    world.leave(&publisher);
    for shard in &world.shards {
        let counters = shard.counters();
        assert_eq!(counters.sessions_live, 0);
        assert_eq!(counters.audiences, 0);
        assert_eq!(counters.outbox_bytes, 0);
        assert!(shard.topics(10).iter().all(|topic| topic.shards == 0));
    }
}

#[test]
fn a_pattern_gets_a_topic_that_another_session_has_named_before_its_first_message() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut wide = world.client(1, "wide", Role::Service);
    let mut narrow = world.client(1, "narrow", Role::Service);
    world.subscribe(&mut wide, "order.*", Start::Now);
    world.subscribe(&mut narrow, "order.9", Start::Now);
    world.publish(&mut publisher, "order.9", "one");
    assert_eq!(payloads(&world.receive(&mut wide)), ["one"]);
    assert_eq!(payloads(&world.receive(&mut narrow)), ["one"]);
}

#[test]
fn an_ephemeral_topic_that_was_forgotten_begins_a_new_epoch_for_its_readers() {
    let mut world = World::new(2);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut wide = world.client(1, "wide", Role::Service);
    world.subscribe(&mut wide, "bench.*", Start::Now);
    for _ in 0..3 {
        world.publish(&mut publisher, "bench.1", "early");
    }
    world.receive(&mut wide);
    world.sleep(Duration::from_secs(300));
    assert!(world.shards.iter().all(|shard| shard.topics(10).is_empty()));
    world.publish(&mut publisher, "bench.1", "late");
    let frames = world.receive(&mut wide);
    let kinds: Vec<Kind> = frames.iter().map(|frame| frame.header.kind).collect();
    assert_eq!(kinds, [Kind::Topic, Kind::Deliver]);
    assert_eq!(frames[1].header.number, 1);
}
