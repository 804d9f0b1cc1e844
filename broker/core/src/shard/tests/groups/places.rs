//! Where groups stand in their topics, and what is kept for them.

use super::*;

#[test]
fn a_group_is_made_where_it_was_asked_to_and_keeps_its_pattern() {
    let mut world = world();
    world.order("0 1 2 3 4");
    world.sleep(SECOND);
    for (group, start, expected) in [
        ("now", Start::Now, &["new"][..]),
        ("last", Start::Last(2), &["3", "4", "new"]),
        ("since", Start::Since(world.now.unix_ms + 500), &["new"]),
        ("oldest", Start::Since(0), &["0", "1", "2", "3", "4", "new"]),
    ] {
        let mut worker = world.client(1, "w", Role::Service);
        let body = Consume { start, ..consume(group, "order.*", 10) };
        world.ask(&mut worker, |number| control::encode(&body, number).expect("valid"));
        world.sleep(2 * SECOND);
        if group == "now" {
            // Made with the first of them, and read by all.
            world.leave(&worker);
        } else {
            let before = world.jobs(&mut worker);
            assert_eq!(
                texts(&before).last(),
                expected.iter().rev().find(|t| **t != "new"),
                "{group}"
            );
            assert!(before.len() < expected.len());
            world.leave(&worker);
        }
    }
    world.crash();
    world.sleep(SECOND);
    let mut publisher = world.client(0, "p", Role::Service);
    // A client of the new process must not look like the one before it.
    let producer = 77_u64.to_le_bytes();
    for (topic, text) in [("order.1", "new"), ("order.2", "other topic")] {
        world.publish_with(&mut publisher, topic, text, &[(Tag::Producer, &producer)], 0);
    }
    for (group, count) in [("now", 2), ("last", 4), ("since", 2), ("oldest", 7)] {
        let mut worker = world.client(1, "w", Role::Service);
        world.consume(&mut worker, group, "order.*", 10);
        world.sleep(2 * SECOND);
        let got = world.jobs(&mut worker);
        assert_eq!(got.len(), count, "{group}: {got:?}");
        let number = world.consume(&mut worker, group, "order.>", 10);
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!(refusal(&frames, number), Some(Code::GROUP_DIFFERS));
        world.leave(&worker);
    }
}

#[test]
fn a_group_of_the_configuration_takes_the_order_of_its_first_consumer() {
    use sampan_protocol::control::GroupOrder;
    let mut world = world();
    world.sleep(SECOND);
    let mut worker = world.client(1, "w", Role::Service);
    for (order, expected) in [
        (GroupOrder::Key, None),
        (GroupOrder::Any, Some(Code::GROUP_DIFFERS)),
        (GroupOrder::Key, None),
    ] {
        let body = Consume { order: order.number(), ..consume("chat", "chat.conversation.*", 10) };
        let number =
            world.ask(&mut worker, |number| control::encode(&body, number).expect("valid"));
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!(refusal(&frames, number), expected, "{order:?}");
    }
}

#[test]
fn a_group_reads_again_from_where_it_is_sent() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    for n in 1..=4 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(SECOND);
    }
    let got = world.jobs(&mut worker);
    let at = world.now.unix_ms - 2500;
    world.ack(&mut worker, &got);
    world.sleep(SECOND);
    let (group, topic) = ("billing".parse().expect("a name"), "order.1".parse().expect("a name"));
    for (to, expected) in [
        (Seek::Offset(2), &["2", "3", "4"][..]),
        (Seek::Since(at), &["3", "4"]),
        (Seek::Offset(9), &[]),
    ] {
        let seek = Manage::Seek { group: Clone::clone(&group), topic: Clone::clone(&topic), to };
        assert_eq!(world.manage("billing", seek), Ok(Managed::Done(1)));
        world.sleep(SECOND);
        let got = world.jobs(&mut worker);
        assert_eq!(texts(&got), expected, "{to:?}");
        world.ack(&mut worker, &got);
        world.sleep(SECOND);
    }
}

#[test]
fn a_deleted_group_ends_its_consumers_and_leaves_nothing_behind() {
    let mut world = world();
    let mut worker = world.client(1, "w", Role::Service);
    world.order("0 1 2");
    let consumer = world.consume(&mut worker, "billing", "order.*", 10);
    world.consume(&mut worker, "billing2", "order.*", 10);
    world.sleep(SECOND);
    for job in world.jobs(&mut worker).iter().filter(|job| job.consumer == consumer) {
        world.settle(&mut worker, job, REJECT, &[]);
    }
    // Not stored yet, so that it is on its way when the group ends.
    let name = || "billing".parse().expect("a name");
    assert_eq!(world.manage("billing", Manage::Delete(name())), Ok(Managed::Done(0)));
    let frames = world.receive(&mut worker);
    assert_eq!(refusal(&frames, consumer), Some(Code::UNKNOWN_GROUP));
    world.crash();
    world.sleep(SECOND);
    let unknown = world.manage("billing", Manage::Groups(Some(name())));
    assert_eq!(unknown, Err(Code::UNKNOWN_GROUP));
    assert_eq!(world.status("billing2").dead, 0, "a name that starts the same is another's");
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker).len(), 3);
    assert_eq!(world.letters("billing"), []);
}

#[test]
fn retention_takes_nothing_from_a_group_that_is_used_and_keeps_nothing_for_one_that_is_not() {
    for used in [true, false] {
        let mut world = forgetful();
        let mut publisher = world.client(0, "p", Role::Service);
        if used {
            let mut first = world.client(0, "first", Role::Service);
            let consumer = world.consume(&mut first, "billing", "order.*", 0);
            world.sleep(SECOND);
            world.quit(&mut first, consumer);
        }
        for n in 1..=9 {
            world.publish(&mut publisher, "order.1", &n.to_string());
            world.sleep(2 * SECOND);
        }
        let mut worker = world.client(1, "w", Role::Service);
        world.consume(&mut worker, "billing", "order.*", 10);
        world.sleep(SECOND);
        let got = world.jobs(&mut worker);
        let expected = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert_eq!(texts(&got), if used { &expected[..] } else { &expected[7..] });
        world.ack(&mut worker, &got);
        world.sleep(5 * SECOND);
        // What the group has settled is let go.
        let mut reader = world.client(0, "r", Role::Service);
        world.subscribe(&mut reader, "order.1", Start::Since(0));
        world.sleep(SECOND);
        assert_eq!(payloads(&world.receive(&mut reader)), ["8", "9"]);
        let bytes: usize = world.stores.iter().map(|store| store.memory().bytes()).sum();
        assert!(bytes < 10_000, "{bytes}");
    }
}

#[test]
fn what_storage_has_damaged_is_skipped_and_counted() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    for n in 1..=6 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(SECOND);
    }
    let topic = "order.1".parse().expect("a name");
    for store in &world.stores {
        store.memory().damage(&topic, journal::Hole { from: 2, to: 4 });
    }
    let (mut worker, got) = world.billing(1);
    assert_eq!(texts(&got), ["1", "5", "6"]);
    world.ack(&mut worker, &got);
    world.sleep(SECOND);
    assert_eq!(world.status("billing").lag, 0);
    let skipped: u64 = world.shards.iter().map(|shard| shard.counters().groups.skipped).sum();
    assert_eq!(skipped, 3);
}

#[test]
fn the_groups_of_the_configuration_are_there_before_anybody_asks() {
    let mut world = world();
    world.sleep(SECOND);
    for (group, pattern) in [
        ("chat", "chat.conversation.*"),
        ("notifications", "notify.trigger"),
        ("inventory", "inventory.reservation"),
    ] {
        let status = world.status(group);
        assert_eq!((status.pattern.as_str(), status.members), (pattern, 0));
    }
}

#[test]
fn a_topic_that_is_being_opened_holds_up_no_group_of_others() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    world.order("a");
    world.sleep(SECOND);
    let delay = |world: &World, delay: Duration| {
        let faults = journal::Faults { delay: delay..=delay, ..journal::Faults::default() };
        world.stores.iter().for_each(|store| store.memory().set_faults(faults.clone()));
    };
    delay(&world, 100 * SECOND);
    for topic in 0..4 {
        world.publish(&mut publisher, &format!("user.{topic}"), "slow");
    }
    delay(&world, Duration::from_millis(1));
    let mut worker = world.client(0, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.consume(&mut worker, "people", "user.*", 10);
    world.sleep(SECOND);
    let jobs = world.jobs(&mut worker);
    assert_eq!(texts(&jobs), ["a"]);
    world.ack(&mut worker, &jobs);
    world.sleep(100 * SECOND);
    assert_eq!(texts(&world.jobs(&mut worker)), ["slow"; 4]);
}

#[test]
fn a_topic_that_could_not_be_opened_at_start_is_opened_later_for_its_groups() {
    let journal = journal::Config {
        best: AckLevel::Synced,
        pending_max: 4,
        faults: journal::Faults { delay: TICK..=TICK, ..journal::Faults::default() },
        ..journal::Config::default()
    };
    let mut world = World::with(1, Config::shipped(), journal);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(0, "w", Role::Service);
    let consumer = world.consume(&mut worker, "billing", "order.*", 1);
    world.sleep(SECOND);
    for topic in 0..9 {
        world.publish(&mut publisher, &format!("order.{topic}"), &topic.to_string());
        world.sleep(SECOND);
    }
    world.quit(&mut worker, consumer);
    world.sleep(SECOND);
    world.crash();
    world.sleep(10 * SECOND);
    let mut worker = world.client(0, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 100);
    world.sleep(10 * SECOND);
    let jobs = world.jobs(&mut worker);
    let mut sorted = texts(&jobs);
    sorted.sort_unstable();
    assert_eq!(sorted, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}
