//! Stock over HTTP.

use sampan::auth::Role;
use serde_json::{Value, json};

use crate::harness::{Broker, PATIENCE, Reply};

async fn post(broker: &Broker, token: &str, path: &str, body: &Value) -> Reply {
    let headers = format!("authorization: Bearer {token}\r\n");
    broker.call("POST", path, &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn stock_goes_from_the_shelf_to_an_order_by_curl() {
    let broker = Broker::start();
    let (shop, cat) = (broker.token("shop", Role::Service), broker.token("cat", Role::Customer));
    let come = json!({ "lines": [{ "product_id": "p/1", "location": "bangkok", "quantity": 5 }] });
    let begun = std::time::Instant::now();
    let levels = loop {
        let reply = post(&broker, &shop, "/v1/inventory/restock", &come).await;
        // The services begin a moment after the broker.
        if reply.status == 200 || begun.elapsed() > PATIENCE {
            break reply;
        }
    };
    assert_eq!(levels.json()["levels"][0]["available"], 5, "{}", levels.text());
    let path = "/v1/inventory/reserve";
    let wanted = json!({ "product_id": "p/1", "quantity": 3 });
    let held = post(&broker, &cat, path, &wanted).await.json();
    assert_eq!((&held["success"], &held["customer_id"]), (&true.into(), &"cat".into()), "{held}");
    let short = post(&broker, &broker.token("dog", Role::Customer), path, &wanted).await.json();
    assert_eq!((&short["success"], &short["available"]), (&false.into(), &2.into()), "{short}");
    let id = held["reservation_id"].as_str().expect("an id");
    let one = broker.get(&cat, &format!("/v1/inventory/reservations/{id}")).await.json();
    let all = broker.get(&cat, "/v1/inventory/reservations").await.json();
    assert_eq!((&one["status"], &all["reservations"][0]), (&"held".into(), &one));
    let paid = json!({ "reservation_id": id, "order_id": "o1" });
    let refused = post(&broker, &cat, "/v1/inventory/commit", &paid).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let sold = post(&broker, &shop, "/v1/inventory/commit", &paid).await.json();
    assert_eq!(sold["status"], "committed", "{sold}");
    let product = broker.get(&cat, "/v1/inventory/products/p%2F1").await.json();
    assert_eq!(product["variants"][0]["available_quantity"], 2, "{product}");
    assert_eq!(broker.get(&cat, "/v1/inventory/products/none").await.status, 404);
    let tell = "/v1/inventory/tell";
    let told = post(&broker, &shop, tell, &json!({ "product_id": "p/1" })).await.json();
    assert_eq!(told["success"], true, "{told}");
    let unknown = post(&broker, &shop, tell, &json!({ "product_id": "none" })).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text());
    assert_eq!(post(&broker, &cat, tell, &json!({})).await.status, 403);
}

#[tokio::test]
async fn the_document_describes_what_is_asked_about_stock() {
    let broker = Broker::start();
    let document = broker.get("", "/v1/openapi.json").await.json();
    let paths = document["paths"].as_object().expect("paths");
    let of_stock = paths.keys().filter(|path| path.starts_with("/v1/inventory/")).count();
    assert_eq!(of_stock, 14);
    let reserve = &document["components"]["schemas"]["Reserve"];
    assert!(reserve["properties"]["lines"].is_object(), "{reserve}");
}
