//! Input on `/socket.io/` that no well-made client sends: each with its answer, a counter, and no
//! effect on others.

use futures_util::StreamExt;
use sampan::auth::Role;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::bad::{answer_to, frame, status_of};
use crate::harness::{Broker, PATIENCE, Reply, Socket};

const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
pub(crate) const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";

/// A connection that polls: the address of its requests.
pub(crate) async fn opened(broker: &Broker) -> String {
    let open = broker.call("GET", POLLING, "", b"").await;
    let open: Value = serde_json::from_slice(&open.body[1..]).expect("JSON after the type");
    format!("{POLLING}&sid={}", open["sid"].as_str().expect("a text"))
}

/// The protocol's code in a refusal.
pub(crate) fn code(reply: &Reply) -> (u16, Option<u64>) {
    (reply.status, reply.json()["code"].as_u64())
}

pub(crate) async fn until_metric(broker: &Broker, name: &str, value: u64) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while broker.metric(name).await < value {
        assert!(tokio::time::Instant::now() < until, "{name}");
    }
}

#[tokio::test]
async fn a_request_that_names_no_connection_is_refused_in_the_words_of_the_protocol() {
    let broker = Broker::start();
    let closed = opened(&broker).await;
    assert_eq!(broker.call("POST", &closed, "", b"1").await.text(), "ok", "it says that it leaves");
    until_metric(&broker, "sampan_bridge_socketio_ended_total", 1).await;
    let foreign = format!("{POLLING}&sid=AAAAAAAAAAAAAAAAAAAAAA");
    let chosen = format!("{WEBSOCKET}&sid=mine");
    for (method, path, expected) in [
        ("GET", "/socket.io/?EIO=3&transport=polling", 5),
        ("GET", "/socket.io/?EIO=4", 0),
        ("GET", "/socket.io/?EIO=4&transport=polling&token=x", 3),
        ("POST", POLLING, 2),
        ("DELETE", POLLING, 2),
        ("GET", &foreign, 1),
        ("POST", &foreign, 1),
        ("GET", &closed, 1),
        ("POST", &closed, 1),
    ] {
        let reply = broker.call(method, path, "", b"").await;
        assert_eq!(code(&reply), (400, Some(expected)), "{method} {path}");
    }
    let refused = broker.upgrade_at(&chosen, &[]).await;
    assert!(refused.is_err(), "no client chooses the name of a connection");
}

#[tokio::test]
async fn two_polls_at_once_or_one_given_up_end_that_connection_alone() {
    let broker = Broker::start();
    let mut witness = broker.live(&broker.token("ann", Role::Customer)).await;
    let other = opened(&broker).await;
    let twice = opened(&broker).await;
    let (one, two) =
        tokio::join!(broker.call("GET", &twice, "", b""), broker.call("GET", &twice, "", b""));
    let mut answers = [(one.status, one.text()), (two.status, two.text())];
    answers.sort();
    assert_eq!(answers[0], (200, "1".to_owned()), "the first is told of the end");
    assert_eq!(answers[1].0, 400);
    assert_eq!(code(&broker.call("GET", &twice, "", b"").await), (400, Some(1)));
    assert_eq!(broker.metric("sampan_bridge_socketio_polls_total").await, 1);
    let until = tokio::time::Instant::now() + PATIENCE;
    while broker.metric("sampan_bridge_socketio_polls_total").await < 2 {
        assert!(tokio::time::Instant::now() < until, "a poll that is given up is noticed");
        // One that is given up before it has begun is none.
        let given_up = opened(&broker).await;
        let mut stream = TcpStream::connect(broker.http).await.expect("connected");
        let head = format!("GET {given_up} HTTP/1.1\r\nhost: {}\r\n\r\n", broker.http);
        stream.write_all(head.as_bytes()).await.expect("sent");
        broker.metric("sampan_bridge_socketio_polls_total").await;
        drop(stream);
    }
    assert_eq!(broker.call("POST", &other, "", b"3").await.text(), "ok", "others go on");
    witness.say(&json!({"id": 1, "ping": {}})).await;
    assert_eq!(witness.hear().await["id"], 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_or_has_no_end_is_refused() {
    let broker = Broker::start();
    let sid = opened(&broker).await;
    let post = |more: &str| format!("POST {sid} HTTP/1.1\r\nhost: {}\r\n{more}\r\n", broker.http);
    let mut declared = post("content-length: 1000001\r\n").into_bytes();
    declared.extend(vec![b' '; 1_000_001]);
    assert_eq!(status_of(&broker, &declared).await, 413);
    let mut chunked = post("transfer-encoding: chunked\r\n").into_bytes();
    for _ in 0..11 {
        chunked.extend(b"186a0\r\n");
        chunked.extend(vec![b' '; 100_000]);
        chunked.extend(b"\r\n");
    }
    assert_eq!(status_of(&broker, &chunked).await, 413);
    assert_eq!(broker.metric("sampan_http_bodies_too_large_total").await, 2);
    let slow = post("content-length: 9\r\n") + "4";
    assert_eq!(status_of(&broker, slow.as_bytes()).await, 408);
    assert_eq!(broker.call("POST", &sid, "", b"3").await.text(), "ok", "nothing of it was heard");
}

/// A client that is in, on a WebSocket.
pub(crate) async fn live(broker: &Broker, token: &str) -> Socket {
    let mut socket = broker.upgrade_at(WEBSOCKET, &[]).await.expect("upgraded");
    socket.send(Message::text(format!("40{}", json!({ "token": token })))).await;
    while !heard(&mut socket).await.starts_with("40") {}
    socket
}

/// The next packet.
pub(crate) async fn heard(socket: &mut Socket) -> String {
    let next = tokio::time::timeout(PATIENCE, socket.stream.next()).await.expect("in time");
    next.expect("open").expect("a frame").into_text().expect("a text").to_string()
}

#[tokio::test]
async fn a_reader_that_stops_costs_a_bounded_amount_and_holds_up_nobody() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut stopped = Vec::new();
    for _ in 0..8 {
        stopped.push(live(&broker, &token).await);
    }
    let mut reader = live(&broker, &token).await;
    let mut writer = broker.live(&token).await;
    let before = broker.resident_kib();
    let payload = "x".repeat(64 * 1024);
    for n in 0..400 {
        let event = format!("n{n}");
        let message = json!({"topic": "user.till", "event": event, "payload": payload});
        writer.say(&json!({"id": n + 1, "publish": message})).await;
        writer.hear_of("published").await;
        loop {
            let packet = heard(&mut reader).await;
            if packet.starts_with(&format!("42[\"{event}\",")) {
                break;
            }
            assert_eq!(packet, "2", "nothing is missing before {event}");
            reader.send(Message::text("3")).await;
        }
    }
    let grown = broker.resident_kib().saturating_sub(before);
    // 400 messages for eight readers are 200 MiB if all of them wait.
    assert!(grown < 120 * 1024, "{grown} KiB");
}

#[tokio::test]
async fn packets_that_make_no_sense_end_a_connection_that_polls() {
    let broker = Broker::start();
    let other = opened(&broker).await;
    let rows: [&[u8]; 6] = [
        b"",
        b"x",
        b"\xff",
        b"4511-[\"x\",{\"_placeholder\":true,\"num\":0}]",
        b"4599999999999-[\"x\"]",
        b"42[\"constructor\"",
    ];
    for (ended, body) in (1..).zip(rows) {
        let sid = opened(&broker).await;
        let reply = broker.call("POST", &sid, "", body).await;
        assert_eq!(code(&reply), (400, Some(3)), "{body:?}");
        until_metric(&broker, "sampan_bridge_socketio_malformed_total", ended).await;
    }
    assert_eq!(broker.call("POST", &other, "", b"3").await.text(), "ok", "others go on");
}

#[tokio::test]
async fn frames_and_packets_that_break_the_rules_are_closed_with_their_code() {
    let broker = Broker::start();
    let mut witness = broker.live(&broker.token("ann", Role::Customer)).await;
    let mut unmasked = frame(0x81, b"3");
    unmasked[1] &= 0x7f;
    let many = b"4511-[\"x\",{\"_placeholder\":true,\"num\":0}]";
    for (bytes, status, counter) in [
        (unmasked, 1002, "malformed"),
        (frame(0xc1, b"3"), 1002, "malformed"),
        (frame(0x83, b"3"), 1002, "malformed"),
        (frame(0x89, &[0; 200]), 1002, "malformed"),
        (frame(0x81, b"\xff"), 1007, "malformed"),
        (frame(0x81, &vec![b'4'; 1_000_001]), 1009, "malformed"),
        (frame(0x81, b"x"), 1002, "malformed"),
        (frame(0x81, many), 1002, "malformed"),
        (frame(0x81, b"3").repeat(3000), 1008, "flood"),
    ] {
        let counter = format!("sampan_bridge_socketio_{counter}_total");
        let before = broker.metric(&counter).await;
        let head = &bytes[..bytes.len().min(8)];
        assert_eq!(answer_to(&broker, WEBSOCKET, &bytes).await, status, "{head:x?}");
        assert_eq!(broker.metric(&counter).await, before + 1, "{counter} {head:x?}");
    }
    witness.say(&json!({"id": 1, "ping": {}})).await;
    assert_eq!(witness.hear().await["id"], 1, "nobody else notices");
}
