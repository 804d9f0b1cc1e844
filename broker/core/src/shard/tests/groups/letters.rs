//! Dead letters that operators put back, and what else they ask for meanwhile.

use super::*;
use crate::group::key;
use crate::journal::Journal as _;

/// A group of `order.*` whose first consumer has given up these messages of `order.1`, and acked the
/// others of three.
fn given_up(world: &mut World, given_up: &[&str]) {
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    let consumer = world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    for text in ["1", "2", "3"] {
        world.publish(&mut publisher, "order.1", text);
    }
    world.sleep(SECOND);
    for job in world.jobs(&mut worker) {
        let is_given_up = given_up.contains(&job.text.as_str());
        world.settle(&mut worker, &job, if is_given_up { REJECT } else { ACK }, &[]);
    }
    world.sleep(SECOND);
    world.quit(&mut worker, consumer);
    world.sleep(SECOND);
}

fn billing() -> sampan_protocol::Topic {
    "billing".parse().expect("a name")
}

#[test]
fn a_message_that_was_put_back_is_settled_for_good_although_its_group_was_sent_back_too() {
    let mut world = world();
    given_up(&mut world, &["2"]);
    let which = Which::All;
    let retry = Manage::Retry { group: billing(), which, target: None };
    assert_eq!(world.manage("billing", retry), each(1, &[]));
    let topic = "order.1".parse().expect("a name");
    let seek = Manage::Seek { group: billing(), topic, to: Seek::Offset(1) };
    assert_eq!(world.manage("billing", seek), Ok(Managed::Done(1)));
    assert_eq!(world.status("billing").lag, 3, "no message counts twice");
    let (mut worker, jobs) = world.billing(0);
    let mut sorted = texts(&jobs);
    sorted.sort_unstable();
    assert_eq!(sorted, ["1", "2", "3"]);
    world.ack(&mut worker, &jobs);
    world.sleep(SECOND);
    assert_eq!(world.status("billing").lag, 0);
    world.crash();
    let (_, jobs) = world.billing(0);
    assert_eq!(jobs, []);
}

#[test]
fn a_letter_that_is_put_back_behind_its_group_comes_although_its_topic_has_lost_the_message() {
    let mut world = forgetful();
    given_up(&mut world, &["1"]);
    world.sleep(120 * SECOND);
    let topic = "order.1".parse().expect("a name");
    let seek = Manage::Seek { group: billing(), topic, to: Seek::Offset(1) };
    assert_eq!(world.manage("billing", seek), Ok(Managed::Done(1)));
    let retry = Manage::Retry { group: billing(), which: Which::All, target: None };
    assert_eq!(world.manage("billing", retry), each(1, &[]));
    let (_, jobs) = world.billing(0);
    assert_eq!(texts(&jobs), ["1", "2", "3"]);
}

#[test]
fn an_id_that_is_not_there_keeps_no_other_letter_from_what_was_asked() {
    let mut world = world();
    given_up(&mut world, &["1", "2", "3"]);
    let ids: Vec<u64> = world.letters("billing").iter().map(|(id, _)| *id).collect();
    let which = Which::Ids(vec![ids[0], 99, ids[1]]);
    let retry = Manage::Retry { group: billing(), which, target: None };
    assert_eq!(world.manage("billing", retry), each(2, &[(99, Code::UNKNOWN_DEAD_LETTER)]));
    let left: Vec<u64> = world.letters("billing").iter().map(|(id, _)| *id).collect();
    assert_eq!(left, [ids[2]], "both others are back");
    let which = Which::Ids(vec![99, ids[2]]);
    let discard = Manage::Discard { group: billing(), which };
    assert_eq!(world.manage("billing", discard), each(1, &[(99, Code::UNKNOWN_DEAD_LETTER)]));
    assert_eq!(world.letters("billing"), []);
}

#[test]
fn a_letter_that_is_refused_elsewhere_stays_and_keeps_no_other_from_going() {
    let mut config = (*Config::shipped()).clone();
    config.limits.latest_keys_max = 2;
    let journal = journal::Config { best: AckLevel::Synced, ..journal::Config::default() };
    let mut world = World::with(2, Arc::new(config), journal);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    for key in ["a", "b", "c", "a"] {
        let key = [(Tag::Key, key.as_bytes())];
        world.publish_with(&mut publisher, "order.1", "m", &key, 0);
    }
    world.sleep(SECOND);
    for job in world.jobs(&mut worker) {
        world.settle(&mut worker, &job, REJECT, &[]);
    }
    world.sleep(SECOND);
    let ids: Vec<u64> = world.letters("billing").iter().map(|(id, _)| *id).collect();
    let target = Some("inventory.product.7".parse().expect("a name"));
    let retry = Manage::Retry { group: billing(), which: Which::All, target };
    assert_eq!(world.manage("billing", retry), each(3, &[(ids[2], Code::BUSY)]));
    let left: Vec<u64> = world.letters("billing").iter().map(|(id, _)| *id).collect();
    assert_eq!((left, world.status("billing").dead), (vec![ids[2]], 1));
}

#[test]
fn letters_that_cannot_be_read_are_named_passed_over_and_discarded() {
    let mut world = world();
    given_up(&mut world, &["1", "2", "3"]);
    let ids: Vec<u64> = world.letters("billing").iter().map(|(id, _)| *id).collect();
    let host = usize::from(owner(&billing(), 2));
    let values = vec![(key::letter(&billing(), ids[1]), Some(Bytes::from_static(b"noise")))];
    let put = journal::Request::Put { ticket: journal::Ticket(u64::MAX), values };
    let (now, mut store) = (world.now, world.stores[host].clone());
    store.submit(now, put).expect("room");
    world.sleep(SECOND);
    let mut page = |after, max| {
        let list = Manage::Letters { group: billing(), after, max };
        let Ok(Managed::Letters(page)) = world.manage("billing", list) else { panic!("a page") };
        let read: Vec<u64> = page.letters.iter().map(|(id, _)| *id).collect();
        (read, page.unreadable, page.through, page.more)
    };
    let (first, second, third) = (ids[0], ids[1], ids[2]);
    assert_eq!(page(None, 9), (vec![first, third], vec![second], Some(third), false));
    assert_eq!(page(Some(first), 1), (vec![], vec![second], Some(second), true));
    let retry = Manage::Retry { group: billing(), which: Which::All, target: None };
    assert_eq!(world.manage("billing", retry), each(2, &[(second, Code::MALFORMED)]));
    let discard = Manage::Discard { group: billing(), which: Which::Ids(vec![second]) };
    assert_eq!(world.manage("billing", discard), each(1, &[]));
    assert_eq!((world.letters("billing"), world.status("billing").dead), (vec![], 0));
}

#[test]
fn a_seek_to_a_time_is_answered_when_it_outlives_a_crash() {
    let mut world = world();
    given_up(&mut world, &[]);
    let at = world.now.unix_ms;
    let mut publisher = world.client(0, "p", Role::Service);
    for text in ["4", "5"] {
        world.publish(&mut publisher, "order.1", text);
    }
    world.sleep(SECOND);
    let (mut worker, jobs) = world.billing(1);
    world.ack(&mut worker, &jobs);
    world.sleep(SECOND);
    let topic = "order.1".parse().expect("a name");
    let seek = Manage::Seek { group: billing(), topic, to: Seek::Since(at) };
    assert_eq!(world.manage("billing", seek), Ok(Managed::Done(1)));
    world.crash();
    let (_, jobs) = world.billing(0);
    assert_eq!(texts(&jobs), ["4", "5"]);
}

#[test]
fn a_dead_letter_survives_a_crash_and_can_be_retried_published_elsewhere_and_discarded() {
    let mut world = world();
    world.order("0 1 2 3");
    let (mut worker, jobs) = world.billing(1);
    for job in jobs {
        world.settle(&mut worker, &job, REJECT, &[]);
    }
    world.sleep(SECOND);
    world.crash();
    world.sleep(SECOND);
    let letters = world.letters("billing");
    assert_eq!(letters.len(), 4);
    let ids: Vec<u64> = letters.iter().map(|(id, _)| *id).collect();
    let group = || "billing".parse().expect("a name");
    let mut worker = world.client(1, "w", Role::Service);
    let consumer = world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker), []);
    world.leave(&worker);
    // Back to the group.
    let which = Which::Ids(vec![ids[0], ids[1]]);
    let retry = Manage::Retry { group: group(), which, target: None };
    assert_eq!(world.manage("billing", retry), each(2, &[]));
    world.crash();
    let (mut again, back) = world.billing(0);
    assert_eq!(texts(&back), ["0", "1"]);
    assert!(back.iter().all(|job| job.attempt == 1), "attempts start anew");
    world.ack(&mut again, &back);
    // To another topic.
    let (which, target) = (Which::Ids(vec![ids[2]]), Some("repair.1".parse().expect("a name")));
    let retry = Manage::Retry { group: group(), which, target };
    assert_eq!(world.manage("billing", retry), each(1, &[]));
    let mut reader = world.client(0, "r", Role::Service);
    world.subscribe(&mut reader, "repair.1", Start::Last(9));
    world.sleep(SECOND);
    assert_eq!(payloads(&world.receive(&mut reader)), ["2"]);
    // Away.
    let discard = || Manage::Discard { group: group(), which: Which::All };
    assert_eq!(world.manage("billing", discard()), each(1, &[]));
    let unknown = Manage::Discard { group: group(), which: Which::Ids(vec![ids[3]]) };
    assert_eq!(world.manage("billing", unknown), each(0, &[(ids[3], Code::UNKNOWN_DEAD_LETTER)]));
    assert_eq!(world.letters("billing"), []);
    world.crash();
    world.sleep(SECOND);
    let status = world.status("billing");
    assert_eq!((status.dead, status.lag, consumer), (0, 0, 1));
}

#[test]
fn dead_letters_end_with_age_and_a_group_that_has_enough_of_them_holds_back_the_next() {
    let mut config = (*Config::shipped()).clone();
    (config.limits.letters_max, config.limits.letters_age) = (2, 3600 * SECOND);
    let mut world = World::with(2, Arc::new(config), journal::Config::default());
    world.order("0 1 2");
    let (mut worker, jobs) = world.billing(1);
    for job in jobs {
        world.settle(&mut worker, &job, REJECT, &[]);
    }
    world.sleep(1800 * SECOND);
    let status = world.status("billing");
    assert_eq!((status.dead, status.parked, status.lag), (2, 1, 1));
    world.sleep(2000 * SECOND);
    let letters = world.letters("billing");
    let left: Vec<&[u8]> = letters.iter().map(|(_, letter)| &letter.payload[..]).collect();
    assert_eq!(left, [b"2"], "the oldest have gone, and made room");
    let status = world.status("billing");
    assert_eq!((status.dead, status.parked, status.lag), (1, 0, 0));
    assert_eq!(world.jobs(&mut worker), []);
}
