//! Input that no well-made client sends: each with its answer, a counter, and no effect on others.

use sampan::auth::Role;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::{Broker, PATIENCE};

/// The status of an upgrade that was refused.
async fn refused(broker: &Broker, path: &str, headers: &[(&'static str, &str)]) -> u16 {
    match broker.upgrade_at(path, headers).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    }
}

#[tokio::test]
async fn an_upgrade_is_refused_by_origin_and_with_a_query() {
    let broker = Broker::start();
    for (headers, status) in [
        (&[("origin", "http://localhost:3000")][..], 101),
        (&[], 101),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("cookie", "session=1")], 403),
    ] {
        assert_eq!(refused(&broker, "/v1/ws", headers).await, status, "{headers:?}");
    }
    let token = broker.token("ann", Role::Customer);
    assert_eq!(refused(&broker, &format!("/v1/ws?token={token}"), &[]).await, 400);
    let bearer = format!("Bearer {token}");
    let mut socket = broker.upgrade(&[("authorization", &bearer)]).await.expect("upgraded");
    socket.say(&json!({"connect": {}})).await;
    assert_eq!(socket.hear().await["welcome"]["user"], "ann");
}

/// A masked frame from a client, written by hand.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(0x80 | length),
        _ => {
            out.push(0x80 | 127);
            out.extend((payload.len() as u64).to_be_bytes());
        }
    }
    // A mask of zeros leaves the payload as it is.
    out.extend([0; 4]);
    out.extend(payload);
    out
}

/// Writes the bytes of a request; the status that comes back.
pub(crate) async fn status_of(broker: &Broker, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(broker.http).await.expect("connected");
    // The broker may hang up while it is still being written to.
    let _ = stream.write_all(bytes).await;
    let mut answer = [0; 12];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer)).await;
    read.expect("in time").expect("an answer");
    let status = std::str::from_utf8(&answer[9..]).expect("text");
    status.parse().expect("a status")
}

/// Writes bytes to an upgraded connection; the close code that comes back.
pub(crate) async fn answer_to(broker: &Broker, path: &str, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(broker.http).await.expect("connected");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        broker.http
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("a head"));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    // The broker may hang up while it is still being written to.
    let _ = stream.write_all(bytes).await;
    loop {
        let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer");
        let Ok(first) = read else { return 0 };
        let length = match stream.read_u8().await.expect("a length") {
            126 => usize::from(stream.read_u16().await.expect("a length")),
            short => usize::from(short),
        };
        let mut payload = vec![0; length];
        stream.read_exact(&mut payload).await.expect("a payload");
        if first == 0x88 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[tokio::test]
async fn frames_that_break_the_standard_are_closed_with_their_code() {
    let broker = Broker::start();
    let mut witness = broker.live(&broker.token("ann", Role::Customer)).await;
    let mut unmasked = frame(0x81, b"{}");
    unmasked[1] &= 0x7f;
    let huge = frame(0x81, &vec![b' '; 2 << 20]);
    let mut fragments = frame(0x01, &vec![b' '; 1 << 20]);
    fragments.extend(frame(0x00, &vec![b' '; 1 << 20]));
    let mut split = frame(0x01, b"\xe0");
    split.extend(frame(0x80, b"\x41"));
    let rows = [
        (unmasked, 1002, "protocol"),
        (frame(0xc1, b"{}"), 1002, "protocol"),
        (frame(0x83, b"{}"), 1002, "protocol"),
        (frame(0x09, b""), 1002, "protocol"),
        (frame(0x89, &[0; 200]), 1002, "protocol"),
        (frame(0x82, b"{}"), 1003, "unsupported"),
        (frame(0x81, b"\xff"), 1007, "not_text"),
        (split, 1007, "not_text"),
        (huge, 1009, "too_big"),
        (fragments, 1009, "too_big"),
        (frame(0x8a, b"").repeat(3000), 1008, "policy"),
    ];
    for (bytes, code, counter) in rows {
        let counter = format!("sampan_bridge_sockets_{counter}_total");
        let before = broker.metric(&counter).await;
        let head = &bytes[..bytes.len().min(8)];
        assert_eq!(answer_to(&broker, "/v1/ws", &bytes).await, code, "{head:x?}");
        assert_eq!(broker.metric(&counter).await, before + 1, "{counter}");
    }
    witness.say(&json!({"id": 1, "ping": {}})).await;
    assert_eq!(witness.hear().await["id"], 1, "nobody else notices");
}

#[tokio::test]
async fn bad_tokens_end_the_connection_with_their_code() {
    let broker = Broker::start();
    for token in ["", "x.y.z", "eyJhbGciOiJub25lIn0.e30."] {
        let mut socket = broker.socket().await;
        socket.say(&json!({"connect": {"token": token}})).await;
        assert_eq!(socket.hear().await["close"]["name"], "BAD_TOKEN", "{token}");
        assert_eq!(socket.closed().await, 4601, "{token}");
    }
}

#[tokio::test]
async fn what_a_token_does_not_grant_is_refused_and_the_connection_lives() {
    let broker = Broker::start();
    let mut socket = broker.live(&broker.token("ann", Role::Customer)).await;
    for (id, operation) in [
        (1, json!({"subscribe": {"topic": "user.bob"}})),
        (2, json!({"subscribe": {"topic": ">"}})),
        (3, json!({"publish": {"topic": "order.1", "payload": 1}})),
        (4, json!({"history": {"topic": "user.bob"}})),
    ] {
        let mut request = operation;
        request["id"] = id.into();
        socket.say(&request).await;
        let refused = socket.hear().await;
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&id.into(), &200.into()));
    }
}

#[tokio::test]
async fn a_reader_that_stops_costs_a_bounded_amount_and_holds_up_nobody() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut stopped = Vec::new();
    for _ in 0..8 {
        let mut socket = broker.live(&token).await;
        socket.say(&json!({"id": 1, "subscribe": {"topic": "bench.1"}})).await;
        socket.hear_of("subscribed").await;
        stopped.push(socket);
    }
    let mut reader = broker.live(&token).await;
    reader.say(&json!({"id": 1, "subscribe": {"topic": "bench.1"}})).await;
    reader.hear_of("subscribed").await;
    let before = broker.resident_kib();
    let payload = "x".repeat(64 * 1024);
    let mut writer = broker.live(&token).await;
    for n in 0..400 {
        writer
            .say(&json!({"id": n + 1, "publish": {"topic": "bench.1", "payload": payload}}))
            .await;
        writer.hear_of("published").await;
        assert_eq!(reader.hear_of("message").await["message"]["offset"], n + 1);
    }
    let grown = broker.resident_kib().saturating_sub(before);
    // 400 messages for eight readers are 200 MiB if all of them wait.
    assert!(grown < 120 * 1024, "{grown} KiB");
    let mut socket = stopped.swap_remove(0);
    let gap = socket.hear_of("gap").await["gap"].clone();
    assert_eq!((&gap["reason"], &gap["lost"]), (&"slow_reader".into(), &true.into()));
}

#[tokio::test]
async fn a_close_is_answered_and_leaves_nothing_behind() {
    let broker = Broker::start();
    let token = broker.token("ann", Role::Customer);
    for _ in 0..20 {
        let mut socket = broker.live(&token).await;
        socket.send(Message::Close(None)).await;
    }
    let mut socket = broker.live(&token).await;
    let code = CloseCode::Normal;
    socket.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
    assert_eq!(socket.closed().await, 1000, "the close is answered");
    let until = tokio::time::Instant::now() + PATIENCE;
    while broker.metric("sampan_bridge_sockets_ended_total").await < 21 {
        assert!(tokio::time::Instant::now() < until, "every connection ends");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_a_while_only() {
    let broker = Broker::start();
    let token = broker.token("ann", Role::Customer);
    let head = format!(
        "POST /v1/publish HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
         content-length: 100\r\n\r\n{{",
        broker.http
    );
    assert_eq!(status_of(&broker, head.as_bytes()).await, 408);
    assert_eq!(broker.metric("sampan_http_bodies_late_total").await, 1);
}

#[tokio::test]
async fn an_upgrade_with_too_large_a_head_is_refused() {
    let broker = Broker::start();
    let head = format!(
        "GET /v1/ws HTTP/1.1\r\nhost: {}\r\nx-long: {}",
        broker.http,
        "x".repeat(17 * 1024)
    );
    assert_eq!(status_of(&broker, head.as_bytes()).await, 431);
    let until = tokio::time::Instant::now() + PATIENCE;
    while broker.metric("sampan_http_heads_too_large_total").await < 1 {
        assert!(tokio::time::Instant::now() < until, "it is counted");
    }
}

#[tokio::test]
async fn compression_that_is_offered_is_declined() {
    let broker = Broker::start();
    let mut stream = TcpStream::connect(broker.http).await.expect("connected");
    let head = format!(
        "GET /v1/ws HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
        broker.http
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("a head"));
    }
    let answer = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(answer.starts_with("http/1.1 101"), "{answer}");
    assert!(!answer.contains("sec-websocket-extensions"), "{answer}");
    // What is compressed all the same is a breach.
    let compressed = frame(0xc1, b"\xca\x48\xcd\x00\x00");
    stream.write_all(&compressed).await.expect("sent");
    let mut close = [0; 4];
    let read = tokio::time::timeout(PATIENCE, stream.read_exact(&mut close)).await;
    read.expect("in time").expect("a close");
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1002));
}

#[tokio::test]
async fn empty_fragments_without_end_cost_no_memory() {
    let broker = Broker::start();
    let mut witness = broker.live(&broker.token("ann", Role::Customer)).await;
    let before = broker.resident_kib();
    let mut bytes = frame(0x01, b"");
    bytes.extend(frame(0x00, b"").repeat(500_000));
    bytes.extend(frame(0x82, b""));
    let code = answer_to(&broker, "/v1/ws", &bytes).await;
    assert_eq!(code, 1002, "they are read up to what breaks the rules");
    let grown = broker.resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB");
    witness.say(&json!({"id": 1, "ping": {}})).await;
    assert_eq!(witness.hear().await["id"], 1, "nobody else notices");
}

#[tokio::test]
async fn an_address_that_shows_too_many_bad_tokens_waits_on_every_transport() {
    let broker = Broker::start();
    let good = broker.token("ann", Role::Customer);
    let mut witness = broker.live(&good).await;
    let mut statuses = Vec::new();
    while statuses.last() != Some(&429) {
        assert!(statuses.len() < 1000, "it never waits: {statuses:?}");
        let reply = broker.get("x.y.z", "/v1/topics/a/history").await;
        statuses.push(reply.status);
        if reply.status == 429 {
            assert!(reply.head.contains("retry-after: 1\r"), "{}", reply.head);
            assert_eq!(reply.json()["name"], "RATE_LIMITED");
        }
    }
    let upgrades = [("/v1/ws", 429), ("/socket.io/?EIO=4&transport=websocket", 429)];
    for (path, status) in upgrades {
        let until = tokio::time::Instant::now() + PATIENCE;
        // One attempt a second is let through, which another bad token takes.
        while refused(&broker, path, &[]).await != status {
            assert!(tokio::time::Instant::now() < until, "{path}");
            broker.get("x.y.z", "/v1/topics/a/history").await;
        }
    }
    assert!(statuses.len() > 100, "some are looked at: {statuses:?}");
    assert!(statuses[..statuses.len() - 1].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(broker.metric("sampan_bridge_addresses_throttled_total").await >= 1);
    witness.say(&json!({"id": 1, "ping": {}})).await;
    assert_eq!(witness.hear().await["id"], 1, "who is in stays in");
    let until = tokio::time::Instant::now() + PATIENCE;
    while broker.get(&good, "/v1/topics/user.ann/history").await.status == 429 {
        assert!(tokio::time::Instant::now() < until, "the wait ends");
    }
}
