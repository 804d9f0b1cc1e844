//! What a broker keeps on its disk, and what becomes of it.

use std::path::Path;
use std::process::Command;

use sampan::auth::Role;
use sampan_client::{Client, Code, Delivery, Error, Message, Start, Topic};

use crate::harness::{Broker, PATIENCE, pattern};

fn topic(name: &str) -> Topic {
    name.parse().expect("valid")
}

/// Publishes `from..to` as text, all in flight together; the epoch.
async fn publish(client: &Client, name: &str, from: u64, to: u64) -> u64 {
    let publishes = (from..to).map(|n| {
        let (client, message) = (client.clone(), Message::new(topic(name), n.to_string()));
        tokio::spawn(async move { client.publish(message).await.expect("acknowledged") })
    });
    let publishes: Vec<_> = publishes.collect();
    let mut epoch = 0;
    for publish in publishes {
        epoch = publish.await.expect("no panic").epoch;
    }
    epoch
}

/// Every message of a topic from its first on, by a new reader; there must be `count` of them at
/// the offsets from 1 on, in this epoch.
async fn assert_whole(broker: &Broker, name: &str, count: u64, epoch: u64) {
    let client = broker.client("reader", Role::Service).await;
    let all = Start::Last(1_000_000);
    let mut subscription = client.subscribe(pattern(name), all).await.expect("subscribed");
    let mut payloads = Vec::new();
    while payloads.len() < usize::try_from(count).expect("few") {
        let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
        match next.unwrap_or_else(|_| panic!("stuck after {}", payloads.len())) {
            Some(Delivery::Message(message)) => {
                assert_eq!((message.epoch(), message.offset()), (epoch, payloads.len() as u64 + 1));
                payloads.push(message.payload().to_vec());
            }
            Some(Delivery::Gap(gap)) => panic!("{gap:?}"),
            None => panic!("ended: {:?}", subscription.error()),
        }
    }
    payloads.sort_unstable();
    let mut expected: Vec<_> = (0..count).map(|n| n.to_string().into_bytes()).collect();
    expected.sort_unstable();
    assert_eq!(payloads, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_acknowledged_outlives_crashes_in_the_same_epoch() {
    let mut broker = Broker::configured("[journal]\nsegment_bytes = 2097152\n");
    let mut epochs = Vec::new();
    for round in 0..3 {
        let client = broker.client("p", Role::Service).await;
        for name in ["order.1", "order.2", "demo.a"] {
            epochs.push(publish(&client, name, round * 500, (round + 1) * 500).await);
        }
        broker = broker.crash_and_restart();
    }
    epochs.dedup();
    assert_eq!(epochs.len(), 1);
    for name in ["order.1", "order.2", "demo.a"] {
        assert_whole(&broker, name, 1500, epochs[0]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_ends_the_broker_and_takes_nothing_acknowledged_with_it() {
    let broker = Broker::start();
    let client = broker.client("p", Role::Service).await;
    let epoch = publish(&client, "order.1", 0, 100).await;
    broker.break_disk();
    let refused = client.publish(Message::new(topic("order.1"), "lost")).await;
    let code = match refused {
        Err(Error::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    };
    assert_eq!(code, Code::STORAGE);
    let (code, broker) = broker.end_and_restart();
    assert_eq!(code, Some(1), "the system has failed");
    assert_whole(&broker, "order.1", 100, epoch).await;
    assert_eq!(publish(&broker.client("p", Role::Service).await, "order.1", 100, 101).await, epoch);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_index_a_journal_is_as_whole_as_with_it() {
    let mut broker = Broker::start();
    let remove = |data: &Path| {
        for shard in std::fs::read_dir(data.join("journal")).expect("logs") {
            std::fs::remove_dir_all(shard.expect("a log").path().join("index")).expect("there");
        }
    };
    let spoil = |data: &Path| {
        for shard in std::fs::read_dir(data.join("journal")).expect("logs") {
            let db = shard.expect("a log").path().join("index").join("db");
            std::fs::write(db, [0xA5; 4096]).expect("written");
        }
    };
    let mut epoch = 0;
    for (round, between) in [&remove as &dyn Fn(&Path), &spoil, &|_| {}].into_iter().enumerate() {
        let client = broker.client("p", Role::Service).await;
        let round = round as u64;
        epoch = publish(&client, "order.1", round * 10, (round + 1) * 10).await;
        broker = broker.stop_and_restart("", between);
        assert_whole(&broker, "order.1", (round + 1) * 10, epoch).await;
    }
    assert_whole(&broker, "order.1", 30, epoch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_shards_is_that_of_the_journal() {
    let broker = Broker::configured("[shards]\ncount = 3\n");
    let broker = broker.stop_and_restart("", |_| {});
    assert!((broker.metric("sampan_shards") - 3.0).abs() < f64::EPSILON);
    let data = broker.data.path().join("data");
    broker.terminate();
    let kept = broker.data.clone();
    assert!(broker.wait(), "a clean end");
    let refused = Command::new(env!("CARGO_BIN_EXE_sampan"))
        .args(["serve", "--http", "127.0.0.1:0", "--quic", "127.0.0.1:0", "--data"])
        .arg(data)
        .env("SAMPAN_SHARDS_COUNT", "2")
        .output()
        .expect("run");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("shards.count is 2") && told.contains("made for 3"), "{told}");
    drop(kept);
}
