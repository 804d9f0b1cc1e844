//! Conversations and orders over HTTP.

use sampan::auth::Role;
use serde_json::json;

use crate::harness::{Broker, PATIENCE, Reply};

async fn put(broker: &Broker, token: &str, path: &str, body: &serde_json::Value) -> Reply {
    let headers = format!("authorization: Bearer {token}\r\n");
    let begun = std::time::Instant::now();
    loop {
        let reply = broker.call("PUT", path, &headers, body.to_string().as_bytes()).await;
        // The services begin a moment after the broker.
        if reply.status != 503 || begun.elapsed() > PATIENCE {
            return reply;
        }
    }
}

#[tokio::test]
async fn an_order_is_told_of_and_its_customer_alone_sees_it() {
    let broker = Broker::start();
    let shop = broker.token("shop", Role::Service);
    let ann = broker.token("ann", Role::Customer);
    let bob = broker.token("bob", Role::Customer);
    let told = json!({ "customer_id": "ann", "agent_id": "amy" });
    let stored = put(&broker, &shop, "/v1/orders/o%2F1", &told).await;
    assert_eq!((stored.status, &stored.json()["id"]), (200, &"o/1".into()), "{}", stored.text());
    let status = json!({ "id": "o/1", "status": "shipped", "notes": "on its way" });
    let heard = broker.post(&shop, "/v1/orders/status", &status).await.json();
    assert_eq!((&heard["changed"], &heard["order"]["version"]), (&true.into(), &1.into()));
    let seen = broker.get(&ann, "/v1/orders/o%2F1").await.json();
    assert_eq!(seen["status"], "shipped");
    let history = broker.get(&ann, "/v1/orders/o%2F1/history").await.json();
    assert_eq!(history["checkpoints"][0]["notes"], "on its way");
    assert_eq!(broker.get(&ann, "/v1/orders").await.json()["orders"][0]["id"], "o/1");
    let amy = broker.token("amy", Role::Agent);
    assert_eq!(broker.get(&amy, "/v1/orders/o%2F1").await.status, 200);
    let kim = broker.token("kim", Role::Agent);
    let by_status = broker.get(&shop, "/v1/order-summary").await.json();
    assert_eq!(by_status["by_status"]["shipped"], 1);
    let refused = [
        (broker.get(&bob, "/v1/orders/o%2F1").await, 404, 904),
        (broker.get(&kim, "/v1/orders/o%2F1").await, 404, 904),
        (broker.get(&bob, "/v1/orders?customer_id=ann").await, 403, 200),
        (broker.get(&bob, "/v1/order-summary").await, 403, 200),
        (broker.get(&shop, "/v1/orders?status=lost").await, 400, 105),
        (broker.post(&ann, "/v1/orders/status", &status).await, 403, 200),
        (broker.post(&shop, "/v1/orders/track", &json!({ "id": "o/1" })).await, 409, 909),
        (
            broker
                .post(&shop, "/v1/orders/status", &json!({ "id": "o/1", "status": "lost" }))
                .await,
            400,
            105,
        ),
    ];
    for (reply, status, code) in refused {
        assert_eq!(
            (reply.status, &reply.json()["code"]),
            (status, &code.into()),
            "{}",
            reply.text()
        );
    }
    assert!(
        broker.get(&bob, "/v1/orders").await.json()["orders"].as_array().is_some_and(Vec::is_empty)
    );
}

#[tokio::test]
async fn a_conversation_is_had_over_http_alone() {
    let broker = Broker::start();
    let boss = broker.token("boss", Role::Admin);
    let agent = json!({ "name": "Amy", "email": "amy@example.com", "concurrent_limit": 2 });
    let stored = put(&broker, &boss, "/v1/chat/agents/amy", &agent).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let (ann, amy) = (broker.token("ann", Role::Customer), broker.token("amy", Role::Agent));
    let asked = json!({ "client_conversation_id": "c1" });
    let chat = broker.post(&ann, "/v1/chat/conversations", &asked).await.json();
    let id = chat["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/chat/conversations/{id}");
    let pick = json!({ "conversation_id": id });
    let picked = broker.post(&amy, "/v1/chat/assign", &pick).await;
    assert_eq!(picked.json()["agent_id"], "amy", "{}", picked.text());
    for (token, text) in [(&ann, "hello"), (&amy, "สวัสดี")] {
        let draft = json!({
            "conversation_id": id, "client_message_id": text, "content": { "text": text },
        });
        let sent = broker.post(token, "/v1/chat/messages", &draft).await;
        assert_eq!(sent.status, 200, "{}", sent.text());
    }
    let page = broker.get(&ann, &format!("{path}/messages?after=1")).await.json();
    let texts: Vec<_> = page["messages"].as_array().expect("a list").iter().collect();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[1]["content"]["text"], "สวัสดี");
    let read = json!({ "message_id": texts[1]["id"] });
    let cursors = broker.post(&ann, "/v1/chat/messages/read", &read).await.json();
    assert_eq!(cursors["read_seq"], texts[1]["seq"]);
    let page = broker.get(&amy, &format!("{path}/messages")).await.json();
    assert_eq!(page["messages"][2]["status"], "read");
    assert_eq!(broker.post(&amy, "/v1/chat/resolve", &pick).await.json()["status"], "resolved");
    let own = broker.get(&ann, "/v1/chat/conversations").await.json();
    assert_eq!(own["conversations"][0]["status"], "resolved");
    let bob = broker.token("bob", Role::Customer);
    assert_eq!(broker.get(&bob, &path).await.status, 404);
}

#[tokio::test]
async fn the_figures_of_the_shop_are_asked_for_by_those_who_run_it() {
    let broker = Broker::start();
    let shop = broker.token("shop", Role::Service);
    let ann = broker.token("ann", Role::Customer);
    let told = json!({ "customer_id": "ann" });
    let first = put(&broker, &shop, "/v1/orders/o1", &told).await.json();
    assert_eq!(put(&broker, &shop, "/v1/orders/o2", &told).await.status, 200);
    let status = json!({ "id": "o1", "status": "delivered" });
    assert_eq!(broker.post(&shop, "/v1/orders/status", &status).await.status, 200);
    let lines = json!([{ "product_id": "p1", "location": "bangkok", "quantity": 5 }]);
    let stocked = broker.post(&shop, "/v1/inventory/restock", &json!({ "lines": lines })).await;
    assert_eq!(stocked.status, 200, "{}", stocked.text());
    for user in ["ann", "bob"] {
        let token = broker.token(user, Role::Customer);
        let wanted = json!({ "product_id": "p1", "quantity": 1 });
        let held = broker.post(&token, "/v1/inventory/reserve", &wanted).await;
        assert_eq!(held.status, 200, "{}", held.text());
        if user == "ann" {
            let paid = json!({ "reservation_id": held.json()["reservation_id"], "order_id": "o1" });
            let paid = broker.post(&shop, "/v1/inventory/commit", &paid).await;
            assert_eq!(paid.status, 200, "{}", paid.text());
        }
    }
    let today = first["created_at"].as_str().expect("a time")[..10].to_owned();
    let path = format!("/v1/figures?from={today}&to=2099-01-01");
    assert_eq!(broker.get(&shop, &path).await.status, 400, "too many days");
    let path = format!("/v1/figures?from={today}&to={today}");
    let shown = broker.get(&shop, &path).await.json();
    let total = &shown["total"];
    for (name, wanted) in [
        ("reservations", json!(2)),
        ("sold", json!(1)),
        ("conversion", json!(0.5)),
        ("orders", json!(2)),
        ("delivered", json!(1)),
        ("cancelled", json!(0)),
        ("opened", json!(null)),
    ] {
        assert_eq!(total[name], wanted, "{name}: {shown}");
    }
    assert_eq!((&shown["days"][0]["day"], &shown["days"][0]["sold"]), (&json!(today), &json!(1)));
    assert_eq!(total["chat"]["conversations"], 0);
    assert_eq!(broker.get(&ann, &path).await.status, 403);
}
