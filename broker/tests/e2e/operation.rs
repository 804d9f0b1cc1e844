//! What an operator does to a running broker: drain, revoke, look, stop.

use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Code, Delivery, Event, Events, Message, Start, Topic};

use crate::harness::{Broker, PATIENCE};

/// The code with which a client is closed for good.
async fn end(events: &mut Events) -> Option<Code> {
    while let Some(event) = events.next().await {
        if let Event::Closed(error) = event {
            return error.code();
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_sends_every_client_away_in_turn_and_ends_cleanly() {
    let config = "[drain]\nspread_s = 4\nlinger_s = 3\n";
    let broker = Broker::configured(config);
    let clients = broker.clients(1_000, Role::Service).await;
    let mut told = Vec::new();
    for client in &clients {
        let mut events = client.events();
        told.push(tokio::spawn(async move {
            loop {
                match events.next().await {
                    Some(Event::Draining { .. }) => return Some(Instant::now()),
                    Some(_) => {}
                    None => return None,
                }
            }
        }));
    }
    broker.terminate();
    let mut times = Vec::new();
    for one in told {
        let at = tokio::time::timeout(PATIENCE, one).await.expect("in time").expect("no panic");
        times.push(at.expect("told to go"));
    }
    times.sort();
    let spread = times[times.len() - 1] - times[0];
    assert!(spread > Duration::from_millis(500), "all at once: {spread:?}");
    drop(clients);
    assert!(broker.wait());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_user_is_thrown_out_while_live_and_stays_out_after_a_restart() {
    let broker = Broker::start();
    let options = broker.options("anna", Role::Customer);
    let anna = sampan_client::Client::connect(options.clone()).await.expect("connected");
    let admin = broker.client("root", Role::Admin).await;
    let mut events = anna.events();
    admin
        .request("sys.revoke".parse().expect("valid"), r#"{"user":"anna"}"#, PATIENCE)
        .await
        .expect("revoked");
    let code = tokio::time::timeout(PATIENCE, end(&mut events));
    let code = code.await.expect("closed in time");
    assert!(matches!(code, Some(Code::REVOKED | Code::BAD_TOKEN)), "{code:?}");
    let broker = broker.crash_and_restart();
    let again = sampan_client::Client::connect(options).await;
    let code = again.err().and_then(|error| error.code());
    assert!(matches!(code, Some(Code::REVOKED | Code::BAD_TOKEN)), "{code:?}");
    drop(broker);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_readiness_and_metrics_tell_the_truth() {
    let broker = Broker::start();
    assert_eq!(broker.http_get("/healthz").0, 200);
    // Ready as soon as the probe has delivered through the broker once.
    let end = Instant::now() + PATIENCE;
    while broker.http_get("/readyz").0 != 200 {
        assert!(Instant::now() < end, "{}", broker.http_get("/readyz").1);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(broker.http_get("/nothing").0, 404);
    let client = broker.client("p", Role::Service).await;
    let topic: Topic = "order.1".parse().expect("valid");
    let mut subscription = client.subscribe(&topic, Start::Now).await.expect("subscribed");
    for _ in 0..25 {
        client.publish(Message::new(topic.clone(), "x")).await.expect("acknowledged");
    }
    for _ in 0..25 {
        let got = tokio::time::timeout(PATIENCE, subscription.next()).await.expect("in time");
        assert!(matches!(got, Some(Delivery::Message(_))));
    }
    broker.metric_reaches("sampan_deliveries_total", 25.0).await;
    broker.metric_reaches("sampan_ack_seconds_count", 25.0).await;
    broker.metric_reaches("sampan_sessions", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_ends_the_session() {
    let broker = Broker::start();
    let mut options = broker.options("brief", Role::Customer);
    let token = broker.token_for("brief", Role::Customer, Duration::from_secs(2));
    options.token = sampan_client::Token::Static(token);
    let client = sampan_client::Client::connect(options).await.expect("connected");
    let mut events = client.events();
    let closed = tokio::time::timeout(PATIENCE, end(&mut events));
    let code = closed.await.expect("closed in time");
    assert!(matches!(code, Some(Code::TOKEN_EXPIRED | Code::BAD_TOKEN)), "{code:?}");
}
