//! The client over real QUIC on the loopback address.

mod fake;

use std::net::SocketAddr;
use std::time::Duration;

use fake::quic::{Served, serve};
use fake::{Fake, TOKEN};
use sampan_client::{
    Client, Code, Delivery, Endpoint, Error, Message, Options, Start, State, Subscription, Token,
    Topic, Trust,
};

fn options(served: &Served) -> Options {
    Options {
        trust: Trust::Pem(served.certificate.clone().into_bytes()),
        ..Options::new(served.url(), Token::Static(TOKEN.to_owned()))
    }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect(name)
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Reads so many messages, which must be the next ones in order.
async fn read(subscription: &mut Subscription, first: u64, count: u64) {
    let (mut deliveries, mut next) = (Vec::new(), first);
    while next < first + count {
        let many = subscription.next_many(&mut deliveries);
        assert!(tokio::time::timeout(Duration::from_secs(20), many).await.expect("in time") > 0);
        for delivery in deliveries.drain(..) {
            let Delivery::Message(message) = delivery else { panic!("a gap") };
            assert_eq!(message.offset(), next);
            next += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_size_arrive_in_order() {
    let broker = Fake::new();
    let served = serve(&broker);
    let client = Client::connect(options(&served)).await.expect("connected");
    let mut subscription = client.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
    for size in [0, 1, 100, 1_200, 8_191, 8_192, 70_000, 1 << 20] {
        let payload: Vec<u8> = (0..size).map(|n| n as u8).collect();
        client.publish(Message::new(topic("a"), payload.clone())).await.expect("acked");
        let Some(Delivery::Message(got)) = subscription.next().await else { panic!("no message") };
        assert!(got.payload() == payload, "{size}");
    }
    assert!(client.status().round_trip.is_some());
    client.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_moves_and_one_that_is_cut_lose_nothing() {
    let broker = Fake::new();
    let served = serve(&broker);
    let endpoint = Endpoint::bind(any(), &options(&served).trust).expect("bound");
    let moving = Options { endpoint: Some(endpoint), ..options(&served) };
    let moving = Client::connect(moving).await.expect("connected");
    let source = Client::connect(options(&served)).await.expect("connected");
    let mut subscription = moving.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
    let reader = tokio::spawn(async move {
        read(&mut subscription, 1, 6_000).await;
        subscription
    });
    let (publisher, acks) = source.publisher();
    drop(acks);
    for n in 0..6_000 {
        publisher.publish(Message::new(topic("a"), "x")).await.expect("queued");
        match n {
            1_000 | 2_000 | 3_000 => moving.rebind(any()).expect("rebound"),
            4_000 => broker.cut(Code::RESTARTED),
            _ => {}
        }
        if n % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    publisher.flush().await.expect("flushed");
    reader.await.expect("all were read");
    assert_eq!(broker.stored("a"), 6_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_share_one_socket() {
    let broker = Fake::new();
    let served = serve(&broker);
    let endpoint = Endpoint::bind(any(), &options(&served).trust).expect("bound");
    let mut clients = Vec::new();
    for _ in 0..50 {
        let options = Options { endpoint: Some(endpoint.clone()), ..options(&served) };
        let client = Client::connect(options).await.expect("connected");
        let subscription = client.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
        clients.push((client, subscription));
    }
    clients[0].0.publish(Message::new(topic("a"), "x")).await.expect("acked");
    for (_, subscription) in &mut clients {
        read(subscription, 1, 1).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_fails_at_once() {
    let (broker, other) = (Fake::new(), serve(&Fake::new()));
    let served = serve(&broker);
    let options = Options { trust: options(&other).trust, ..options(&served) };
    let failed = tokio::time::timeout(Duration::from_secs(5), Client::connect(options)).await;
    let failed = failed.expect("at once").expect_err("not trusted");
    assert!(!failed.is_retryable(), "{failed}");
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_unreachable() {
    let served = serve(&Fake::new());
    let options = Options {
        url: "quic://127.0.0.1:9".to_owned(),
        connect_timeout: Duration::from_millis(300),
        ..options(&served)
    };
    let failed = Client::connect(options).await.expect_err("nobody");
    assert!(matches!(failed, Error::Unreachable { .. }), "{failed}");
}

#[tokio::test]
async fn a_close_code_of_the_broker_closes_the_client() {
    let broker = Fake::new();
    let served = serve(&broker);
    let client = Client::connect(options(&served)).await.expect("connected");
    let mut subscription = client.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
    broker.cut(Code::REVOKED);
    assert!(subscription.next().await.is_none());
    assert_eq!(subscription.error().and_then(|e| e.code()), Some(Code::REVOKED));
    assert_eq!(client.status().state, State::Closed);
}
