//! Real threads, real sockets, the real client: what only the shell can get wrong.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use sampan_client::{
    Client, Code, Delivery, Endpoint, Error, Message, Options, Start, Subscription, Token, Topic,
    Trust,
};
use sampan_core::config::Config;
use sampan_core::grant::{Identity, Role};
use sampan_quic::{Certificate, Limits};

use super::{Broker, Drain, Setup, runner};
use crate::udp::BufferSizes;

const DAY_MS: u64 = 24 * 3600 * 1000;
/// Long enough for a loaded machine, short enough for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct House {
    broker: Broker,
    endpoint: Endpoint,
}

/// A certificate for localhost, and the same as PEM.
fn certificate() -> (Certificate, Vec<u8>) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let made = params.self_signed(&key).expect("signed");
    let (der, pem) = (made.der().to_vec(), made.pem().into_bytes());
    (Certificate { chain: vec![der], key: key.serialize_der() }, pem)
}

/// Accepts `user/role`.
fn judge(token: &str, now_ms: u64) -> Result<Identity, Code> {
    let (user, role) = token.split_once('/').ok_or(Code::BAD_TOKEN)?;
    let role: Role = role.parse().map_err(|_| Code::BAD_TOKEN)?;
    let expires_ms = now_ms + DAY_MS;
    Ok(Identity { user: user.into(), role, expires_ms, issued_ms: None, token_id: None })
}

fn house(shards: u8) -> House {
    let (certificate, pem) = certificate();
    let config = Config::shipped();
    let store = Setup::memory(&config, shards, 64 << 20);
    let broker = Broker::start(Setup {
        addr: (Ipv4Addr::LOCALHOST, 0).into(),
        shards,
        buffers: BufferSizes::default(),
        config,
        limits: Limits::default(),
        certificate,
        secret: [7; 32],
        authenticate: Arc::new(judge),
        store,
    });
    let endpoint = Endpoint::bind(any(), &Trust::Pem(pem)).expect("a socket");
    House { broker: broker.expect("started"), endpoint }
}

fn any() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

impl House {
    fn options(&self, token: &str) -> Options {
        let url = format!("quic://localhost:{}", self.broker.local_addr().port());
        let endpoint = Some(self.endpoint.clone());
        Options { endpoint, ..Options::new(url, Token::Static(token.to_owned())) }
    }

    async fn connect(&self, token: &str) -> Client {
        Client::connect(self.options(token)).await.expect("connected")
    }

    async fn attach(&self, token: &str) -> Client {
        Client::attach(self.broker.link(), self.options(token)).await.expect("attached")
    }
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

async fn payloads(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    while got.len() < count {
        let next = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
        match next.expect("not ended") {
            Delivery::Message(message) => {
                got.push(String::from_utf8_lossy(message.payload_bytes()).into_owned());
            }
            Delivery::Gap(gap) => panic!("a gap: {gap:?}"),
        }
    }
    got
}

async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while !is() {
        assert!(tokio::time::Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_topic_reaches_subscribers_on_every_shard() {
    let house = house(3);
    let publisher = house.connect("shop/service").await;
    let mut readers = Vec::new();
    for n in 0..12 {
        let token = format!("reader{n}/service");
        let client =
            if n % 2 == 0 { house.connect(&token).await } else { house.attach(&token).await };
        let pattern = sampan_client::Pattern::parse("bench.>").expect("a pattern");
        let subscription = client.subscribe(pattern, Start::Now).await.expect("subscribed");
        readers.push((client, subscription));
    }
    let mut expected = Vec::new();
    for n in 0..200 {
        let message = Message::new(topic(&format!("bench.room{}", n % 10)), n.to_string());
        publisher.publish(message).await.expect("published");
        expected.push(n.to_string());
    }
    expected.sort();
    for (_client, subscription) in &mut readers {
        let mut got = payloads(subscription, 200).await;
        got.sort();
        assert_eq!(got, expected);
    }
    assert_eq!(house.broker.topics(100).expect("answered").len(), 10);
    assert_eq!(house.broker.topics_len(), 10);
    eventually("counters are published", || {
        let counters = house.broker.counters();
        counters.iter().map(|shard| shard.core.deliveries).sum::<u64>() >= 200 * 12
    })
    .await;
    let counters = house.broker.counters();
    let busy = |shard: &Arc<super::Counters>| shard.quic.connections > 0;
    assert!(counters.iter().filter(|shard| busy(shard)).count() > 1, "clients are spread");
    assert_eq!(counters.iter().map(|shard| shard.linked).sum::<u64>(), 6);
}

#[tokio::test]
async fn a_client_that_changes_its_port_loses_nothing() {
    let house = house(2);
    let publisher = house.attach("shop/service").await;
    let client = house.connect("ann/service").await;
    let mut room = client.subscribe(&topic("bench.room"), Start::Now).await.expect("subscribed");
    for n in 0..300 {
        let message = Message::new(topic("bench.room"), n.to_string());
        publisher.publish(message).await.expect("published");
        if n % 100 == 50 {
            house.endpoint.rebind(any()).expect("another port");
        }
    }
    let expected: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    assert_eq!(payloads(&mut room, 300).await, expected);
    let counters = house.broker.counters();
    assert!(counters.iter().map(|shard| shard.quic.handshakes_started).sum::<u64>() <= 1);
}

#[tokio::test]
async fn large_messages_reach_clients_inside_and_outside() {
    let house = house(2);
    let outside = house.connect("ann/service").await;
    let inside = house.attach("bob/service").await;
    let name = topic("archive.large");
    let mut one = outside.subscribe(&name, Start::Now).await.expect("subscribed");
    let mut two = inside.subscribe(&name, Start::Now).await.expect("subscribed");
    let sizes = [0, 1, 1023, 1024, 1025, 70_000, 1_000_000];
    for size in sizes {
        let payload = "z".repeat(size);
        inside.publish(Message::new(name.clone(), payload)).await.expect("published");
    }
    for room in [&mut one, &mut two] {
        let got = payloads(room, sizes.len()).await;
        assert_eq!(got.iter().map(String::len).collect::<Vec<_>>(), sizes);
    }
}

#[tokio::test]
async fn a_revoked_user_is_cut_off_and_nobody_else() {
    let house = house(2);
    let mut revoked = Vec::new();
    for _ in 0..3 {
        revoked.push(house.connect("eve/service").await);
    }
    revoked.push(house.attach("eve/service").await);
    let other = house.connect("ann/service").await;
    let hit = house.broker.close_where(Code::REVOKED, |who| &*who.user == "eve");
    assert_eq!(hit.expect("answered"), 4);
    for client in &revoked {
        let message = Message::new(topic("bench.room"), "x");
        let end = tokio::time::Instant::now() + PATIENCE;
        let error = loop {
            if let Err(error) = client.publish(message.clone()).await {
                break error;
            }
            assert!(tokio::time::Instant::now() < end, "still served");
        };
        assert_eq!(error.code(), Some(Code::REVOKED), "{error}");
    }
    other.publish(Message::new(topic("bench.room"), "x")).await.expect("published");
}

#[tokio::test]
async fn a_bad_token_is_refused_on_both_ways() {
    let house = house(1);
    let outside = Client::connect(house.options("nobody")).await.expect_err("refused");
    assert_eq!(outside.code(), Some(Code::BAD_TOKEN));
    let inside = Client::attach(house.broker.link(), house.options("nobody")).await;
    assert_eq!(inside.expect_err("refused").code(), Some(Code::BAD_TOKEN));
}

#[tokio::test]
async fn a_drained_broker_empties_and_lets_nobody_in() {
    let house = house(2);
    let mut clients = Vec::new();
    for n in 0..20 {
        clients.push(house.connect(&format!("user{n}/service")).await);
    }
    eventually("all are counted", || house.broker.attached() == 20).await;
    let spared = Client::attach(house.broker.link(), house.options("house/service")).await;
    let spared = spared.expect("attached");
    let plan = Drain {
        over: Duration::from_millis(300),
        reconnect_within: Duration::from_millis(10),
        close_after: Duration::from_millis(500),
    };
    house.broker.drain(plan, |who| &*who.user == "house");
    eventually("all others have left", || house.broker.attached() == 0).await;
    assert_eq!(spared.status().sessions, 1);
    let late =
        Options { connect_timeout: Duration::from_millis(500), ..house.options("x/service") };
    assert!(Client::connect(late).await.is_err());
    drop(clients);
    house.broker.stop();
}

#[tokio::test]
async fn a_new_certificate_leaves_connections_alone() {
    let house = house(2);
    let before = house.connect("ann/service").await;
    let (certificate, pem) = certificate();
    house.broker.reload_certificate(certificate).expect("a certificate");
    let endpoint = Endpoint::bind(any(), &Trust::Pem(pem)).expect("a socket");
    let options = Options { endpoint: Some(endpoint), ..house.options("bob/service") };
    let after = Client::connect(options).await.expect("trusts the new certificate");
    let mut room = after.subscribe(&topic("bench.room"), Start::Now).await.expect("subscribed");
    before.publish(Message::new(topic("bench.room"), "hello")).await.expect("published");
    assert_eq!(payloads(&mut room, 1).await, ["hello"]);
    let broken = Certificate { chain: Vec::new(), key: vec![1, 2, 3] };
    assert!(house.broker.reload_certificate(broken).is_err());
}

#[tokio::test]
async fn a_stopped_broker_tells_its_clients_and_frees_its_port() {
    let house = house(2);
    let addr = house.broker.local_addr();
    let client = house.attach("ann/service").await;
    house.broker.stop();
    house.broker.stop();
    assert!(house.broker.topics(1).is_err());
    let answer = client.publish(Message::new(topic("bench.room"), "x"));
    let answer = tokio::time::timeout(Duration::from_millis(200), answer).await;
    assert!(matches!(answer, Err(_) | Ok(Err(Error::Lost { .. } | Error::Closed { .. }))));
    std::net::UdpSocket::bind(addr).expect("the port is free");
}

#[test]
fn the_number_of_shards_is_checked() {
    let (certificate, _) = certificate();
    let config = Config::shipped();
    let store = Setup::memory(&config, 0, 0);
    let started = Broker::start(Setup {
        addr: any(),
        shards: 0,
        buffers: BufferSizes::default(),
        config,
        limits: Limits::default(),
        certificate,
        secret: [7; 32],
        authenticate: Arc::new(judge),
        store,
    });
    assert!(matches!(started, Err(super::Error::Shards(0))));
    assert!(runner::now().unix_ms > 1_600_000_000_000);
}
