//! Stock: what viewers see, who may ask what, and what makes no sense.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sampan::auth::Role;
use sampan_client::inventory::{
    Adjust, AdjustLine, HoldStatus, Inventory, Location, Reservation, Reserve, Reserved, Restock,
    RestockLine, Threshold, Viewer,
};
use sampan_client::{Client, Code, Error, Topic};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{Broker, PATIENCE, pattern};

fn come(product: &str, quantity: i64) -> Restock {
    let line = RestockLine {
        product_id: product.to_owned(),
        variant_id: String::new(),
        location: "bangkok".to_owned(),
        quantity,
    };
    Restock { lines: vec![line], idempotency_key: None }
}

/// Restocks as soon as the services answer.
async fn restock(stock: &Inventory, product: &str, quantity: i64) {
    let begun = Instant::now();
    loop {
        match stock.restock(&come(product, quantity)).await {
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            done => return done.map(|_| ()).expect("restocked"),
        }
    }
}

async fn seen(viewer: &mut Viewer) -> (i64, u64) {
    let update = timeout(PATIENCE, viewer.next()).await.expect("in time").expect("not ended");
    (update.available_quantity, update.version)
}

fn held(answer: Result<Reserved, Error>) -> String {
    let answer = answer.expect("answered");
    assert!(answer.success, "{answer:?}");
    answer.reservation.expect("held").reservation_id
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> Option<Code> {
    answer.expect_err("refused").code()
}

#[tokio::test]
async fn a_viewer_who_joins_sees_stock_at_once_and_then_every_version_in_order() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.inventory();
    restock(&shop, "p.1 ก", 5).await;
    let customer = broker.client("cat", Role::Customer).await.inventory();
    let mut viewer = customer.view("p.1 ก").await.expect("joined");
    let (available, first) = seen(&mut viewer).await;
    assert_eq!(available, 5);
    let id = held(customer.reserve(&Reserve::one("p.1 ก", 3)).await);
    let (available, second) = seen(&mut viewer).await;
    assert_eq!(available, 2);
    // Another fails on what is left, which changes nothing for those who look.
    let other = broker.client("dog", Role::Customer).await.inventory();
    let short = other.reserve(&Reserve::one("p.1 ก", 3)).await.expect("answered");
    assert_eq!((short.success, short.short.map(|short| short.available)), (false, Some(2)));
    customer.release(&id).await.expect("released");
    let (available, third) = seen(&mut viewer).await;
    assert_eq!((available, first < second && second < third), (5, true));
    let mut late = other.view("p.1 ก").await.expect("joined");
    assert_eq!(seen(&mut late).await, (5, third), "who comes late sees the newest at once");
    let product = other.product("p.1 ก").await.expect("known");
    assert_eq!((product.variants[0].available_quantity, product.locations.len()), (5, 0));
    let product = shop.product("p.1 ก").await.expect("known");
    assert_eq!((product.locations[0].on_hand, product.locations[0].reserved), (5, 0));
}

#[tokio::test]
async fn a_reservation_goes_from_the_cart_to_the_order_and_is_told_in_order() {
    let broker = Broker::start();
    let backend = broker.client("shop", Role::Service).await;
    let shop = backend.inventory();
    restock(&shop, "a", 9).await;
    let customer = broker.client("cat", Role::Customer).await.inventory();
    let wanted = Reserve { idempotency_key: Some("cart".to_owned()), ..Reserve::one("a", 2) };
    let id = held(customer.reserve(&wanted).await);
    assert_eq!(held(customer.reserve(&wanted).await), id, "sent again it is the same");
    let longer = customer.extend(&id).await.expect("longer");
    assert_eq!(longer.status, HoldStatus::Held);
    shop.payment_pending(&id).await.expect("paying");
    let sold = shop.commit(&id, "order 1").await.expect("paid");
    assert_eq!((sold.status, sold.order_id.as_deref()), (HoldStatus::Committed, Some("order 1")));
    assert_eq!(shop.commit(&id, "order 1").await, Ok(sold));
    assert!(customer.reservations(None).await.expect("asked").is_empty());
    // The shop's workers are told of it in the group that is there from the start.
    let workers = backend.consume("inventory", pattern("inventory.reservation")).batch(100);
    let mut worker = workers.await.expect("joined");
    let mut told = Vec::new();
    while told.len() < 4 {
        let job = timeout(PATIENCE, worker.next()).await.expect("in time").expect("not ended");
        let it: Reservation = serde_json::from_slice(job.payload_bytes()).expect("a reservation");
        assert_eq!((job.key(), &it.reservation_id), (Some(id.as_str()), &id));
        told.push(job.event().unwrap_or_default().to_owned());
        job.ack().await.expect("settled");
    }
    let names = ["held", "extended", "payment_pending", "committed"];
    assert_eq!(told, names.map(|name| format!("reservation:{name}")));
    // What was asked twice has happened once.
    for name in ["sampan_inventory_reserved_total", "sampan_inventory_committed_total"] {
        assert!((broker.metric(name) - 1.0).abs() < 0.5, "{name}: {}", broker.metric(name));
    }
}

#[tokio::test]
async fn of_many_customers_as_many_hold_the_last_pieces_as_there_are() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.inventory();
    restock(&shop, "a", 5).await;
    let mut asking = JoinSet::new();
    for client in broker.clients(20, Role::Customer).await {
        asking.spawn(async move { client.inventory().reserve(&Reserve::one("a", 1)).await });
    }
    let answers = asking.join_all().await.into_iter();
    let held = answers.filter(|answer| answer.as_ref().expect("answered").success).count();
    assert_eq!(held, 5);
}

/// Carts of each customer.
const CARTS: u32 = 24;

/// The answer of a call that is made again, as it is, as long as that may help.
macro_rules! in_the_end {
    ($call:expr) => {
        loop {
            match $call.await {
                Err(error) if error.is_retryable() => sleep(Duration::from_millis(20)).await,
                done => break done.expect("done in the end"),
            }
        }
    };
}

/// A customer who fills a cart again and again, and buys each second one; how much was bought.
async fn buys(customer: Inventory, shop: Inventory, of: u32, done: Arc<AtomicU32>) -> i64 {
    let mut bought = 0;
    for n in 0..CARTS {
        let idempotency_key = Some(format!("cart {n}"));
        let wanted = Reserve { idempotency_key, ..Reserve::one("a", 2) };
        let id = in_the_end!(customer.reserve(&wanted)).reservation.expect("held").reservation_id;
        if n % 2 == 0 {
            let order = format!("order {of} {n}");
            in_the_end!(shop.commit(&id, &order));
            bought += 2;
        } else {
            in_the_end!(customer.release(&id));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    bought
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_is_whole_however_often_the_broker_is_killed() {
    let mut broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.inventory();
    restock(&shop, "a", 1_000).await;
    let (done, mut buying) = (Arc::new(AtomicU32::new(0)), JoinSet::new());
    for of in 0..4 {
        let customer = broker.client(&format!("u{of}"), Role::Customer).await.inventory();
        buying.spawn(buys(customer, shop.clone(), of, done.clone()));
    }
    for part in [20, 40, 60] {
        while done.load(Ordering::Relaxed) < part {
            sleep(Duration::from_millis(5)).await;
        }
        broker = broker.crash_and_restart();
    }
    let bought: i64 = buying.join_all().await.into_iter().sum();
    let now = in_the_end!(shop.product("a")).locations;
    assert_eq!((now[0].on_hand, now[0].reserved), (1_000 - bought, 0));
    let mut viewer = shop.view("a").await.expect("joined");
    while seen(&mut viewer).await.0 != 1_000 - bought {}
}

/// Asks in JSON, and expects a refusal.
async fn refused(client: &Client, topic: &str, question: serde_json::Value) -> Option<Code> {
    let topic = Topic::parse(topic).expect("a topic");
    code(client.request(topic, question.to_string(), PATIENCE).await)
}

#[tokio::test]
async fn customers_see_and_move_only_what_is_theirs_and_nonsense_is_refused_by_name() {
    let (not_found, conflict, closed) = (Some(Code(904)), Some(Code(909)), Some(Code(911)));
    let broker = Broker::start();
    let backend = broker.client("shop", Role::Service).await;
    let shop = backend.inventory();
    restock(&shop, "a", 9).await;
    let (cat, dog) =
        (broker.client("cat", Role::Customer).await, broker.client("dog", Role::Customer).await);
    let id = held(cat.inventory().reserve(&Reserve::one("a", 2)).await);
    // Another's reservation is not there; what is the shop's business is not granted.
    let theirs = dog.inventory();
    assert_eq!(code(theirs.release(&id).await), not_found);
    assert_eq!(code(theirs.extend(&id).await), not_found);
    assert_eq!(code(theirs.reservation(&id).await), not_found);
    assert_eq!(code(theirs.reservations(Some("cat")).await), Some(Code::NOT_GRANTED));
    let for_cat = Reserve { customer_id: Some("cat".to_owned()), ..Reserve::one("a", 1) };
    assert_eq!(code(theirs.reserve(&for_cat).await), Some(Code::NOT_GRANTED));
    for client in [&cat, &broker.client("amy", Role::Agent).await] {
        let own = client.inventory();
        assert_eq!(code(own.commit(&id, "o").await), Some(Code::NOT_GRANTED));
        assert_eq!(code(own.payment_pending(&id).await), Some(Code::NOT_GRANTED));
        assert_eq!(code(own.restock(&come("a", 1)).await), Some(Code::NOT_GRANTED));
        let topic = Topic::parse("inventory.reservation").expect("a topic");
        let forged = client.publish(sampan_client::Message::new(topic, "{}")).await;
        assert_eq!(code(forged), Some(Code::NOT_GRANTED));
    }
    for (topic, question) in [
        ("inventory.reserve", json!({ "product_id": "a", "quantity": 0, "customer_id": "cat" })),
        ("inventory.reserve", json!({ "product_id": "a", "quantity": -1, "customer_id": "cat" })),
        ("inventory.reserve", json!({ "product_id": "a", "quantity": 1.5, "customer_id": "cat" })),
        ("inventory.reserve", json!({ "product_id": "", "quantity": 1, "customer_id": "cat" })),
        ("inventory.reserve", json!({ "product_id": "a", "customer_id": "cat" })),
        ("inventory.reserve", json!({ "customer_id": "cat" })),
        ("inventory.reserve", json!({ "product_id": "a", "quantity": 1 })),
        ("inventory.reserve", json!({ "product_id": "a", "qty": 1, "customer_id": "cat" })),
        ("inventory.restock", json!({ "lines": [] })),
        (
            "inventory.restock",
            json!({ "lines": [{ "product_id": "a", "location": "x", "quantity": 0 }] }),
        ),
        ("inventory.adjust", json!({ "lines": [{ "product_id": "a", "location": "x" }] })),
        (
            "inventory.adjust",
            json!({ "lines": [{ "product_id": "a", "location": "online", "by": 1 }] }),
        ),
        (
            "inventory.adjust",
            json!({ "lines": [{ "product_id": "x".repeat(129), "location": "x", "by": 1 }] }),
        ),
        ("inventory.set_threshold", json!({ "location": "x", "threshold": 1 })),
        ("inventory.set_threshold", json!({ "product_id": "a", "threshold": -1 })),
        ("inventory.set_location", json!({ "location": "online", "is_sellable": true })),
    ] {
        let text = question.to_string();
        assert_eq!(refused(&backend, topic, question).await, Some(Code::BAD_FIELD), "{text}");
    }
    let unknown = Reserve { customer_id: Some("cat".to_owned()), ..Reserve::one("no such", 1) };
    assert_eq!(code(shop.reserve(&unknown).await), not_found);
    assert_eq!(code(shop.product("no such").await), not_found);
    assert_eq!(code(shop.commit("no such", "o").await), not_found);
    let fewer = AdjustLine {
        product_id: "a".to_owned(),
        location: "bangkok".to_owned(),
        on_hand: Some(1),
        ..AdjustLine::default()
    };
    let fewer = Adjust { lines: vec![fewer], idempotency_key: None };
    assert_eq!(code(shop.adjust(&fewer).await), conflict);
    shop.commit(&id, "o1").await.expect("paid");
    assert_eq!(code(shop.commit(&id, "o2").await), closed, "a second order does not get it");
    assert_eq!(code(shop.release(&id).await), closed);
    let now = shop.product("a").await.expect("known").locations;
    assert_eq!((now[0].on_hand, now[0].reserved), (7, 0), "nothing else has changed");
    // What the shop may set is taken.
    let threshold = Threshold { threshold: Some(3), ..Threshold::default() };
    shop.set_threshold(&threshold).await.expect("set");
    let closed = Location { location: "bangkok".to_owned(), is_sellable: false, rank: 1 };
    shop.set_location(&closed).await.expect("set");
    let short = cat.inventory().reserve(&Reserve::one("a", 1)).await.expect("answered");
    assert_eq!(short.short.map(|short| short.available), Some(0));
}
