//! What clients get: everything, once, in order, whatever happens to their path.

use std::net::SocketAddr;
use std::time::Duration;

use sampan::auth::Role;
use sampan_client::{Client, Delivery, Event, Message, Start, Subscription, Topic};

use crate::harness::{Broker, PATIENCE, pattern};

fn topic(name: &str) -> Topic {
    name.parse().expect("valid")
}

/// The next `count` payloads of a subscription, which must be free of losses.
async fn read(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    while got.len() < count {
        let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
        match next.unwrap_or_else(|_| panic!("stuck after {} of {count}", got.len())) {
            Some(Delivery::Message(message)) => {
                got.push(String::from_utf8(message.payload().to_vec()).expect("text"));
            }
            Some(Delivery::Gap(gap)) => assert!(!gap.is_loss(), "{gap:?}"),
            None => panic!("ended after {}: {:?}", got.len(), subscription.error()),
        }
    }
    got
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

async fn publish_all(client: Client, name: &'static str, count: usize, pace: Duration) {
    let topic = topic(name);
    for n in 0..count {
        client.publish(Message::new(topic.clone(), n.to_string())).await.expect("acknowledged");
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_subscribers_get_every_message_once_and_in_order() {
    let broker = Broker::start();
    let clients = broker.clients(50, Role::Service).await;
    let mut readers = Vec::new();
    for client in &clients {
        let mut subscription =
            client.subscribe(pattern("catalog.debian"), Start::Now).await.expect("subscribed");
        readers.push(tokio::spawn(async move { read(&mut subscription, 2_000).await }));
    }
    let publisher = broker.client("p", Role::Service).await;
    publish_all(publisher, "catalog.debian", 2_000, Duration::ZERO).await;
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), numbers(2_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_subscribers_whose_sockets_move_three_times_get_the_same_bytes() {
    let broker = Broker::start();
    let clients = broker.clients(50, Role::Service).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut readers = Vec::new();
    for client in &clients {
        let mut subscription =
            client.subscribe(pattern("catalog.debian"), Start::Now).await.expect("subscribed");
        let told = told.clone();
        readers.push(tokio::spawn(async move {
            let mut got = Vec::new();
            for _ in 0..4 {
                got.extend(read(&mut subscription, 500).await);
                let _ = told.send(());
            }
            got
        }));
    }
    let publisher = broker.client("p", Role::Service).await;
    let sending = publish_all(publisher, "catalog.debian", 2_000, Duration::from_millis(1));
    let sending = tokio::spawn(sending);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    for _ in 0..3 {
        // They share one socket, so that one move moves all fifty while more is on its way.
        heard.recv().await.expect("readers live");
        clients[0].rebind(any).expect("rebound");
        for _ in 1..50 {
            heard.recv().await.expect("readers live");
        }
    }
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), numbers(2_000));
    }
    sending.await.expect("all acknowledged");
    assert!(clients.iter().all(|client| client.status().sessions == 1), "moved, not reconnected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_rebound_three_times_under_load_loses_nothing() {
    let broker = Broker::start();
    let reader = broker.client("r", Role::Service).await;
    let mut subscription =
        reader.subscribe(pattern("order.1"), Start::Now).await.expect("subscribed");
    let publisher = broker.client("p", Role::Service).await;
    let sending = publish_all(publisher.clone(), "order.1", 1_500, Duration::from_millis(1));
    let sending = tokio::spawn(sending);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut got = Vec::new();
    for _ in 0..3 {
        got.extend(read(&mut subscription, 300).await);
        reader.rebind(any).expect("rebound");
        publisher.rebind(any).expect("rebound");
    }
    got.extend(read(&mut subscription, 600).await);
    assert_eq!(got, numbers(1_500));
    sending.await.expect("all acknowledged");
    assert_eq!(reader.status().sessions, 1, "a new port is no new session");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_reader_at_a_hundredth_of_the_speed_costs_the_others_nothing_and_loses_nothing() {
    let broker = Broker::start();
    let clients = broker.clients(20, Role::Service).await;
    let mut readers = Vec::new();
    for client in &clients {
        let mut subscription =
            client.subscribe(pattern("order.1"), Start::Now).await.expect("subscribed");
        readers.push(tokio::spawn(async move { read(&mut subscription, 4_000).await.len() }));
    }
    // A reader that stops for good until the others are done, with a queue of a few messages.
    let mut options = broker.options("slow", Role::Service);
    options.queue_max = 16;
    let slow = Client::connect(options).await.expect("connected");
    let mut waiting = slow.subscribe(pattern("order.1"), Start::Now).await.expect("subscribed");
    let publisher = broker.client("p", Role::Service).await;
    let topic = topic("order.1");
    let payload = "x".repeat(2_000);
    for n in 0..4_000 {
        let text = format!("{n} {payload}");
        publisher.publish(Message::new(topic.clone(), text)).await.expect("acknowledged");
    }
    for reader in readers {
        assert_eq!(reader.await.expect("no panic"), 4_000);
    }
    broker.metric_reaches("sampan_feeds_detached_total", 1.0).await;
    let got = read(&mut waiting, 4_000).await;
    let order: Vec<usize> = got
        .iter()
        .map(|text| text.split(' ').next().and_then(|n| n.parse().ok()).expect("a number"))
        .collect();
    assert_eq!(order, (0..4_000).collect::<Vec<_>>());
}

/// How long the client waits before it first tries to come back.
fn first_wait(client: &Client) -> impl Future<Output = Duration> + use<> {
    let mut events = client.events();
    async move {
        loop {
            if let Event::Waiting { retry_in, .. } = events.next().await.expect("lives on") {
                return retry_in;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_broker_is_found_again_by_all_and_has_lost_nothing() {
    let broker = Broker::start();
    let clients = broker.clients(1_000, Role::Service).await;
    let mut subscriptions = Vec::new();
    for client in &clients {
        subscriptions
            .push(client.subscribe(pattern("order.1"), Start::Now).await.expect("subscribed"));
    }
    let publisher = broker.client("p", Role::Service).await;
    publish_all(publisher.clone(), "order.1", 10, Duration::ZERO).await;
    for subscription in &mut subscriptions {
        assert_eq!(read(subscription, 10).await, numbers(10));
    }
    let waits: Vec<_> = clients.iter().map(|client| tokio::spawn(first_wait(client))).collect();
    let broker = broker.crash_and_restart();
    // The publisher keeps what is not acknowledged and sends it when the broker is back.
    let after = publisher.publish(Message::new(topic("order.1"), "after")).await;
    assert_eq!(after.expect("acknowledged").offset, 11, "no offset is skipped");
    for subscription in &mut subscriptions {
        assert_eq!(read(subscription, 1).await, ["after"]);
    }
    let mut early = 0;
    for wait in waits {
        early += usize::from(wait.await.expect("no panic") < Duration::from_millis(250));
    }
    assert!((350..650).contains(&early), "{early} of 1000 in the first half of half a second");
    drop(broker);
}
