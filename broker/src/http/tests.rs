//! The routes over a real socket, and the listener's bounds.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_journal::front::Report;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::*;
use crate::scaling::{Load, Standing, Watch};

async fn started(limits: Limits) -> (SocketAddr, Arc<Health>, oneshot::Sender<()>) {
    let health = Arc::new(Health::starting());
    let metrics = Metrics::new(&Latencies::default(), || {
        let mut shard = crate::shard::Counters::default();
        shard.core.deliveries = 21;
        shard.core.refused.extend([(300, 2), (912, 1), (947, 1)]);
        shard.core.gaps.insert(2, 5);
        let shard = Arc::new(shard);
        let journal = Report { messages: 3, queue_bytes: 5, ..Report::default() };
        let journals = vec![journal; 2];
        let load = Load { cpu_percent: 12.5, memory_percent: 1.0, connections: 1_200 };
        let scaling = Standing::default().look(load, Duration::ZERO);
        Reading { shards: vec![shard.clone(), shard], journals, scaling, ..Reading::default() }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel();
    let asked = health.clone();
    let routes = router(move || asked.ready(Instant::now()), Arc::new(metrics), Watch::default());
    tokio::spawn(serve(listener, routes, limits, Arc::default(), async {
        let _ = stopped.await;
    }));
    (address, health, stop)
}

async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn get(address: SocketAddr, path: &str) -> String {
    send(address, &format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")).await
}

#[tokio::test]
async fn liveness_is_apart_from_readiness() {
    let (address, health, _stop) = started(Limits::default()).await;
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    let starting = get(address, "/readyz").await;
    assert!(starting.starts_with("HTTP/1.1 503") && starting.ends_with("starting\n"));
    health.enter(Phase::Serving);
    health.delivered(Instant::now());
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
    health.enter(Phase::Draining);
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 503"));
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn whoever_starts_processes_is_told_whether_there_are_enough() {
    let (address, _, _stop) = started(Limits::default()).await;
    let answer = get(address, "/scaling").await;
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    let standing: serde_json::Value = serde_json::from_str(body).expect("JSON");
    assert_eq!((&standing["decision"], &standing["number"]), (&"hold".into(), &0.into()));
    assert_eq!(standing["load"]["connections"], 0);
}

#[tokio::test]
async fn metrics_are_sums_over_shards_with_few_series() {
    let (address, _, _stop) = started(Limits::default()).await;
    let text = get(address, "/metrics").await;
    for line in [
        "sampan_deliveries_total 42",
        "sampan_refusals_total{code=\"300\"} 4",
        "sampan_refusals_total{code=\"other\"} 4",
        "sampan_gaps_total{reason=\"slow_reader\"} 10",
        "sampan_shards 2",
        "sampan_journal_messages_total 6",
        "sampan_journal_queue_bytes 10",
        "sampan_journal_commit_seconds_count 0",
        "sampan_probe_ack_seconds_count 0",
        "sampan_scaling_cpu_percent 12.5",
        "sampan_scaling_connections 1200",
        "sampan_scaling_decisions_total 1",
        "sampan_scaling_wanted 1",
        "# EOF",
    ] {
        assert!(text.lines().any(|had| had == line), "{line} is not in\n{text}");
    }
}

#[tokio::test]
async fn slow_and_oversized_heads_are_cut_off() {
    let limits = Limits { header_timeout: Duration::from_millis(200), ..Limits::default() };
    let (address, _, _stop) = started(limits).await;
    let begun = Instant::now();
    send(address, "GET /healthz HTTP/1.1\r\nhost: x\r\n").await;
    assert!(begun.elapsed() < Duration::from_secs(5), "a drip holds the connection");
    let long = format!("GET /healthz HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "y".repeat(64 * 1024));
    assert!(!send(address, &long).await.starts_with("HTTP/1.1 200"));
    let many = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert!(!send(address, &many).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn the_listener_ends_when_it_is_told_to() {
    let (address, _, stop) = started(Limits::default()).await;
    assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
    stop.send(()).expect("serving");
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), refused).await.expect("it ends");
}
