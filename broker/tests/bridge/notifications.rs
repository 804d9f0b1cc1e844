//! Notifications over HTTP.

use std::time::Instant;

use sampan::auth::Role;
use serde_json::{Value, json};

use crate::harness::{Broker, PATIENCE, Reply};

/// Asks until the services, which begin a moment after the broker, answer.
async fn post(broker: &Broker, token: &str, path: &str, body: &Value) -> Reply {
    let begun = Instant::now();
    loop {
        let reply = broker.post(token, path, body).await;
        if reply.status != 503 || begun.elapsed() > PATIENCE {
            return reply;
        }
    }
}

fn news(order: &str, channels: &[&str]) -> Value {
    json!({ "user_id": "ann", "type": "order_status_update", "channels": channels,
        "data": { "order_id": order, "current_status": "shipped" } })
}

fn refused(reply: &Reply, status: u16, code: u16) {
    let told = (reply.status, reply.json()["code"].clone());
    assert_eq!(told, (status, code.into()), "{}", reply.text());
}

#[tokio::test]
async fn an_inbox_is_read_marked_and_put_away_and_its_archive_is_there() {
    let broker = Broker::start();
    let (shop, ann) = (broker.token("shop", Role::Service), broker.token("ann", Role::Customer));
    let mut ids = Vec::new();
    for order in ["o1", "o2"] {
        let sent = post(&broker, &shop, "/v1/notifications", &news(order, &["websocket"])).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
        ids.push(sent.json()["notification_id"].clone());
    }
    let away = json!({ "ids": [ids[0]], "as": "archived" });
    let marked = broker.post(&ann, "/v1/inbox/mark", &away).await.json();
    assert_eq!((&marked["notification_ids"], &marked["unread"]), (&json!([ids[0]]), &json!(1)));
    for (path, id) in [
        ("/v1/inbox", &ids[1]),
        ("/v1/inbox?archived=false", &ids[1]),
        ("/v1/inbox?archived=true", &ids[0]),
    ] {
        let items = broker.get(&ann, path).await.json()["items"].clone();
        let found: Vec<&Value> =
            items.as_array().expect("a list").iter().map(|one| &one["notification_id"]).collect();
        assert_eq!(found, [id], "{path}");
    }
    refused(&broker.get(&ann, "/v1/inbox?archived=yes").await, 400, 105);
    let bob = broker.token("bob", Role::Customer);
    refused(&broker.get(&bob, "/v1/inbox?user_id=ann").await, 403, 200);
}

#[tokio::test]
async fn what_nobody_sends_is_a_dead_letter_that_is_seen_replayed_and_taken_back() {
    let broker = Broker::start();
    let (shop, ann) = (broker.token("shop", Role::Service), broker.token("ann", Role::Customer));
    let device = json!({ "provider": "firebase", "app": "shop", "token": "t1" });
    let device = post(&broker, &ann, "/v1/devices", &device).await;
    assert_eq!(device.status, 200, "{}", device.text());
    let sent = broker.post(&shop, "/v1/notifications", &news("o1", &["push"])).await.json();
    let path = format!("/v1/notifications/{}", sent["notification_id"].as_str().expect("an id"));
    let begun = Instant::now();
    let failed = loop {
        let failed = broker.get(&shop, "/v1/notifications/failed?limit=1").await.json();
        if failed["deliveries"][0].is_object() {
            break failed["deliveries"][0].clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{}", broker.get(&shop, &path).await.text());
    };
    assert_eq!((&failed["reason"], &failed["user_id"]), (&"not_configured".into(), &"ann".into()));
    let replay = json!({ "delivery_id": failed["delivery_id"] });
    let again = broker.post(&shop, "/v1/notifications/replay", &replay).await.json();
    assert_eq!((&again["state"], &again["attempts"]), (&"queued".into(), &0.into()));
    let wanted = json!({ "notification_id": sent["notification_id"] });
    let taken = broker.post(&shop, "/v1/notifications/cancel", &wanted).await.json();
    let state = taken["deliveries"][0]["state"].as_str().expect("a state");
    assert!(["cancelled", "failed", "sending"].contains(&state), "{taken}");
    assert_eq!(broker.get(&ann, &path).await.json()["user_id"], "ann");
    for path in ["/v1/notifications/replay", "/v1/notifications/cancel"] {
        let none = json!({ "delivery_id": "none", "notification_id": "none" });
        let unknown = broker.post(&shop, path, &none).await;
        assert!([400, 404].contains(&unknown.status), "{}", unknown.text());
        assert_eq!(broker.post(&ann, path, &replay).await.status, 403, "{path}");
    }
    refused(&broker.get(&ann, "/v1/notifications/failed").await, 403, 200);
}

#[tokio::test]
async fn a_job_and_the_list_of_those_who_want_nothing_are_kept_by_the_shop_alone() {
    let broker = Broker::start();
    let (shop, ann) = (broker.token("shop", Role::Service), broker.token("ann", Role::Customer));
    let item = |data: Value| {
        json!({ "user_id": "ann", "type": "order_status_update", "channels": ["websocket"],
            "data": data })
    };
    let items = [item(json!({})), item(json!({ "order_id": "o1", "current_status": "shipped" }))];
    let part = json!({ "job_id": "sale", "from": 0, "items": items });
    let begun = post(&broker, &shop, "/v1/bulk-notifications", &part).await;
    assert_eq!((begun.status, &begun.json()["total"]), (200, &json!(2)), "{}", begun.text());
    let job = json!({ "job_id": "sale" });
    for (path, state) in [("cancel", "cancelled"), ("resume", "open")] {
        let path = format!("/v1/bulk-notifications/{path}");
        assert_eq!(broker.post(&shop, &path, &job).await.json()["state"], state);
        refused(&broker.post(&ann, &path, &job).await, 403, 200);
    }
    let last = json!({ "job_id": "sale", "from": 2, "items": [], "is_last": true });
    assert_eq!(broker.post(&shop, "/v1/bulk-notifications", &last).await.status, 200);
    let begun = Instant::now();
    loop {
        let progress = broker.get(&shop, "/v1/bulk-notifications/sale").await.json();
        if progress["state"] == "done" {
            assert_eq!((&progress["done"], &progress["failed"]), (&json!(1), &json!(1)));
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{progress}");
    }
    let items = broker.get(&shop, "/v1/bulk-notifications/sale/refused").await.json();
    assert_eq!(items["items"][0]["n"], 0, "{items}");
    refused(&broker.post(&shop, "/v1/bulk-notifications/cancel", &job).await, 409, 909);
    refused(&broker.get(&shop, "/v1/bulk-notifications/none").await, 404, 904);
    let address = json!({ "channel": "sms", "address": "+66812345678" });
    assert_eq!(broker.post(&shop, "/v1/suppressions", &address).await.status, 200);
    let listed = broker.get(&shop, "/v1/suppressions?channel=sms").await.json();
    assert_eq!(listed["suppressions"][0]["address"], "+66812345678");
    refused(&broker.get(&ann, "/v1/suppressions?channel=sms").await, 403, 200);
    assert_eq!(broker.post(&shop, "/v1/suppressions/remove", &address).await.status, 200);
    refused(&broker.post(&shop, "/v1/suppressions/remove", &address).await, 404, 904);
}
