//! Notifications: from an event to a device, and a hundred thousand at once.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::BoxFuture;
use sampan::auth::Role;
use sampan_client::orders::News;
use sampan_client::{Client, Code, Delivery, Start};
use sampan_services::Moment;
use sampan_services::notifications::model::Kind;
use sampan_services::notifications::rules::provider::{Class, Provider};
use sampan_services::notifications::send::{Endpoint, Outcome, Outgoing, Sender};
use sampan_services::signature::Secret;
use sampan_services::store::{Address, Database, Query, each};
use sampan_tests::servers::Postgres;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use crate::asking::{ask, ask_in_time, code};
use crate::harness::{Broker, PATIENCE, pattern};
use crate::services::{Process, WITHOUT};

/// A push service in this process. It takes what it is given, and now and then says that it cannot.
#[derive(Default)]
pub(crate) struct Phones {
    /// Failures of a hundred first attempts.
    failing: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What each token has got.
    got: BTreeMap<String, Vec<Outgoing>>,
    /// All that was accepted so far.
    accepted: usize,
    /// How many had been accepted when a payment was, and when that was.
    payments: Vec<(usize, Instant)>,
    tried: BTreeMap<String, u32>,
}

impl Sender for Phones {
    fn provider(&self) -> Provider {
        Provider::Fcm
    }

    fn send<'a>(&'a self, one: &'a Outgoing, _: Moment) -> BoxFuture<'a, Outcome> {
        let Endpoint::Fcm { token } = &one.endpoint else { panic!("a phone") };
        let class = {
            let mut state = self.state.lock().expect("no panic");
            let tried = state.tried.entry(one.delivery_id.clone()).or_default();
            *tried += 1;
            let chance = BuildHasherDefault::<DefaultHasher>::default().hash_one(&one.delivery_id);
            // Whether a payment overtakes a job is another question than whether it is tried again.
            let may_fail = one.content.kind != Kind::PaymentConfirmation;
            if may_fail && *tried == 1 && chance % 100 < self.failing {
                Class::Retry
            } else {
                state.accepted += 1;
                if one.content.kind == Kind::PaymentConfirmation {
                    let accepted = (state.accepted, Instant::now());
                    state.payments.push(accepted);
                }
                state.got.entry(token.clone()).or_default().push(one.clone());
                Class::Accepted
            }
        };
        Box::pin(async move {
            // The answer is on its way: whoever is stopped now does not know what came of it.
            sleep(Duration::from_millis(5)).await;
            let status = if class == Class::Accepted { 200 } else { 503 };
            Outcome::new(class, status, "")
        })
    }
}

impl Phones {
    pub(crate) fn got(&self, token: &str) -> Vec<Outgoing> {
        self.state.lock().expect("no panic").got.get(token).cloned().unwrap_or_default()
    }
}

pub(crate) async fn event(events: &mut sampan_client::Subscription, name: &str) -> Value {
    loop {
        let delivery = timeout(PATIENCE, events.next()).await.expect("in time").expect("open");
        let Delivery::Message(message) = delivery else { continue };
        if message.event() == Some(name) {
            return serde_json::from_slice(&message.payload()).expect("JSON");
        }
    }
}

pub(crate) async fn register(client: &Client, token: &str) {
    let device = json!({ "provider": "firebase", "app": "shop", "token": token });
    ask_in_time(client, "notify.device_put", &device).await.expect("registered");
}

struct Shop {
    broker: Broker,
    phones: Arc<Phones>,
    _services: Process,
    _folder: TempDir,
}

fn shop() -> Shop {
    let (broker, folder) = (Broker::configured(WITHOUT), TempDir::new().expect("a folder"));
    let address = Address::sqlite(&folder.path().join("services.db"));
    let phones = Arc::new(Phones::default());
    let options = broker.options("services", Role::Service);
    let _services = Process::with_sender(&address, phones.clone(), options);
    Shop { broker, phones, _services, _folder: folder }
}

#[tokio::test]
async fn news_of_an_order_reach_the_phone_unless_a_page_has_them() {
    let shop = shop();
    let backend = shop.broker.client("shop", Role::Service).await;
    let cat = shop.broker.client("cat", Role::Customer).await;
    register(&cat, "t1").await;
    let thai = json!({ "id": "cat", "role": "customer", "locale": "th-TH" });
    ask(&backend, "users.upsert", &thai).await.expect("told");
    let mut page = cat.subscribe(pattern("user.cat"), Start::Now).await.expect("subscribed");
    let mut ends =
        backend.subscribe(pattern("notify.delivery.push"), Start::Now).await.expect("subscribed");
    ask(&backend, "orders.upsert", &json!({ "id": "o1", "customer_id": "cat" }))
        .await
        .expect("told");
    let mut follower = cat.orders().follow("o1").await.expect("one's own");
    // That another has seen it spares no push.
    let mut other = backend.orders().follow("o1").await.expect("all");
    let status = async |status: &str| {
        let told = json!({ "id": "o1", "status": status });
        ask(&backend, "orders.status", &told).await.expect("told");
    };
    status("confirmed").await;
    event(&mut page, "order_status_update").await;
    loop {
        let news = timeout(PATIENCE, follower.next()).await.expect("in time").expect("open");
        if matches!(news, News::Status(_)) {
            break;
        }
    }
    let spared = event(&mut ends, "notification:suppressed").await;
    assert_eq!(spared["reason"], "live", "the follower marks what it hands out");
    drop(follower);
    status("shipped").await;
    while !matches!(other.next().await, Some(News::Status(update)) if update.version == 2) {}
    let sent = event(&mut ends, "notification:sent").await;
    assert_eq!((&sent["user_id"], &sent["attempts"]), (&"cat".into(), &1.into()));
    let got = shop.phones.got("t1");
    let bodies: Vec<&str> = got.iter().map(|one| one.content.body.as_str()).collect();
    assert_eq!(bodies, ["คำสั่งซื้อ o1: จัดส่งแล้ว"]);
    assert!(got[0].collapse.is_some(), "the next status takes its place");
}

#[tokio::test]
async fn an_inbox_is_told_live_and_read_by_its_user_alone() {
    let shop = shop();
    let backend = shop.broker.client("shop", Role::Service).await;
    let cat = shop.broker.client("cat", Role::Customer).await;
    let mut page = cat.subscribe(pattern("user.cat"), Start::Now).await.expect("subscribed");
    let payment = json!({
        "user_id": "cat", "type": "payment_confirmation",
        "data": { "order_id": "o1", "amount": "99.00", "currency": "THB" },
    });
    let taken = ask_in_time(&backend, "notify.send", &payment).await.expect("taken");
    let shown = event(&mut page, "notification:new").await;
    assert_eq!(shown["notification_id"], taken["notification_id"]);
    let inbox = ask(&cat, "notify.inbox", &json!({})).await.expect("read");
    assert_eq!((&inbox["unread"], &inbox["items"][0]), (&1.into(), &shown));
    let mark = json!({ "ids": [shown["notification_id"]], "as": "read" });
    ask(&cat, "notify.mark", &mark).await.expect("marked");
    assert_eq!(event(&mut page, "notification:updated").await["unread"], 0);
    let wanted = json!({ "notification_id": taken["notification_id"] });
    let report = ask(&cat, "notify.get", &wanted).await.expect("one's own");
    let ends: Vec<&Value> =
        report["deliveries"].as_array().expect("a list").iter().map(|one| &one["state"]).collect();
    assert_eq!(ends, ["suppressed", "seen"], "no phone, and a page that was read");
    let dog = shop.broker.client("dog", Role::Customer).await;
    assert_eq!(code(ask(&dog, "notify.get", &wanted).await), Some(Code(904)));
    let whose = json!({ "user_id": "cat" });
    for name in ["notify.inbox", "notify.devices", "notify.preferences"] {
        assert_eq!(code(ask(&dog, name, &whose).await), Some(Code::NOT_GRANTED), "{name}");
        assert!(ask(&backend, name, &whose).await.is_ok(), "{name}");
    }
}

#[tokio::test]
async fn what_is_for_the_shop_is_refused_to_all_others_and_nonsense_to_everybody() {
    let shop = shop();
    let backend = shop.broker.client("shop", Role::Service).await;
    ask_in_time(&backend, "notify.templates", &json!({})).await.expect("read");
    let send = json!({ "user_id": "cat", "type": "chat_message", "data": {} });
    let shops = [
        ("notify.send", &send),
        ("notify.trigger", &send),
        ("notify.cancel", &json!({ "notification_id": "n" })),
        ("notify.replay", &json!({ "delivery_id": "d" })),
        ("notify.failed", &json!({})),
        ("notify.templates", &json!({})),
        ("notify.suppressions", &json!({ "channel": "sms" })),
        ("notify.bulk_part", &json!({ "job_id": "j", "from": 0, "items": [] })),
        ("notify.bulk_get", &json!({ "job_id": "j" })),
        ("notify.bulk_cancel", &json!({ "job_id": "j" })),
        ("notify.bulk_resume", &json!({ "job_id": "j" })),
    ];
    for role in [Role::Customer, Role::Agent] {
        let other = shop.broker.client("cat", role).await;
        for (name, question) in shops {
            let refused = ask(&other, name, question).await;
            assert_eq!(code(refused), Some(Code::NOT_GRANTED), "{role} {name}");
        }
    }
    let order = json!({ "order_id": "o1", "current_status": "shipped" });
    let bad = [
        ("notify.send", json!({ "user_id": "cat", "type": "gossip", "data": {} })),
        ("notify.send", send.clone()),
        ("notify.send", json!({ "user_id": "", "type": "order_status_update", "data": order })),
        (
            "notify.send",
            json!({ "user_id": "cat", "type": "order_status_update", "data": order, "channels": ["pigeon"] }),
        ),
        (
            "notify.send",
            json!({ "user_id": "cat", "type": "order_status_update",
            "data": { "order_id": "x".repeat(5_000), "current_status": "shipped" } }),
        ),
        ("notify.device_put", json!({ "provider": "apn", "app": "a.b", "token": "no hex" })),
        (
            "notify.device_put",
            json!({ "provider": "web_push", "token": "http://push.example/1", "p256dh": "a", "auth": "b" }),
        ),
        ("notify.device_put", json!({ "provider": "web_push", "token": "https://push.example/1" })),
        (
            "notify.device_put",
            json!({ "provider": "web_push", "token": "https://10.0.0.1/1", "p256dh": "a", "auth": "b" }),
        ),
        ("notify.device_put", json!({ "provider": "firebase", "token": "" })),
        ("notify.suppress", json!({ "channel": "sms", "address": "0812345678" })),
        ("notify.suppress", json!({ "channel": "push", "address": "t1" })),
        ("notify.mark", json!({ "ids": [], "as": "read" })),
        ("notify.preferences_put", json!({ "quiet_hours": { "from": 60, "to": 60 } })),
        (
            "notify.preferences_put",
            json!({ "quiet_hours": { "tz": "Moon/Base", "from": 0, "to": 60 } }),
        ),
        (
            "notify.template_put",
            json!({ "type": "chat_message", "channel": "push", "locale": "th",
            "body_template": "{{ a", "ttl": 1 }),
        ),
    ];
    for (name, question) in bad {
        let refused = ask(&backend, name, &question).await;
        assert_eq!(code(refused), Some(Code::BAD_FIELD), "{name} {question}");
    }
    let preview = json!({ "type": "order_status_update", "channel": "sms", "locale": "th",
        "data": order });
    let preview = ask(&backend, "notify.preview", &preview).await.expect("filled in");
    assert_eq!((&preview["sms_parts"], &preview["title"]), (&1.into(), &"".into()));
}

#[tokio::test]
async fn an_event_that_asks_for_nonsense_is_a_dead_letter_and_holds_up_nobody() {
    let shop = shop();
    let backend = shop.broker.client("shop", Role::Service).await;
    ask_in_time(&backend, "notify.templates", &json!({})).await.expect("read");
    for data in [json!({}), json!({ "order_id": "o1", "current_status": "shipped" })] {
        let trigger = json!({ "user_id": "cat", "type": "order_status_update", "data": data,
            "channels": ["websocket"] });
        let message = sampan_client::Message::new(
            crate::asking::topic("notify.trigger"),
            trigger.to_string(),
        );
        backend.publish(message).await.expect("published");
    }
    let begun = Instant::now();
    let letters = loop {
        let letters = backend.dead_letters("notifications").list(None, 10).await;
        let letters = letters.map(|list| list.letters).unwrap_or_default();
        if !letters.is_empty() {
            break letters;
        }
        assert!(begun.elapsed() < PATIENCE, "in time");
        sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(letters.len(), 1);
    let whose = json!({ "user_id": "cat" });
    loop {
        let inbox = ask(&backend, "notify.inbox", &whose).await.expect("read");
        if inbox["unread"] == 1 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "in time");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Notifications of the bulk job; `SAMPAN_BULK` says how many, if not so many.
const BULK: u32 = 1_000;
/// Items of one part.
const PART: u32 = 500;

#[tokio::test]
async fn a_bulk_job_reaches_each_phone_once_though_its_services_are_stopped_dead_twice() {
    let folder = TempDir::new().expect("a folder");
    bulk(Address::sqlite(&folder.path().join("services.db"))).await;
}

#[tokio::test]
async fn a_bulk_job_on_postgresql_reaches_each_phone_once_too() {
    let server = Postgres::start();
    bulk(Address::new(&server.database())).await;
}

async fn bulk(address: Address) {
    let count = std::env::var("SAMPAN_BULK").map_or(BULK, |text| text.parse().expect("a number"));
    let begun = Instant::now();
    let broker = Broker::configured(WITHOUT);
    let phones = Arc::new(Phones { failing: 5, ..Phones::default() });
    let start = || {
        let options = broker.options("services", Role::Service);
        Process::with_sender(&address, phones.clone(), options)
    };
    let mut services = start();
    let backend = broker.client("shop", Role::Service).await;
    ask_in_time(&backend, "notify.templates", &json!({})).await.expect("read");
    let database = Database::open(&address).expect("a valid address");
    devices(&database, count).await;
    for from in (0..count).step_by(PART as usize) {
        let to = count.min(from + PART);
        let item = |n: u32| {
            json!({ "user_id": format!("u{n}"), "type": "order_status_update", "channels": ["push"],
                "data": { "order_id": format!("o{n}"), "current_status": "shipped" } })
        };
        let items: Vec<Value> = (from..to).map(item).collect();
        let part =
            json!({ "job_id": "sale", "from": from, "items": items, "is_last": to == count });
        ask(&backend, "notify.bulk_part", &part).await.expect("taken");
    }
    let accepted = || phones.state.lock().expect("no panic").accepted;
    let made = Instant::now();
    for kill in 1..=2 {
        while accepted() < (count / 4 * kill) as usize {
            sleep(Duration::from_millis(5)).await;
        }
        drop(services);
        // What was sent in the moment of the stop is over.
        sleep(Duration::from_millis(50)).await;
        services = start();
    }
    let job = json!({ "job_id": "sale" });
    ask_in_time(&backend, "notify.bulk_get", &job).await.expect("the services answer again");
    let payment = json!({ "user_id": "u0", "type": "payment_confirmation", "channels": ["push"],
        "data": { "order_id": "o1", "amount": "99.00", "currency": "THB" } });
    let paid = Instant::now();
    ask(&backend, "notify.send", &payment).await.expect("taken");
    let during = accepted();
    let progress = loop {
        let progress = ask_in_time(&backend, "notify.bulk_get", &job).await.expect("read");
        if progress["state"] == "done" {
            break progress;
        }
        assert!(made.elapsed() < Duration::from_secs(3_000), "{progress}");
        // Leases of what was under way at the stops end by themselves after a minute.
        let past = each(
            "UPDATE deliveries SET due_at = 1 WHERE state = 'sending' AND due_at > 1 \
             AND updated_at < CAST(unixepoch('subsec') * 1000 AS BIGINT) - 10000",
            "UPDATE deliveries SET due_at = 1 WHERE state = 'sending' AND due_at > 1 \
             AND updated_at < CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT) - 10000",
        );
        let mut work = database.begin().await.expect("begun");
        work.execute(Query::new(past)).await.expect("changed");
        work.commit().await.expect("committed");
        sleep(Duration::from_millis(500)).await;
    };
    assert_eq!((&progress["done"], &progress["failed"]), (&count.into(), &0.into()));
    let ends = &progress["deliveries"];
    let (sent, failed) = (ends["sent"].as_u64().unwrap_or(0), ends["failed"].as_u64().unwrap_or(0));
    assert_eq!(sent + failed, u64::from(count), "{progress}");
    let state = phones.state.lock().expect("no panic");
    let offers = |token: &str| {
        let got = state.got.get(token).map_or(&[][..], Vec::as_slice);
        got.iter().filter(|one| one.content.kind == Kind::OrderStatusUpdate).count()
    };
    let counts: Vec<usize> = (0..count).map(|n| offers(&format!("t{n}"))).collect();
    assert!(counts.iter().all(|count| *count <= 1), "nobody hears of it twice");
    let missed = counts.iter().filter(|count| **count == 0).count() as u64;
    assert!(missed <= failed, "{missed} without a word, {failed} with one");
    assert!(failed <= 2 * 32, "at most what was under way at the stops: {failed}");
    let [(payment, arrived)] = state.payments[..] else {
        panic!("one payment: {:?}", state.payments)
    };
    let (before, waited) = (payment.saturating_sub(during), arrived.duration_since(paid));
    println!(
        "{count} notifications, {sent} sent, {failed} interrupted, two stops: {:.0?} to hand over, \
         {:.0?} in all; {before} were accepted between a payment's sending and its arrival, {waited:.0?} \
         after it",
        made.duration_since(begun),
        made.elapsed(),
    );
    assert!(before < 300, "the payment did not wait behind the job: {before}");
    // The target is that of the whole job, on a machine that has nothing else to do.
    if std::env::var_os("SAMPAN_BULK").is_some() {
        assert!(waited < Duration::from_secs(1), "a payment goes within a second: {waited:?}");
    }
    drop(services);
}

/// A device for each user, as if each had registered its own.
async fn devices(database: &Database, count: u32) {
    let mut work = database.begin().await.expect("begun");
    let text = each(
        "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) \
         INSERT INTO devices (id, user_id, provider, app, token, registered_at, last_seen_at, body) \
         SELECT 'd' || i, 'u' || i, 'firebase', 'shop', 't' || i, 1, \
         CAST(unixepoch('subsec') * 1000 AS BIGINT), \
         json_object('provider', 'fcm', 'token', 't' || i) FROM n",
        "INSERT INTO devices (id, user_id, provider, app, token, registered_at, last_seen_at, body) \
         SELECT 'd' || i, 'u' || i, 'firebase', 'shop', 't' || i, 1, \
         CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT), \
         json_build_object('provider', 'fcm', 'token', 't' || i)::text \
         FROM generate_series(0, $1::bigint - 1) AS i",
    );
    let query = Query::new(text);
    work.execute(query.bind(i64::from(count))).await.expect("added");
    work.commit().await.expect("committed");
}

/// An end-to-end message: a gateway takes it, and says later, signed, that it has arrived.
#[tokio::test]
async fn a_text_message_is_delivered_when_its_gateway_has_said_so_and_signed_it() {
    const CALLBACK: &str = "https://shop.example/v1/webhooks/twilio";
    let gateway = TcpListener::bind(("127.0.0.1", 0)).await.expect("bound");
    let address = gateway.local_addr().expect("bound");
    let serving = tokio::spawn(async move {
        let (mut stream, _) = gateway.accept().await.expect("asked");
        let mut asked = String::new();
        while !asked.contains("StatusCallback=") {
            let mut bytes = [0; 4_096];
            let read = stream.read(&mut bytes).await.expect("asked");
            asked.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        let body = r#"{"sid":"SM1","status":"queued"}"#;
        let answer = format!(
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.expect("answered");
        stream.shutdown().await.expect("ended");
    });
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("providers.toml");
    let sender = format!(
        "[[sender]]\nprovider = 'sms'\naccount = 'AC1'\nkey = 'k3y'\nfrom = '+66800000000'\n\
         url = 'http://{address}'\ncallback_url = '{CALLBACK}'\n"
    );
    std::fs::write(&file, sender).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("set");
    let config = format!("[services]\nproviders_file = '{}'\n", file.display());
    let broker = Broker::configured(&config);
    let shop = broker.client("shop", Role::Service).await;
    let user = json!({ "id": "cat", "role": "customer", "phone": "+66812345678",
        "phone_verified_at": "2026-01-01T00:00:00Z" });
    ask_in_time(&shop, "users.upsert", &user).await.expect("told");
    let payment = json!({ "user_id": "cat", "type": "payment_confirmation", "channels": ["sms"],
        "data": { "order_id": "o1", "amount": "99.00", "currency": "THB" } });
    let taken = ask_in_time(&shop, "notify.send", &payment).await.expect("taken");
    let of = json!({ "notification_id": taken["notification_id"] });
    let stands = async |wanted: &str| {
        let begun = Instant::now();
        loop {
            let report = ask_in_time(&shop, "notify.get", &of).await.expect("read");
            if report["deliveries"][0]["state"] == wanted {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{report}");
            sleep(Duration::from_millis(50)).await;
        }
    };
    stands("sent").await;
    serving.await.expect("the gateway was asked");
    let tell = |message: &str, status: &str, key: &str| {
        let text = format!("{CALLBACK}MessageSid{message}MessageStatus{status}");
        let signature = STANDARD.encode(Secret::with_sha1(key.as_bytes()).sign(text.as_bytes()));
        let headers = format!(
            "x-twilio-signature: {signature}\r\n\
             content-type: application/x-www-form-urlencoded\r\n"
        );
        let form = format!("MessageSid={message}&MessageStatus={status}");
        broker.http_call("POST", "/v1/webhooks/twilio", &headers, form.as_bytes())
    };
    assert_eq!(tell("SM1", "delivered", "other").0, 403);
    let long = [b'a'; 20_000];
    let refused = broker.http_call("POST", "/v1/webhooks/twilio", "", &long);
    assert_eq!(refused.0, 413, "of nobody is so much read");
    assert_eq!(tell("SM1", "sending", "k3y"), (200, "{\"heard\":0}".to_owned()));
    stands("sent").await;
    assert_eq!(tell("SM1", "delivered", "k3y"), (200, "{\"heard\":1}".to_owned()));
    assert_eq!(tell("SM1", "failed", "k3y"), (200, "{\"heard\":0}".to_owned()), "too late");
    assert_eq!(tell("SM9", "delivered", "k3y"), (200, "{\"heard\":0}".to_owned()), "nobody's");
    stands("delivered").await;
    broker.metric_reaches("sampan_notify_receipts_total", 1.0).await;
    broker.metric_reaches("sampan_notify_receipts_refused_total", 1.0).await;
    broker.metric_reaches("sampan_notify_receipts_unknown_total", 2.0).await;
    let answer = |words: &str| {
        let text = format!("{CALLBACK}Body{words}From+66812345678MessageSidSM2");
        let signature = STANDARD.encode(Secret::with_sha1(b"k3y").sign(text.as_bytes()));
        let headers = format!("x-twilio-signature: {signature}\r\n");
        let form = format!("MessageSid=SM2&From=%2B66812345678&Body={words}");
        broker.http_call("POST", "/v1/webhooks/twilio", &headers, form.as_bytes())
    };
    assert_eq!(answer("Thanks"), (200, "{\"heard\":0}".to_owned()));
    assert_eq!(answer("STOP"), (200, "{\"heard\":1}".to_owned()));
    let listed = json!({ "channel": "sms" });
    let listed = ask_in_time(&shop, "notify.suppressions", &listed).await.expect("read");
    let one = &listed["suppressions"][0];
    assert_eq!((&one["address"], &one["reason"]), (&"+66812345678".into(), &"stop".into()));
    let without = Broker::start();
    let refused = without.http_call("POST", "/v1/webhooks/twilio", "", b"MessageSid=SM1");
    assert_eq!(refused.0, 404, "no gateway is to tell");
}
