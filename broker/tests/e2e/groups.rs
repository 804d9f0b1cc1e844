//! Groups: work that is shared, comes again when it fails, and is given up in the end.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::time::Duration;

use sampan::auth::Role;
use sampan_client::admin::{GroupStatus, Letters, Outcome, SeekTo};
use sampan_client::{
    Client, Code, Consume, Consumer, Error, Failure, Job, Message, Pattern, Topic,
};
use tokio::sync::mpsc;

use crate::harness::{Broker, PATIENCE, pattern};

fn topic(name: &str) -> Topic {
    name.parse().expect("valid")
}

fn orders(client: &Client) -> Consume {
    client.consume("packers", pattern("order.*"))
}

/// What is answered when something was done for so many dead letters, and for all that were meant.
fn done(count: u64) -> Result<Outcome, Error> {
    Ok(Outcome { count, ..Outcome::default() })
}

async fn next(consumer: &mut Consumer) -> Job {
    let next = tokio::time::timeout(PATIENCE, consumer.next());
    next.await.expect("in time").unwrap_or_else(|| panic!("ended: {:?}", consumer.error()))
}

async fn publish(client: &Client, name: &str, payloads: std::ops::RangeInclusive<u64>) {
    for payload in payloads {
        let message = Message::new(topic(name), payload.to_string());
        client.publish(message).await.expect("acked");
    }
}

/// How the group stands, once that is so: jobs and acks are counted as they are stored.
async fn stands(client: &Client, is_so: impl Fn(&GroupStatus) -> bool) -> GroupStatus {
    let mut last = None;
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let group = client.group("packers").await.expect("known");
            if is_so(&group) {
                return group;
            }
            last = Some(group);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it stands otherwise: {last:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_that_are_larger_together_than_a_segment_are_stored_and_put_back() {
    let broker = Broker::configured("[journal]\nsegment_bytes = 2097152\n");
    let client = broker.client("p", Role::Service).await;
    for _ in 0..5 {
        let message = Message::new(topic("order.1"), vec![b'x'; 900_000]);
        client.publish(message).await.expect("acked");
    }
    let mut consumer = orders(&client).window(5).await.expect("joined");
    let mut jobs = Vec::new();
    for _ in 0..5 {
        jobs.push(next(&mut consumer).await);
    }
    let settlings: Vec<_> = jobs.into_iter().map(|job| job.reject("too large")).collect();
    for settling in settlings {
        settling.await.expect("stored");
    }
    stands(&client, |group| (group.dead, group.lag) == (5, 0)).await;
    let back = client.dead_letters("packers").retry(Letters::All).await;
    assert_eq!(back, done(5), "room for all");
    for _ in 0..5 {
        next(&mut consumer).await.ack().await.expect("stored");
    }
    let broker = broker.crash_and_restart();
    let client = broker.client("p", Role::Service).await;
    stands(&client, |group| (group.dead, group.lag) == (0, 0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_messages_and_each_is_done_once() {
    let broker = Broker::start();
    let client = broker.client("p", Role::Service).await;
    let (done, mut all) = mpsc::unbounded_channel();
    let mut workers = Vec::new();
    for number in 0..2 {
        let worker = broker.client("w", Role::Service).await;
        let (done, consumer) = (done.clone(), orders(&worker).window(10).await.expect("joined"));
        workers.push(consumer.handle(10, move |job, value: u64| {
            let told = done.send((number, job.topic().clone(), value, job.attempt()));
            async move { told.map_err(Failure::retry) }
        }));
    }
    for name in ["order.1", "order.2", "order.3"] {
        publish(&client, name, 1..=100).await;
    }
    let mut seen = BTreeSet::new();
    let mut by = [0; 2];
    for _ in 0..300 {
        let told = tokio::time::timeout(PATIENCE, all.recv()).await.expect("in time");
        let (number, topic, value, attempt) = told.expect("workers live");
        assert_eq!(attempt, 1);
        assert!(seen.insert((topic.to_string(), value)), "{topic} {value} twice");
        by[number] += 1;
    }
    assert!(by.iter().all(|count| *count > 50), "one does it all: {by:?}");
    for worker in workers {
        worker.stop().await.expect("all stored");
    }
    let group = stands(&client, |group| group.members == 0).await;
    assert_eq!((group.lag, group.in_flight, group.dead), (0, 0, 0));
    assert_eq!(group.topics.iter().map(|t| t.done).collect::<Vec<_>>(), [100, 100, 100]);
    assert!(all.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nak_comes_again_after_its_delay_and_a_release_does_not_count() {
    let broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    publish(&client, "order.1", 1..=2).await;
    let mut consumer = orders(&client).window(1).await.expect("joined");
    let began = std::time::Instant::now();
    let first = next(&mut consumer).await;
    assert_eq!((first.offset(), first.attempt()), (1, 1));
    let delay = Duration::from_millis(300);
    first.nak(Some(delay), "not yet").await.expect("stored");
    let second = next(&mut consumer).await;
    assert_eq!((second.offset(), second.attempt()), (2, 1));
    assert_eq!(stands(&client, |group| group.parked == 1).await.in_flight, 1);
    second.release().await.expect("stored");
    let again = next(&mut consumer).await;
    assert_eq!((again.offset(), again.attempt()), (2, 1), "released, not failed");
    again.ack().await.expect("stored");
    let again = next(&mut consumer).await;
    assert_eq!((again.offset(), again.attempt()), (1, 2));
    assert!(began.elapsed() >= delay);
    again.ack().await.expect("stored");
    stands(&client, |group| group.lag == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_is_kept_with_its_story_and_can_be_tried_again() {
    let broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    let message = Message::new(topic("order.7"), "{broken").event("order:new").key("k");
    client.publish(message.header("trace", b"t1")).await.expect("acked");
    publish(&client, "order.7", 2..=3).await;
    let twice = NonZeroU32::new(2).expect("not 0");
    let mut consumer = orders(&client).window(1).max_attempts(twice).await.expect("joined");
    next(&mut consumer).await.reject("cannot be read").await.expect("stored");
    for _ in 0..3 {
        let job = next(&mut consumer).await;
        let said = match job.offset() {
            2 => job.nak(Some(Duration::ZERO), "no shelf"),
            _ => job.ack(),
        };
        said.await.expect("stored");
    }
    stands(&client, |group| group.dead == 2 && group.lag == 0).await;

    let dead = client.dead_letters("packers");
    let letters = dead.list(None, 10).await.expect("listed").letters;
    let told: Vec<_> = letters.iter().map(|l| (l.offset, l.attempts, l.reason.as_str())).collect();
    assert_eq!(told, [(1, 1, "cannot be read"), (2, 2, "no shelf")]);
    let (letter, payload) = dead.peek(letters[0].id).await.expect("there");
    assert_eq!((letter.topic.as_str(), &payload[..]), ("order.7", &b"{broken"[..]));
    assert_eq!((letter.event.as_deref(), letter.key.as_deref()), (Some("order:new"), Some("k")));
    assert_eq!(letter.headers, [("trace".to_owned(), "t1".to_owned())]);
    assert_eq!(letter.failures.len(), 1);
    assert_eq!(letter.failures[0].user, "w");
    let unknown = dead.peek(999).await.expect_err("no such letter");
    assert_eq!(unknown.code(), Some(Code::UNKNOWN_DEAD_LETTER));

    assert_eq!(dead.retry(Letters::Ids(vec![letters[1].id])).await, done(1));
    let again = next(&mut consumer).await;
    assert_eq!((again.offset(), again.attempt(), again.payload_bytes()), (2, 1, &b"2"[..]));
    again.ack().await.expect("stored");
    assert_eq!(dead.retry_to(Letters::All, &topic("order.8")).await, done(1));
    let elsewhere = next(&mut consumer).await;
    assert_eq!((elsewhere.topic(), elsewhere.offset()), (&topic("order.8"), 1));
    assert_eq!(
        (elsewhere.payload_bytes(), elsewhere.event()),
        (&b"{broken"[..], Some("order:new"))
    );
    elsewhere.reject("still broken").await.expect("stored");
    stands(&client, |group| group.dead == 1).await;
    assert_eq!(dead.discard(Letters::All).await, done(1));
    assert!(dead.list(None, 10).await.expect("listed").letters.is_empty());
    stands(&client, |group| group.dead == 0 && group.lag == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_of_the_largest_payload_is_shown_whole() {
    let broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    let payload = vec![b'x'; 1 << 20];
    for _ in 0..2 {
        let message = Message::new(topic("order.1"), payload.clone());
        client.publish(message).await.expect("acked");
    }
    let mut consumer = orders(&client).await.expect("joined");
    for _ in 0..2 {
        next(&mut consumer).await.reject("too heavy").await.expect("stored");
    }
    let dead = client.dead_letters("packers");
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let page = dead.list(after, 10).await.expect("listed");
        ids.extend(page.letters.iter().map(|letter| letter.id));
        after = ids.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(ids.len(), 2);
    let (letter, shown) = dead.peek(ids[1]).await.expect("there");
    assert_eq!(letter.payload_bytes, 1 << 20);
    assert!(shown == payload);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_one_key_come_one_after_the_other() {
    let broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    for n in 0..30 {
        let message = Message::new(topic("order.1"), n.to_string()).key(&format!("k{}", n % 3));
        client.publish(message).await.expect("acked");
    }
    let mut consumer = orders(&client).key_order().await.expect("joined");
    let mut held: Vec<Job> = Vec::new();
    let mut last = [0; 3];
    for step in 0..30 {
        while held.len() < 3 && held.len() + step < 30 {
            held.push(next(&mut consumer).await);
        }
        let keys: BTreeSet<_> = held.iter().map(|job| job.key().map(str::to_owned)).collect();
        assert_eq!(keys.len(), held.len(), "two of a key at the same time");
        // In turn, so that no key ends before the others.
        let job = held.remove(0);
        let key: usize = job.key().and_then(|key| key[1..].parse().ok()).expect("a key");
        assert!(job.offset() > last[key], "{} after {}", job.offset(), last[key]);
        last[key] = job.offset();
        job.ack().await.expect("stored");
    }
    let differs = orders(&client).await.expect("any order will do");
    drop(differs);
    stands(&client, |group| group.order == "key" && group.lag == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_reads_one_pattern_and_only_for_those_who_may() {
    let broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    let consumer = orders(&client).await.expect("joined");
    let other = client.consume("packers", pattern("order.>")).await.expect_err("another pattern");
    assert_eq!(other.code(), Some(Code::GROUP_DIFFERS));
    let customer = broker.client("u1", Role::Customer).await;
    let refused = orders(&customer).await.expect_err("not granted");
    assert_eq!(refused.code(), Some(Code::NOT_GRANTED));
    let refused = customer.groups().await.expect_err("not granted");
    assert!(matches!(refused.code(), Some(Code::NOT_GRANTED | Code::ADMIN_ONLY)), "{refused}");
    let unknown = client.group("nobody").await.expect_err("no such group");
    assert_eq!(unknown.code(), Some(Code::UNKNOWN_GROUP));
    let names: Vec<_> =
        client.groups().await.expect("listed").into_iter().map(|group| group.group).collect();
    assert_eq!(names, ["chat", "inventory", "notifications", "packers"]);

    client.delete_group("packers").await.expect("ended");
    let mut consumer = consumer;
    assert!(consumer.next().await.is_none());
    assert_eq!(consumer.error().and_then(|e| e.code()), Some(Code::UNKNOWN_GROUP));
    let wider: Pattern = pattern("order.>");
    let again = tokio::time::timeout(PATIENCE, async {
        loop {
            match client.consume("packers", wider.clone()).await {
                Ok(consumer) => return consumer,
                Err(error) => assert!(error.is_retryable(), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    again.await.expect("the name is free in time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_seeks_reads_on_where_it_is_told() {
    let broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    publish(&client, "order.1", 1..=10).await;
    let mut consumer = orders(&client).await.expect("joined");
    for _ in 0..10 {
        next(&mut consumer).await.ack().await.expect("stored");
    }
    stands(&client, |group| group.lag == 0).await;
    client.seek("packers", &topic("order.1"), SeekTo::Offset(8)).await.expect("moved");
    for offset in 8..=10 {
        let job = next(&mut consumer).await;
        assert_eq!(job.offset(), offset);
        job.ack().await.expect("stored");
    }
    client.seek("packers", &topic("order.1"), SeekTo::TimeMs(0)).await.expect("moved");
    let job = next(&mut consumer).await;
    assert_eq!(job.offset(), 1);
    drop(job.release());
    let unknown = client.seek("packers", &topic("order.99"), SeekTo::Offset(1)).await;
    assert_eq!(unknown.expect_err("no such topic").code(), Some(Code::UNKNOWN_TOPIC));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_crashes_keeps_what_was_settled() {
    let mut broker = Broker::start();
    let client = broker.client("w", Role::Service).await;
    publish(&client, "order.1", 1..=20).await;
    let mut consumer = orders(&client).window(4).await.expect("joined");
    for _ in 0..8 {
        next(&mut consumer).await.ack().await.expect("stored");
    }
    next(&mut consumer).await.reject("never").await.expect("stored");
    broker = broker.crash_and_restart();
    // The consumer comes back by itself; what it held is handed out again.
    let mut offsets = Vec::new();
    while offsets.len() < 11 {
        let job = next(&mut consumer).await;
        let offset = job.offset();
        if job.ack().await.is_ok() {
            offsets.push(offset);
        }
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (10..=20).collect::<Vec<_>>());
    let group = stands(&client, |group| group.lag == 0).await;
    assert_eq!(group.dead, 1);
    drop(broker);
}
