//! Orders: what comes round by itself, and what carriers tell.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sampan::auth::Role;
use sampan_client::{Code, Delivery, Message, Start};
use sampan_services::signature::{Secret, hex};
use sampan_services::store::{Address, Database, Query};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::asking::{ask, ask_in_time, topic};
use crate::harness::{Broker, PATIENCE, pattern};
use crate::services::{Process, WITHOUT};
use crate::tracking::{Kind, SECRET};

#[tokio::test]
async fn an_order_that_is_tracked_for_seven_days_is_given_up_and_everybody_hears_of_it() {
    let (broker, folder) = (Broker::configured(WITHOUT), TempDir::new().expect("a folder"));
    let address = Address::sqlite(&folder.path().join("services.db"));
    let _services = Process::start(&address, broker.options("services", Role::Service));
    let shop = broker.client("shop", Role::Service).await;
    let order = json!({
        "id": "o1", "customer_id": "cat", "carrier": "kerry", "tracking_number": "TH1",
    });
    ask_in_time(&shop, "orders.upsert", &order).await.expect("told");
    let mut told = shop.subscribe(pattern("order.o1"), Start::Now).await.expect("subscribed");
    let mut boss =
        shop.subscribe(pattern("admin.dashboard"), Start::Now).await.expect("subscribed");
    let database = Database::open(&address).expect("a valid address");
    let mut work = database.begin().await.expect("begun");
    let past = "UPDATE tracking_jobs SET stop_at = 1, \
                body = json_set(body, '$.stop_at', '1970-01-01T00:00:00.001Z')";
    assert_eq!(work.execute(Query::new(past)).await, Ok(1));
    work.commit().await.expect("committed");
    for events in [&mut told, &mut boss] {
        let stopped = loop {
            let delivery = timeout(PATIENCE, events.next()).await.expect("in time");
            let Delivery::Message(message) = delivery.expect("open") else { continue };
            assert_eq!(message.event(), Some("order:tracking_stopped"));
            break serde_json::from_slice::<Value>(&message.payload()).expect("JSON");
        };
        assert_eq!((&stopped["order_id"], &stopped["reason"]), (&"o1".into(), &"expired".into()));
    }
    let again = ask(&shop, "orders.track", &json!({ "id": "o1" })).await;
    assert!(again.is_ok(), "it can be begun anew: {again:?}");
}

#[tokio::test]
async fn a_webhook_counts_once_if_its_service_has_signed_it() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("carriers.toml");
    let text = format!(
        "[[tracker]]\nprovider = 'easypost'\nkey = 'key'\nwebhook_secret = '{SECRET}'\n\
                        url = 'http://127.0.0.1:9'\n"
    );
    std::fs::write(&file, text).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("set");
    let config = format!("[services]\nproviders_file = '{}'\n", file.display());
    let broker = Broker::configured(&config);
    let shop = broker.client("shop", Role::Service).await;
    for (id, customer) in [("old", "ann"), ("new", "cat")] {
        let order = json!({
            "id": id, "customer_id": customer, "carrier": "kerry", "tracking_number": "TH1",
            "placed_at": "2026-09-01T00:00:00Z",
        });
        ask_in_time(&shop, "orders.upsert", &order).await.expect("told");
    }
    let body =
        json!({ "description": "tracker.updated", "result": Kind::EasyPost.parcel("TH1", 1, 1) })
            .to_string();
    let signed = |secret: &str, body: &str| {
        let signature = Secret::new(secret.as_bytes()).sign(body.as_bytes());
        format!("hmac-sha256-hex={}", hex(&signature))
    };
    let post = |service: &str, signature: &str, body: &str| {
        let path = format!("/v1/webhooks/{service}");
        let headers =
            format!("x-hmac-signature: {signature}\r\ncontent-type: application/json\r\n");
        broker.http_call("POST", &path, &headers, body.as_bytes())
    };
    let large = " ".repeat(600 * 1024);
    let (good, forged) = (signed(SECRET, &body), signed("other", &body));
    assert_eq!(post("easypost", &forged, &body).0, 403);
    assert_eq!(post("easypost", "", &body).0, 403);
    assert_eq!(post("shippo", &good, &body).0, 404, "it has no secret");
    assert_eq!(post("nobody", &good, &body).0, 404);
    assert_eq!(post("easypost", &signed(SECRET, "{}"), "{}").0, 400);
    assert_eq!(post("easypost", &signed(SECRET, &large), &large).0, 413);
    for _ in 0..3 {
        let (status, answer) = post("easypost", &good, &body);
        assert_eq!((status, answer.contains("\"heard\":1")), (200, true), "{answer}");
    }
    let unknown = json!({ "result": Kind::EasyPost.parcel("TH9", 1, 1) }).to_string();
    let (status, answer) = post("easypost", &signed(SECRET, &unknown), &unknown);
    assert_eq!((status, answer.contains("\"heard\":0")), (200, true), "{answer}");
    let order =
        async |id: &str| ask(&shop, "orders.get", &json!({ "id": id })).await.expect("there");
    let (old, new) = (order("old").await, order("new").await);
    assert_eq!((&old["version"], &new["status"]), (&0.into(), &"in_transit".into()), "the newest");
    assert_eq!(new["version"], 2, "each step once, though it came three times");
    broker.metric_reaches("sampan_orders_webhooks_total", 4.0).await;
    broker.metric_reaches("sampan_orders_webhooks_refused_total", 3.0).await;
}

/// With an authorizer of the shop's own, whose answers hold for a second.
#[tokio::test]
async fn who_may_hear_of_an_order_no_longer_hears_no_more() {
    let broker = Broker::configured(WITHOUT);
    let shop = broker.client("shop", Role::Service).await;
    let mut questions = shop.authorize(pattern("order.*")).await.expect("authorizes");
    let agent = Arc::new(Mutex::new("amy"));
    let has_it = agent.clone();
    let answering = tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            let ttl = Duration::from_secs(1);
            match question.user() == *has_it.lock().expect("whole") {
                true => question.allow(ttl),
                false => question.deny(ttl),
            }
        }
    });
    let amy = broker.client("amy", Role::Agent).await;
    let mut told = amy.subscribe(&topic("order.o1"), Start::Now).await.expect("hers");
    shop.publish(Message::new(topic("order.o1"), "packed")).await.expect("told");
    let heard = timeout(PATIENCE, told.next()).await.expect("in time").expect("open");
    assert!(matches!(heard, Delivery::Message(message) if message.payload() == "packed"));
    *agent.lock().expect("whole") = "kim";
    let end = timeout(PATIENCE, told.next()).await.expect("in time");
    assert!(end.is_none(), "{end:?}");
    assert_eq!(told.error().and_then(|error| error.code()), Some(Code::NOT_AUTHORIZED));
    let refused = amy.subscribe(&topic("order.o1"), Start::Now).await.expect_err("not hers");
    assert_eq!(refused.code(), Some(Code::NOT_AUTHORIZED));
    answering.abort();
}
