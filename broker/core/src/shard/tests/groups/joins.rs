//! Joining: where a group begins, and consumers that come before the shard knows its groups.

use super::super::publish;
use super::*;

#[test]
fn a_group_that_begins_now_gets_nothing_older_although_another_hears_of_the_topic_meanwhile() {
    let mut world = World::with(2, Config::shipped(), journal::Config::default());
    let source = owner(&"order.1".parse().expect("a topic"), 2);
    let host = 1 - source;
    let is_here = |name: &String| owner(&name.parse().expect("a name"), 2) == host;
    let mut names = (0..).map(|n| format!("group{n}")).filter(is_here);
    let (first, second) = (names.next().expect("endless"), names.next().expect("endless"));
    let mut publisher = world.client(source, "p", Role::Service);
    let mut worker = world.client(host, "w", Role::Service);
    world.consume(&mut worker, &first, "order.*", 10);
    for text in ["a", "b"] {
        world.publish(&mut publisher, "order.1", text);
    }
    assert_eq!(texts(&world.jobs(&mut worker)), ["a", "b"]);
    // The group is asked for and the next message comes in the same moment.
    let body = Consume { start: Start::Now, ..consume(&second, "order.*", 10) };
    let frames = [
        (host, worker.key, control::encode(&body, 9).expect("valid")),
        (source, publisher.key, publish("order.1", "c", &[], 0, 9)),
    ];
    for (shard, key, frame) in frames {
        let frame = Frame::decode(frame, 1 << 20).expect("valid");
        world.shards[usize::from(shard)].frame(world.now, key, frame);
    }
    world.run();
    world.publish(&mut publisher, "order.1", "d");
    let jobs = world.jobs(&mut worker);
    let of = |consumer: u64| -> Vec<&str> {
        let own = jobs.iter().filter(|job| job.consumer == consumer);
        own.map(|job| job.text.as_str()).collect()
    };
    assert_eq!((of(9), of(1)), (vec!["d"], vec!["c", "d"]));
}

#[test]
fn consumers_that_say_more_than_can_wait_until_groups_are_read_are_sent_away_and_leave_nothing() {
    let delay = Duration::from_millis(1)..=Duration::from_millis(5);
    let faults = journal::Faults { delay, ..journal::Faults::default() };
    let journal = journal::Config { faults, ..journal::Config::default() };
    let mut world = World::with(1, Config::shipped(), journal);
    let mut pulling = world.client(0, "pulls", Role::Service);
    let mut leaving = world.client(0, "leaves", Role::Service);
    let mut vanishing = world.client(0, "vanishes", Role::Service);
    let pulls = world.consume(&mut pulling, "billing", "order.*", 0);
    let leaves = world.consume(&mut leaving, "billing", "order.*", 10);
    world.consume(&mut vanishing, "billing", "order.*", 10);
    let mut filling = world.client(0, "fills", Role::Service);
    let consumer = world.consume(&mut filling, "other", "order.*", 1);
    let (text, offset) = (String::new(), 1);
    let job = Job { topic_id: 1, epoch: 1, offset, consumer, attempt: 1, text };
    let mut fill = |world: &mut World| loop {
        let number = world.settle(&mut filling, &job, ACK, &[]);
        if refusal(&world.receive(&mut filling), number) == Some(Code::BUSY) {
            break;
        }
    };
    fill(&mut world);
    world.pull(&mut pulling, pulls, 5);
    assert_eq!(refusal(&world.receive(&mut pulling), pulls), Some(Code::BUSY));
    fill(&mut world);
    world.quit(&mut leaving, leaves);
    assert_eq!(of_kind(&world.receive(&mut leaving), Kind::Done).len(), 1);
    fill(&mut world);
    world.leave(&vanishing);
    world.sleep(SECOND);
    let pulls = world.consume(&mut pulling, "billing", "order.*", 0);
    world.pull(&mut pulling, pulls, 5);
    world.publish(&mut pulling, "order.1", "work");
    world.sleep(SECOND);
    assert_eq!(texts(&world.jobs(&mut pulling)), ["work"]);
    assert_eq!(world.status("billing").members, 1);
}
