//! Orders: what comes round by itself.

use sampan::auth::Role;
use sampan_client::{Delivery, Start};
use sampan_services::store::{Address, Database, Query};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::asking::{ask, ask_in_time};
use crate::harness::{Broker, PATIENCE, pattern};
use crate::services::{Process, WITHOUT};

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
