//! `kill -9` at random moments under mixed load: publishes, a group's acks, naks, releases and dead
//! letters, a live reader. The clients live through it all; the checker holds what the broker has in
//! the end against what they were told.

use std::collections::BTreeSet;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{AckLevel, Client, Delivery, Job, Message, Received, Start, Topic};
use sampan_tests::chance::Chance;
use sampan_tests::check::check;
use sampan_tests::history::{self, Aftermath, Event, Found, Level, Place};
use sampan_tests::payload;
use sampan_tests::proof::Proof;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::harness::{Broker, PATIENCE, pattern};

const TOPICS: u64 = 4;
const PUBLISHERS: u64 = 4;
const CONSUMERS: u64 = 2;
/// Messages of a publisher that wait for their acks.
const WINDOW: usize = 32;
/// Publishes are spread out a little, so that what is drained in the end stays small.
const PAUSE: Duration = Duration::from_millis(2);
/// The last message of a topic, behind all that was sent.
const END: &str = "end";
const CONFIG: &str = "[shards]\ncount = 2\n[journal]\nsegment_bytes = 2097152\n";

fn topic(number: u64) -> Topic {
    format!("order.{number}").parse().expect("valid")
}

fn place(received: &Received) -> Place {
    let topic = received.topic().as_str().into();
    Place { topic, epoch: received.epoch(), offset: received.offset() }
}

/// What all clients write down, and whether they are to stop.
#[derive(Clone, Default)]
struct Notes {
    events: Arc<Mutex<Vec<Event>>>,
    stop: Arc<AtomicBool>,
}

impl Notes {
    fn write(&self, event: Event) {
        self.events.lock().expect("not poisoned").push(event);
    }

    fn count(&self) -> usize {
        self.events.lock().expect("not poisoned").len()
    }

    /// Waits until something has been written since there was so much.
    async fn go_on(&self, before: usize) {
        let end = Instant::now() + PATIENCE;
        // Publishers write down a window of messages without a broker; more than that needs one.
        while self.count() < before + 2 * WINDOW * usize::try_from(PUBLISHERS).expect("small") {
            assert!(Instant::now() < end, "nobody is served any more");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Publishes to all topics in turn until it is over, then waits for every ack.
async fn publish(client: Client, producer: u64, notes: Notes) {
    let mut chance = Chance::of(producer, "publisher", 0);
    let window = Arc::new(Semaphore::new(WINDOW));
    let mut sequence = 0;
    while !notes.is_over() {
        sequence += 1;
        let permit = window.clone().acquire_owned().await.expect("open");
        let message = history::Message { producer, sequence };
        let topic = topic(1 + chance.below(TOPICS));
        let size = if chance.below(4) == 0 { 4000 } else { 33 + chance.below(300) };
        let bytes = usize::try_from(size).expect("small");
        let level = *chance.pick(&[AckLevel::Logged, AckLevel::Synced]);
        let name: Arc<str> = topic.as_str().into();
        notes.write(Event::Sent { message, topic: name.clone(), bytes });
        let publish = Message::new(topic, payload::encode(message, bytes)).ack(level);
        let ack = client.try_publish(publish).expect("within the window");
        let notes = notes.clone();
        tokio::spawn(async move {
            // Without an ack it may have happened, or not.
            if let Ok(ack) = ack.await {
                let level = match ack.level {
                    AckLevel::Routed => Level::Routed,
                    AckLevel::Logged => Level::Logged,
                    _ => Level::Synced,
                };
                let place = Place { topic: name, epoch: ack.epoch, offset: ack.offset };
                notes.write(Event::Acked { message, place, level });
            }
            drop(permit);
        });
        tokio::time::sleep(PAUSE).await;
    }
    let all = u32::try_from(WINDOW).expect("small");
    let settled = tokio::time::timeout(PATIENCE, window.acquire_many(all)).await;
    let _all = settled.expect("all are settled").expect("open");
}

/// Works on the group's jobs, and fails at some.
async fn consume(client: Client, number: u64, notes: Notes) {
    let mut chance = Chance::of(number, "consumer", 0);
    let mut consumer = client.consume("work", pattern("order.>")).await.expect("joined");
    while let Some(job) = consumer.next().await {
        let place = place(&job);
        let group: Arc<str> = "work".into();
        notes.write(Event::Given { group: group.clone(), place: place.clone() });
        let (settling, ends) = settle(job, chance.below(20));
        let notes = notes.clone();
        tokio::spawn(async move {
            // What was late may have been given to another meanwhile.
            if settling.await.is_ok_and(|receipt| !receipt.late) && ends {
                notes.write(Event::Settled { group, place, level: Level::Synced });
            }
        });
    }
}

/// Settles a job in one of many ways; whether the group is done with it then.
fn settle(job: Job, lot: u64) -> (sampan_client::Settling, bool) {
    match lot {
        0 => (job.nak(Some(Duration::from_millis(20)), "not now"), false),
        1 => (job.release(), false),
        2 => (job.reject("never"), true),
        _ => (job.ack(), true),
    }
}

/// Writes down what a reader is shown while it happens.
async fn watch(client: Client, notes: Notes) {
    let all = Start::Since(0);
    let mut reader = client.subscribe(pattern("order.>"), all).await.expect("subscribed");
    while let Some(delivery) = reader.next().await {
        if let Delivery::Message(received) = delivery
            && !received.payload_bytes().starts_with(END.as_bytes())
        {
            let message = payload::decode(received.payload_bytes()).expect("whole");
            notes.write(Event::Shown(place(&received), message));
        }
    }
}

/// Every message that the broker holds, by a new reader, up to an end that is published for it.
async fn drain(broker: &Broker) -> Aftermath {
    let client = broker.client("drain", Role::Service).await;
    let mut after = Aftermath::default();
    for number in 1..=TOPICS {
        let end = client.publish(Message::new(topic(number), END)).await;
        let end = end.expect("acknowledged").offset;
        let wanted = pattern(topic(number).as_str());
        let all = Start::Since(0);
        let mut reader = client.subscribe(wanted, all).await.expect("subscribed");
        loop {
            let next = tokio::time::timeout(PATIENCE, reader.next()).await;
            match next.expect("it goes on").expect("not ended") {
                Delivery::Message(received) if received.offset() == end => break,
                Delivery::Message(received) => {
                    let payload = received.payload().to_vec();
                    after.found.push(Found { place: place(&received), payload });
                }
                // Offsets that were reserved and not used; the checker sees what else is missing.
                Delivery::Gap(_) => {}
            }
        }
    }
    after
}

/// Waits until the group was given everything.
async fn given_all(notes: &Notes, after: &Aftermath) {
    let end = Instant::now() + PATIENCE;
    loop {
        let given: BTreeSet<Place> = {
            let events = notes.events.lock().expect("not poisoned");
            let given = events.iter().filter_map(|event| match event {
                Event::Given { place, .. } => Some(place.clone()),
                _ => None,
            });
            given.collect()
        };
        let missing = after.found.iter().filter(|found| !given.contains(&found.place)).count();
        if missing == 0 {
            return;
        }
        assert!(Instant::now() < end, "{missing} were never given");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What the clients of one broker were told in all.
#[derive(Default)]
struct Sums {
    acked: u64,
    shown: usize,
    given: usize,
    settled: usize,
}

/// Kills one broker so often while clients use it, and looks at what it holds in the end.
async fn live_through(number: u64, kills: u64) -> Sums {
    let mut chance = Chance::of(number, "kill the broker", 0);
    let mut broker = Broker::configured(CONFIG);
    let notes = Notes::default();
    let mut publishers: Vec<JoinHandle<()>> = Vec::new();
    for producer in 1..=PUBLISHERS {
        let client = broker.client(&format!("p{producer}"), Role::Service).await;
        publishers.push(tokio::spawn(publish(client, producer, notes.clone())));
    }
    for number in 1..=CONSUMERS {
        let client = broker.client(&format!("c{number}"), Role::Service).await;
        tokio::spawn(consume(client, number, notes.clone()));
    }
    let watcher = broker.client("w", Role::Service).await;
    tokio::spawn(watch(watcher, notes.clone()));
    for _ in 0..kills {
        notes.go_on(notes.count()).await;
        tokio::time::sleep(Duration::from_millis(chance.between(&(50..=800)))).await;
        broker = tokio::task::block_in_place(|| broker.crash_and_restart());
    }
    notes.stop.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.await.expect("no panic");
    }
    let mut after = drain(&broker).await;
    given_all(&notes, &after).await;
    after.drained = (1..=TOPICS).map(|n| ("work".into(), topic(n).as_str().into())).collect();
    let events = notes.events.lock().expect("not poisoned").clone();
    let report = check(&events, &after, Level::Logged);
    assert_eq!(report.violations(), 0, "broker {number}: {report}");
    assert!(report.acked > kills * 10, "broker {number}: {report}");
    let count = |is: fn(&Event) -> bool| events.iter().filter(|event| is(event)).count();
    Sums {
        acked: report.acked,
        shown: count(|event| matches!(event, Event::Shown(..))),
        given: count(|event| matches!(event, Event::Given { .. })),
        settled: count(|event| matches!(event, Event::Settled { .. })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_at_random_moments_lose_nothing_that_anybody_was_told() {
    let full = env::var_os("CRASH_FULL").is_some();
    // Most of a kill is waiting, so several brokers are killed at a time.
    let (brokers, kills) = if full { (8, 25) } else { (4, 5) };
    let mut proof = Proof::of("kills of the broker");
    let lives: Vec<_> =
        (1..=brokers).map(|number| tokio::spawn(live_through(number, kills))).collect();
    let mut sums = Sums::default();
    for life in lives {
        let Sums { acked, shown, given, settled } = life.await.expect("nothing was lost");
        sums = Sums {
            acked: sums.acked + acked,
            shown: sums.shown + shown,
            given: sums.given + given,
            settled: sums.settled + settled,
        };
        proof.ran(kills);
    }
    let Sums { acked, shown, given, settled } = sums;
    proof.note(format!("{acked} acked, {shown} shown to a reader"));
    proof.note(format!("{given} given to a group, {settled} settled"));
}
