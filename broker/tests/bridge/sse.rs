//! Streams of server-sent events.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sampan::auth::Role;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{Broker, PATIENCE};

/// An event of a stream.
#[derive(Debug, Default)]
struct Event {
    id: String,
    name: String,
    data: String,
}

impl Event {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("JSON")
    }
}

/// A stream that has been opened.
struct Reader(BufReader<TcpStream>);

impl Reader {
    /// Opens a stream with this query and these header lines.
    async fn open(broker: &Broker, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(broker.http).await.expect("HTTP is up");
        let head =
            format!("GET /v1/sse?{query} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", broker.http);
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut reader = Reader(BufReader::new(stream));
        let status = reader.line().await.expect("a head");
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        while reader.line().await.is_some_and(|line| !line.is_empty()) {}
        reader
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.0.read_line(&mut line)).await.expect("in time");
        (read.expect("read") > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// The next event, past the lengths of chunks and comments; `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("data", data)) => event.data += data,
                None if line.is_empty() && !event.data.is_empty() => return Some(event),
                _ => {}
            }
        }
    }

    async fn message(&mut self) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name.is_empty() {
                return event;
            }
        }
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

async fn publish(broker: &Broker, token: &str, topic: &str, n: u32) {
    let reply = broker.post(token, "/v1/publish", &json!({"topic": topic, "payload": n})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn the_id_0_begins_with_all_that_is_kept() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    for n in 1..=2 {
        publish(&broker, &token, "order.1", n).await;
    }
    let header = format!("{}last-event-id: 0\r\n", bearer(&token));
    let mut reader = Reader::open(&broker, "topic=order.1", &header).await;
    for n in 1..=2 {
        assert_eq!(reader.message().await.json()["payload"], n);
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_its_last_id_says_also_after_a_crash() {
    let mut broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let query = "topic=order.1&topic=order.2";
    let mut reader = Reader::open(&broker, query, &bearer(&token)).await;
    let ready = reader.next().await.expect("an event");
    assert_eq!(ready.name, "ready");
    publish(&broker, &token, "order.1", 1).await;
    let first = reader.message().await;
    assert_eq!(first.json()["payload"], 1);
    drop(reader);
    publish(&broker, &token, "order.1", 2).await;
    publish(&broker, &token, "order.2", 3).await;
    broker.crash_and_restart();
    publish(&broker, &token, "order.1", 4).await;
    let header = format!("{}last-event-id: {}\r\n", bearer(&token), first.id);
    let mut reader = Reader::open(&broker, query, &header).await;
    let mut missed = Vec::new();
    while missed.len() < 3 {
        missed.push(reader.message().await.json()["payload"].as_u64());
    }
    missed.sort_unstable();
    assert_eq!(missed, [Some(2), Some(3), Some(4)]);
    let query = format!("{query}&last_event_id={}", ready.id);
    let mut reader = Reader::open(&broker, &query, &bearer(&token)).await;
    let mut all = Vec::new();
    while all.len() < 4 {
        all.push(reader.message().await.json()["payload"].as_u64());
    }
    all.sort_unstable();
    assert_eq!(all, [Some(1), Some(2), Some(3), Some(4)], "nothing was seen");
}

#[tokio::test]
async fn a_page_uses_a_ticket_once_and_no_token_in_an_address() {
    let broker = Broker::start();
    let token = broker.token("ann", Role::Customer);
    let origin = "origin: http://localhost:3000\r\n";
    let ticket = async || {
        let headers = format!("{}{origin}", bearer(&token));
        let reply = broker.call("POST", "/v1/sse/ticket", &headers, b"").await;
        assert!(reply.status == 200 && reply.head.contains("cache-control: no-store"));
        reply.json()["ticket"].as_str().expect("a ticket").to_owned()
    };
    let first = ticket().await;
    let query = format!("topic=user.ann&ticket={first}");
    let mut reader = Reader::open(&broker, &query, origin).await;
    assert_eq!(reader.next().await.expect("an event").name, "ready");
    let second = ticket().await;
    for (query, headers, status) in [
        (query, origin.to_owned(), 401),
        (
            format!("topic=user.ann&ticket={second}"),
            "origin: http://127.0.0.1:1\r\n".to_owned(),
            403,
        ),
        (format!("topic=user.ann&token={token}"), String::new(), 400),
        ("topic=user.ann".to_owned(), String::new(), 401),
        ("topic=user.bob".to_owned(), bearer(&token), 403),
        ("topic=a..b".to_owned(), bearer(&token), 400),
        (String::new(), bearer(&token), 400),
        ("topic=user.ann&last_event_id=nonsense".to_owned(), bearer(&token), 400),
    ] {
        let reply = broker.call("GET", &format!("/v1/sse?{query}"), &headers, b"").await;
        assert_eq!(reply.status, status, "{query} {reply:?}");
    }
    let refused = broker.call("POST", "/v1/sse/ticket", &bearer("x.y.z"), b"").await;
    assert_eq!(refused.status, 401, "a token that is not good gets no ticket");
}

#[tokio::test]
async fn a_stream_of_a_broker_that_drains_says_when_to_come_back_and_ends() {
    let broker = Broker::start();
    let token = broker.token("ann", Role::Customer);
    let mut reader = Reader::open(&broker, "topic=user.ann", &bearer(&token)).await;
    assert_eq!(reader.next().await.expect("an event").name, "ready");
    broker.terminate();
    let goaway = reader.next().await.expect("an event");
    assert_eq!((goaway.name.as_str(), &goaway.json()["code"]), ("goaway", &400.into()));
    let close = reader.next().await.expect("an event");
    assert_eq!((close.name.as_str(), &close.json()["code"]), ("close", &400.into()));
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn a_reader_that_hangs_up_or_stops_reading_leaves_nothing_behind() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut stopped = Reader::open(&broker, "topic=bench.1", &bearer(&token)).await;
    stopped.next().await.expect("ready");
    drop(Reader::open(&broker, "topic=bench.1", &bearer(&token)).await);
    let payload = "x".repeat(256 * 1024);
    let before = broker.resident_kib();
    for _ in 0..160 {
        let message = json!({"topic": "bench.1", "payload": payload});
        assert_eq!(broker.post(&token, "/v1/publish", &message).await.status, 200);
    }
    let grown = broker.resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1024, "{grown} KiB of 40 MiB");
    let until = tokio::time::Instant::now() + PATIENCE;
    while broker.metric("sampan_bridge_streams_ended_total").await < 1 {
        assert!(tokio::time::Instant::now() < until, "who hung up is gone");
    }
    let mut some = vec![0; 1024];
    stopped.0.read_exact(&mut some).await.expect("the other still gets what was sent");
}

#[tokio::test]
async fn compressed_payloads_are_inflated_one_after_the_other() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut reader = Reader::open(&broker, "topic=order.1", &bearer(&token)).await;
    reader.next().await.expect("ready");
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![b'x'; 1_000_000]).expect("packed");
    let message = json!({
        "topic": "order.1", "payload_base64": STANDARD.encode(packed.finish().expect("packed")),
        "content_type": "text/plain", "content_encoding": "gzip",
    });
    // What the reader does not take waits packed.
    for _ in 0..60 {
        assert_eq!(broker.post(&token, "/v1/publish", &message).await.status, 200);
    }
    let before = broker.resident_kib();
    let mut most = before;
    for _ in 0..60 {
        let mut text = vec![0; 1_000_000];
        reader.0.read_exact(&mut text).await.expect("text");
        most = most.max(broker.resident_kib());
    }
    // Whatever else the broker does meanwhile costs some too.
    assert!(most - before < 40 * 1024, "{} KiB for 60 MB of text", most - before);
}
