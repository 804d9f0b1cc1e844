//! A thousand connections at a time.

use sampan::auth::Role;
use serde_json::json;

use crate::harness::Broker;

/// Connections of this test; one process may have twice as many files open.
const CONNECTIONS: usize = 1000;

#[tokio::test]
async fn a_thousand_connections_hear_everything_and_cost_little_when_idle() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    // The first connection brings what all share.
    let mut sockets = vec![broker.live(&token).await];
    let before = broker.resident_kib();
    while sockets.len() < CONNECTIONS {
        sockets.push(broker.live(&token).await);
    }
    let each = broker.resident_kib().saturating_sub(before) / (CONNECTIONS as u64 - 1);
    println!("{each} KiB per idle connection");
    assert!(each <= 24, "{each} KiB per idle connection");
    for socket in &mut sockets {
        socket.say(&json!({"id": 1, "subscribe": {"topic": "bench.all"}})).await;
        socket.hear_of("subscribed").await;
    }
    for n in 1..=5 {
        let publish = json!({"topic": "bench.all", "payload": n});
        assert_eq!(broker.post(&token, "/v1/publish", &publish).await.status, 200);
    }
    for socket in &mut sockets {
        for n in 1..=5 {
            assert_eq!(socket.hear_of("message").await["message"]["payload"], n);
        }
    }
}
