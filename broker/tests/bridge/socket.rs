//! The JSON protocol on a WebSocket.

use std::time::{Duration, Instant};

use sampan::auth::Role;
use serde_json::{Value, json};

use crate::harness::{Broker, PATIENCE};

#[tokio::test]
async fn a_subscriber_hears_what_is_published_in_order() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut reader = broker.live(&token).await;
    reader.say(&json!({"id": 1, "subscribe": {"topic": "order.>"}})).await;
    assert_eq!(reader.hear().await["id"], 1);
    let mut writer = broker.live(&token).await;
    for n in 1..=50 {
        let publish = json!({"topic": "order.42", "payload": {"n": n}, "event": "order:updated"});
        writer.say(&json!({"id": n, "publish": publish})).await;
    }
    for n in 1..=50 {
        let ack = writer.hear_of("published").await;
        assert_eq!((&ack["id"], &ack["published"]["offset"]), (&n.into(), &n.into()));
        let message = &reader.hear().await["message"];
        assert_eq!((&message["offset"], &message["payload"]["n"]), (&n.into(), &n.into()));
        assert_eq!(message["event"], "order:updated");
    }
    reader.say(&json!({"id": 1, "unsubscribe": {}})).await;
    assert_eq!(reader.hear().await, json!({"id": 1, "done": {}}));
}

#[tokio::test]
async fn whoever_comes_back_gets_what_it_has_missed_once() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut first = broker.live(&token).await;
    first.say(&json!({"id": 1, "subscribe": {"topic": "order.*"}})).await;
    let joined_ms = first.hear().await["subscribed"]["joined_ms"].clone();
    let publish = async |topic: &str, n: u32| {
        let reply =
            broker.post(&token, "/v1/publish", &json!({"topic": topic, "payload": n})).await;
        assert_eq!(reply.status, 200);
    };
    publish("order.1", 1).await;
    let seen = first.hear().await["message"].clone();
    drop(first);
    publish("order.1", 2).await;
    publish("order.2", 3).await;
    let mut second = broker.socket().await;
    let position = format!("{}:{}", seen["epoch"], seen["offset"]);
    let resume = json!([{"id": 1, "subscribe": {
        "topic": "order.*", "positions": {"order.1": position}, "joined_ms": joined_ms,
    }}]);
    second.say(&json!({"connect": {"token": token, "resume": resume}})).await;
    let mut missed = Vec::new();
    while missed.len() < 2 {
        missed.push(second.hear_of("message").await["message"]["payload"].clone());
    }
    missed.sort_by_key(Value::as_u64);
    assert_eq!(missed, [2, 3]);
    publish("order.1", 4).await;
    assert_eq!(second.hear_of("message").await["message"]["payload"], 4);
}

#[tokio::test]
async fn what_a_crash_takes_of_an_ephemeral_topic_is_told() {
    let mut broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let publish = json!({"topic": "bench.1", "payload": 1});
    for _ in 0..3 {
        broker.post(&token, "/v1/publish", &publish).await;
    }
    let epoch = broker.post(&token, "/v1/publish", &publish).await.json()["epoch"].clone();
    broker.crash_and_restart();
    let token = broker.token("till", Role::Service);
    let mut socket = broker.live(&token).await;
    let positions = json!({"bench.1": format!("{epoch}:2")});
    socket.say(&json!({"id": 1, "subscribe": {"topic": "bench.1", "positions": positions}})).await;
    let gap = socket.hear_of("gap").await["gap"].clone();
    assert_eq!((&gap["topic"], &gap["from"]), (&"bench.1".into(), &3.into()));
    assert_eq!(gap["lost"], true);
}

#[tokio::test]
async fn a_durable_topic_is_resumed_after_a_crash_of_the_broker() {
    let mut broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let publish = async |broker: &Broker, n: u32| {
        let message = json!({"topic": "order.9", "payload": n, "ack": "synced"});
        let reply = broker.post(&token, "/v1/publish", &message).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json()["epoch"].clone()
    };
    let epoch = publish(&broker, 1).await;
    publish(&broker, 2).await;
    broker.crash_and_restart();
    assert_eq!(publish(&broker, 3).await, epoch);
    let mut socket = broker.live(&token).await;
    let positions = json!({"order.9": format!("{epoch}:1")});
    socket.say(&json!({"id": 1, "subscribe": {"topic": "order.9", "positions": positions}})).await;
    for n in [2, 3] {
        assert_eq!(socket.hear_of("message").await["message"]["payload"], n);
    }
}

#[tokio::test]
async fn presence_is_entered_watched_and_left() {
    let broker = Broker::start();
    let mut amy = broker.live(&broker.token("amy", Role::Agent)).await;
    let presence = |act: &str| json!({"topic": "chat.conversation.7", "act": act});
    amy.say(&json!({"id": 1, "presence": presence("watch")})).await;
    assert_eq!(amy.hear_of("members").await["members"]["count"], 0);
    let mut bob = broker.live(&broker.token("bob", Role::Agent)).await;
    bob.say(&json!({"id": 1, "presence": presence("enter")})).await;
    let changed = amy.hear_of("members_changed").await["members_changed"].clone();
    assert_eq!((&changed["count"], &changed["joined"][0]["user"]), (&1.into(), &"bob".into()));
    for (id, after, named) in [(2, "", 1), (3, "bob", 0)] {
        let read = json!({"topic": "chat.conversation.7", "act": "read", "after": after});
        bob.say(&json!({"id": id, "presence": read})).await;
        let page = bob.hear_of("members").await["members"].clone();
        assert_eq!(page["members"].as_array().map(Vec::len), Some(named), "{page}");
    }
    bob.say(&json!({"id": 4, "presence": presence("leave")})).await;
    let changed = amy.hear_of("members_changed").await["members_changed"].clone();
    assert_eq!((&changed["count"], &changed["left"]), (&0.into(), &json!(["bob"])));
}

#[tokio::test]
async fn requests_and_pages_are_answered_under_their_ids() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut socket = broker.live(&token).await;
    socket
        .say(&json!([
            {"id": 1, "publish": {"topic": "order.1", "payload": "a"}},
            {"id": 2, "request": {"topic": "sys.status", "payload": {}}},
            {"id": 3, "request": {"topic": "shop.nobody"}},
        ]))
        .await;
    let mut answers = [socket.hear().await, socket.hear().await, socket.hear().await];
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers[0]["published"]["offset"], 1);
    assert!(answers[1]["reply"]["payload"]["uptime_s"].is_u64(), "{}", answers[1]);
    assert_eq!(answers[2]["error"]["name"], "NO_RESPONDER");
    socket.say(&json!({"id": 4, "history": {"topic": "order.1"}})).await;
    let page = socket.hear().await;
    assert_eq!((&page["id"], &page["history"]["messages"][0]["payload"]), (&4.into(), &"a".into()));
}

#[tokio::test]
async fn named_events_do_what_they_stand_for() {
    let broker = Broker::start();
    let mut agent = broker.live(&broker.token("till", Role::Service)).await;
    let topic = "chat.conversation.7";
    agent.say(&json!({"id": 1, "presence": {"topic": topic, "act": "watch"}})).await;
    assert_eq!(agent.hear().await["members"]["count"], 0);
    let mut ann = broker.live(&broker.token("ann", Role::Service)).await;
    ann.say(&json!({"id": 1, "emit": {"event": "conversation:join", "payload": 7}})).await;
    let joined = ann.hear().await;
    assert_eq!(joined["id"], 1);
    assert!(joined["subscribed"]["positions"][topic].is_string(), "{joined}");
    assert_eq!(agent.hear_of("members_changed").await["members_changed"]["count"], 1);
    let said = json!({"topic": topic, "event": "message:receive", "payload": "hi"});
    agent.say(&json!({"id": 2, "publish": said})).await;
    assert_eq!(ann.hear().await["message"]["event"], "message:receive");
    ann.say(&json!({"id": 2, "emit": {"event": "conversation:leave", "payload": 7}})).await;
    assert_eq!(ann.hear().await, json!({"id": 2, "done": {}}));
    assert_eq!(agent.hear_of("members_changed").await["members_changed"]["count"], 0);
    let begun = Instant::now();
    let refused = loop {
        ann.say(&json!({"id": 3, "emit": {"event": "user:typing", "payload": {}}})).await;
        let refused = ann.hear().await;
        // The services begin a moment after the broker.
        if refused["error"]["name"] != "NO_RESPONDER" || begun.elapsed() > PATIENCE {
            break refused;
        }
    };
    assert_eq!((&refused["id"], &refused["error"]["name"]), (&3.into(), &"BAD_FIELD".into()));
}

#[tokio::test]
async fn a_token_that_expires_is_warned_of_refreshed_and_then_the_end() {
    let broker = Broker::start();
    let short = Duration::from_secs(3);
    let mut kept = broker.live(&broker.token_for("ann", Role::Customer, short)).await;
    let mut lost = broker.live(&broker.token_for("bob", Role::Customer, short)).await;
    kept.hear_of("expiring").await;
    let fresh = broker.token("ann", Role::Customer);
    kept.say(&json!({"id": 1, "refresh": {"token": fresh}})).await;
    assert!(kept.hear_of("refreshed").await["refreshed"]["expires_ms"].is_u64());
    lost.hear_of("expiring").await;
    assert_eq!(lost.hear_of("close").await["close"]["name"], "TOKEN_EXPIRED");
    assert_eq!(lost.closed().await, 4401);
    kept.say(&json!({"id": 2, "ping": {}})).await;
    assert_eq!(kept.hear_of("pong").await["id"], 2);
}

#[tokio::test]
async fn a_broker_that_stops_tells_when_to_come_back() {
    let broker = Broker::start();
    let mut socket = broker.live(&broker.token("ann", Role::Customer)).await;
    broker.terminate();
    let goaway = socket.hear_of("goaway").await["goaway"].clone();
    assert_eq!(goaway["name"], "GOING_AWAY");
    assert!(goaway["reconnect_within_ms"].is_u64() && goaway["close_after_ms"].is_u64());
    assert_eq!(socket.closed().await, 4400);
}

#[tokio::test]
async fn compressed_payloads_reach_each_reader_as_it_can_read_them() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let mut plain = broker.live(&token).await;
    let mut able = broker.socket().await;
    able.say(&json!({"connect": {"token": token, "inflates": true}})).await;
    for socket in [&mut plain, &mut able] {
        socket.say(&json!({"id": 1, "subscribe": {"topic": "order.7"}})).await;
        socket.hear_of("subscribed").await;
    }
    // The gzip of {"a":1}.
    let packed = "H4sIAAAAAAACA6tWSlSyMqwFAK+sG1YHAAAA";
    let message = json!({
        "topic": "order.7", "payload_base64": packed, "content_type": "application/json",
        "content_encoding": "gzip", "headers": [["trace", "t1"], ["raw", {"base64": "/w=="}]],
    });
    let reply = broker.post(&token, "/v1/publish", &message).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let told = plain.hear_of("message").await["message"].clone();
    assert_eq!(told["payload"], json!({"a": 1}), "{told}");
    assert_eq!(told["headers"], message["headers"]);
    let told = able.hear_of("message").await["message"].clone();
    assert_eq!(told["payload_base64"], packed);
    assert_eq!(
        (&told["content_encoding"], &told["headers"]),
        (&"gzip".into(), &message["headers"])
    );
    let page = broker.get(&token, "/v1/topics/order.7/history").await.json();
    assert_eq!(page["messages"][0]["payload"], json!({"a": 1}));
    assert_eq!(page["messages"][0]["headers"], message["headers"]);
}
