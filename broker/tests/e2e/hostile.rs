//! Clients that break the rules: each is told its code, is counted, and harms nobody else.

use std::time::Duration;

use bytes::BytesMut;
use sampan::auth::Role;
use sampan_client::{Message, Start, Topic};
use sampan_protocol::attribute::Tag;
use sampan_protocol::control::{self, PublishRefused, Refused, Subscribe};
use sampan_protocol::frame::Header;
use sampan_protocol::{Code, Kind};

use crate::harness::{Broker, PATIENCE, Raw, hello, pattern, tls};

/// A well-behaved pair still gets a message through.
async fn others_are_served(broker: &Broker) {
    let client = broker.client("good", Role::Service).await;
    let topic: Topic = "order.good".parse().expect("valid");
    let mut subscription = client.subscribe(&topic, Start::Now).await.expect("subscribed");
    client.publish(Message::new(topic, "still here")).await.expect("acknowledged");
    let got = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
    assert!(got.is_some());
    client.close().await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_frames_end_the_session_and_nobody_elses() {
    let broker = Broker::start();
    let publish = Header::new(Kind::Publish).to_frame(&[], &[0; 64]).expect("small");
    let lying = {
        let mut bytes = BytesMut::from(&publish[..]);
        bytes[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        bytes
    };
    let unknown = {
        let mut bytes = BytesMut::from(&publish[..]);
        bytes[0] = 250;
        bytes
    };
    let long_attributes = {
        let mut bytes = BytesMut::from(&publish[..]);
        bytes[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
        bytes
    };
    let large_number = {
        let mut bytes = BytesMut::from(&publish[..]);
        bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        bytes
    };
    for bad in [lying, unknown, long_attributes, large_number, BytesMut::from(&[0xff; 4096][..])] {
        let mut raw = Raw::greeted(&broker, "bad", Role::Service).await;
        raw.send(&bad).await;
        assert_eq!(raw.closed().await, Code::PROTOCOL);
    }
    broker.metric_reaches("sampan_frames_malformed_total", 5.0).await;
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_introduce_itself_is_closed() {
    let broker = Broker::start();
    // Real time is the subject: the deadline is five seconds.
    let silent = Raw::connect(&broker).await;
    let mut early = Raw::connect(&broker).await;
    early.send(&Header::new(Kind::Publish).bare()).await;
    assert_eq!(early.closed().await, Code::PROTOCOL);
    let mut stranger = Raw::connect(&broker).await;
    stranger.say(&hello("not a token"), 0).await;
    assert_eq!(stranger.closed().await, Code::BAD_TOKEN);
    let mut elder = Raw::connect(&broker).await;
    let mut other = hello("t");
    other.version = 77;
    elder.say(&other, 0).await;
    assert_eq!(elder.closed().await, Code::UNSUPPORTED_VERSION);
    let closed = tokio::time::timeout(Duration::from_secs(20), silent.closed()).await;
    assert_eq!(closed.expect("closed in time"), Code::SLOW_HANDSHAKE);
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_name_fails_the_handshake() {
    let broker = Broker::start();
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let mut endpoint = quinn::Endpoint::client(any).expect("bound");
    endpoint.set_default_client_config(tls(&broker.data_dir().certificate_path(), b"h3"));
    let connecting = endpoint.connect(broker.quic, "localhost").expect("configured");
    assert!(connecting.await.is_err());
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_topics_and_bodies_are_refused_with_their_codes_until_the_third_strike() {
    let broker = Broker::start();
    let mut raw = Raw::greeted(&broker, "clumsy", Role::Service).await;
    let subscribe =
        |pattern: &str| Subscribe { pattern: pattern.into(), start: control::Start::Now };
    let refusal =
        |frame: &sampan_protocol::Frame| -> Refused { control::decode(frame).expect("refused") };
    raw.say(&subscribe("a..b"), 1).await;
    assert_eq!(Code(refusal(&raw.hear().await.expect("answered")).code), Code::BAD_TOPIC);
    let slack = Header::new(Kind::Subscribe).number(2).to_frame(&[], &[7; 100]).expect("small");
    raw.send(&slack).await;
    assert_eq!(Code(refusal(&raw.hear().await.expect("answered")).code), Code::MALFORMED);
    raw.send(&slack).await;
    assert_eq!(raw.closed().await, Code::PROTOCOL);
    // A name of 64 KiB does not even fit its field, and a control character is not text.
    for name in [vec![b'a'; 65_000], b"order.a\nb".to_vec()] {
        let mut raw = Raw::greeted(&broker, "clumsy", Role::Service).await;
        let mut attributes = vec![1];
        attributes.extend_from_slice(&u16::try_from(name.len()).expect("fits").to_le_bytes());
        attributes.extend_from_slice(&name);
        match Header::new(Kind::Publish).number(1).to_frame(&attributes, b"x") {
            Ok(frame) => {
                raw.send(&frame).await;
                let answer = raw.hear().await.expect("answered");
                assert_eq!(answer.header.kind, Kind::PublishRefused);
            }
            Err(_) => {
                // The encoder refuses it; the same bytes by hand are refused by the broker.
                let mut bytes = BytesMut::from(&Header::new(Kind::Publish).bare()[..]);
                bytes[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
                bytes.extend_from_slice(&attributes);
                raw.send(&bytes).await;
                assert_eq!(raw.closed().await, Code::PROTOCOL);
            }
        }
    }
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_subscriptions_on_one_connection_are_bounded() {
    let broker = Broker::start();
    let mut raw = Raw::greeted(&broker, "greedy", Role::Service).await;
    let (mut kept, mut refused) = (0, 0);
    // Windows of answers, since a client that does not read its answers is closed.
    for window in 0..100 {
        for n in 0..100 {
            let number = window * 100 + n + 1;
            let pattern = format!("bench.{number}");
            raw.say(&Subscribe { pattern, start: control::Start::Now }, number).await;
        }
        for _ in 0..100 {
            let answer = raw.hear().await.expect("answered");
            match answer.header.kind {
                Kind::Subscribed => kept += 1,
                Kind::Refused => {
                    let body: Refused = control::decode(&answer).expect("valid");
                    let code = Code(body.code);
                    assert!(matches!(code, Code::TOO_MANY | Code::RATE_LIMITED), "{code}");
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(kept <= 1024, "{kept}");
    assert_eq!(kept + refused, 10_000);
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_opened_in_a_loop_and_floods_of_datagrams_are_thrown_out_or_harmless() {
    let broker = Broker::start();
    let looper = Raw::greeted(&broker, "looper", Role::Service).await;
    let opened = tokio::time::timeout(PATIENCE, async {
        for _ in 0..5_000 {
            let Ok(mut stream) = looper.connection.open_uni().await else { return false };
            if stream.write_all(b"x").await.is_err() || stream.reset(0_u32.into()).is_err() {
                return false;
            }
        }
        true
    })
    .await;
    assert_eq!(opened, Ok(false), "five thousand empty streams are not served");
    assert_eq!(looper.closed().await, Code::ABUSE);
    let flooder = Raw::greeted(&broker, "flooder", Role::Service).await;
    let before = broker.resident_kib();
    for _ in 0..20_000 {
        if flooder.connection.send_datagram(bytes::Bytes::from_static(&[0xee; 900])).is_err() {
            break;
        }
        if flooder.connection.datagram_send_buffer_space() < 1000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(broker.resident_kib() < before + 16 * 1024);
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_good_messages_is_cut_to_the_rate_of_its_role() {
    let config = "[[classes]]\npattern = 'chat.seen.*'\nclass = 'ephemeral'\ndatagrams = true\n\
                  [roles.customer]\npublish = ['..', 'chat.seen.*']\n";
    let broker = Broker::configured(config);
    let mut raw = Raw::greeted(&broker, "loud", Role::Customer).await;
    let mut attributes = BytesMut::new();
    sampan_protocol::attribute::put(&mut attributes, Tag::Topic, b"chat.seen.1");
    let before = broker.resident_kib();
    for sequence in 1..=10_000 {
        let header = Header::new(Kind::Publish).number(sequence);
        let frame = header.to_frame(&attributes, b"hello").expect("small");
        if raw.connection.send_datagram(frame).is_err() {
            break;
        }
        if raw.connection.datagram_send_buffer_space() < 1000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let mut refused = 0;
    while refused == 0 {
        let answer = raw.hear().await.expect("not closed for it");
        if answer.header.kind == Kind::PublishRefused {
            let body: PublishRefused = control::decode(&answer).expect("valid");
            assert_eq!(Code(body.code), Code::RATE_LIMITED);
            assert!(body.retry_after_ms > 0);
            refused += 1;
        }
    }
    assert!(broker.metric("sampan_messages_published_total") < 1_000.0);
    assert!(broker.resident_kib() < before + 16 * 1024);
    others_are_served(&broker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_reads_costs_its_budget_and_no_more() {
    let broker = Broker::start();
    let mut deaf = Raw::greeted(&broker, "deaf", Role::Service).await;
    deaf.say(&Subscribe { pattern: "bench.>".into(), start: control::Start::Now }, 1).await;
    assert_eq!(deaf.hear().await.expect("answered").header.kind, Kind::Subscribed);
    let publisher = broker.client("loud", Role::Service).await;
    let mut reader =
        publisher.subscribe(pattern("bench.loud"), Start::Now).await.expect("subscribed");
    let before = broker.resident_kib();
    let topic: Topic = "bench.loud".parse().expect("valid");
    let payload = bytes::Bytes::from(vec![b'x'; 64 * 1024]);
    // 64 MiB towards somebody who does not read: sixteen times what one session may hold.
    for _ in 0..1024 {
        publisher.publish(Message::new(topic.clone(), payload.clone())).await.expect("taken");
        let got = tokio::time::timeout(PATIENCE, reader.next()).await.expect("in time");
        assert!(got.is_some());
    }
    let grown = broker.resident_kib().saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB");
    broker.metric_reaches("sampan_messages_dropped_total", 1.0).await;
    drop(deaf);
}
