//! Orders: what comes round by itself, and what carriers tell.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Code, Delivery, Message, Start};
use sampan_services::Moment;
use sampan_services::orders::carriers;
use sampan_services::signature::{Secret, hex};
use sampan_services::store::{Address, Database, Query};
use sampan_tests::chance::Chance;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::asking::{ask, ask_in_time, topic};
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

/// Orders that are tracked at once; `SAMPAN_ORDERS` says how many, if not so many.
const ORDERS: usize = 40;
/// The way of every order, in the words of the service, with the minute of each step.
const WAY: [(&str, i64); 5] = [
    ("pre_transit", 10),
    ("in_transit", 20),
    ("out_for_delivery", 30),
    ("available_for_pickup", 40),
    ("delivered", 50),
];
const SECRET: &str = "s3cret";

/// A tracking service of EasyPost's kind: it says what has happened up to a step, twice and in any
/// order, and now and then that there are too many questions, nonsense, or nothing.
struct Simulated {
    address: SocketAddr,
    step: Arc<AtomicUsize>,
    questions: Arc<AtomicUsize>,
}

impl Simulated {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let address = listener.local_addr().expect("bound");
        let (step, questions) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (its_step, its_questions) = (step.clone(), questions.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (step, questions) = (its_step.clone(), its_questions.clone());
                tokio::spawn(async move { answer(stream, &step, &questions).await });
            }
        });
        Simulated { address, step, questions }
    }
}

async fn answer(stream: TcpStream, step: &AtomicUsize, questions: &AtomicUsize) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line.to_lowercase());
        }
        assert!(
            lines.iter().any(|line| line.starts_with("authorization: basic a2v5og==")),
            "{lines:?}"
        );
        let path = lines[0].split(' ').nth(1).expect("a path").to_owned();
        let number = path.split("tracking_code=").nth(1).and_then(|rest| rest.split('&').next());
        let number = number.expect("a number").to_uppercase();
        let asked = questions.fetch_add(1, Ordering::Relaxed);
        let body = parcel(&number, step.load(Ordering::Relaxed), asked as u64).to_string();
        let (status, body) = match asked % 7 {
            3 => ("429 Too Many Requests\r\nretry-after: 1", "{}".to_owned()),
            5 => ("200 OK", "<html>".to_owned()),
            6 => return None,
            _ => (
                "200 OK",
                json!({ "trackers": [serde_json::from_str::<Value>(&body).ok()?] }).to_string(),
            ),
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

/// What has happened to a number up to a step: each twice, in the order of chance.
fn parcel(number: &str, step: usize, seed: u64) -> Value {
    let mut details: Vec<Value> = WAY[..=step]
        .iter()
        .flat_map(|point| [point, point])
        .map(|(status, minute)| json!({ "status": status, "datetime": time(*minute) }))
        .collect();
    let mut chance = Chance::new(seed);
    for at in (1..details.len()).rev() {
        details.swap(at, usize::try_from(chance.below(at as u64 + 1)).expect("few"));
    }
    json!({ "carrier": "kerry", "tracking_code": number, "tracking_details": details })
}

fn time(minute: i64) -> String {
    Moment::from_ms(1_790_000_000_000 + minute * 60_000).to_string()
}

/// Lets every question be due at once.
async fn hurry(database: &Database) {
    let mut work = database.begin().await.expect("begun");
    let due = "UPDATE tracking_jobs SET next_poll_at = 1, lease_until = 0 WHERE is_over = 0";
    work.execute(Query::new(due)).await.expect("moved");
    work.commit().await.expect("committed");
}

async fn open_jobs(database: &Database) -> i64 {
    let count = Query::new("SELECT COUNT(*) AS n FROM tracking_jobs WHERE is_over = 0");
    database.one(count).await.expect("read").expect("a row").get("n").expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_sees_every_status_once_and_in_order_whatever_the_carrier_and_kills_do() {
    let orders: usize =
        std::env::var("SAMPAN_ORDERS").ok().and_then(|n| n.parse().ok()).unwrap_or(ORDERS);
    let carrier = Simulated::start().await;
    let (broker, folder) = (Broker::configured(WITHOUT), TempDir::new().expect("a folder"));
    let address = Address::sqlite(&folder.path().join("services.db"));
    let tracker = json!({
        "provider": "easypost", "key": "key", "webhook_secret": SECRET, "per_minute": 60_000,
        "url": format!("http://{}/v2", carrier.address),
    });
    let trackers: Vec<carriers::Settings> =
        vec![serde_json::from_value(tracker).expect("settings")];
    let begin = || {
        let options = broker.options("services", Role::Service);
        Process::with(&address, |settings| settings.carriers = trackers.clone(), options)
    };
    let mut services = begin();
    let shop = broker.client("shop", Role::Service).await;
    for number in 0..orders {
        let order = json!({
            "id": format!("o{number}"), "customer_id": format!("c{number}"), "carrier": "kerry",
            "tracking_number": format!("th{number}"), "placed_at": time(0),
        });
        ask_in_time(&shop, "orders.upsert", &order).await.expect("told");
    }
    let database = Database::open(&address).expect("a valid address");
    for step in 0..WAY.len() {
        carrier.step.store(step, Ordering::Relaxed);
        let asked = carrier.questions.load(Ordering::Relaxed);
        hurry(&database).await;
        while carrier.questions.load(Ordering::Relaxed) < asked + orders / 2 {
            sleep(Duration::from_millis(10)).await;
        }
        // Stopped dead in the middle of it.
        drop(services);
        services = begin();
    }
    let begun = Instant::now();
    while open_jobs(&database).await > 0 {
        let patience = PATIENCE * u32::try_from(2 + orders / 200).expect("few");
        assert!(begun.elapsed() < patience, "the jobs stop on delivery");
        hurry(&database).await;
        sleep(Duration::from_millis(500)).await;
    }
    for number in 0..orders {
        let mut events = loop {
            match shop.subscribe(pattern(&format!("user.c{number}")), Start::Last(100)).await {
                Err(error) if error.is_retryable() => sleep(Duration::from_millis(10)).await,
                subscribed => break subscribed.expect("subscribed"),
            }
        };
        let (mut statuses, mut times) = (Vec::new(), Vec::new());
        while statuses.last().is_none_or(|last| last != "delivered") {
            let delivery = timeout(PATIENCE, events.next()).await.expect("in time");
            let Delivery::Message(message) = delivery.expect("open") else { continue };
            let told: Value = serde_json::from_slice(&message.payload()).expect("JSON");
            statuses.push(told["current_status"].as_str().expect("a status").to_owned());
            times.push(told["event_time"].as_str().expect("a time").to_owned());
        }
        let mut once = statuses.clone();
        once.dedup();
        assert_eq!((&once, times.is_sorted()), (&statuses, true), "{number}: {times:?}");
        let way = ["packed", "in_transit", "out_for_delivery", "available_for_pickup", "delivered"];
        assert!(statuses.iter().all(|status| way.contains(&status.as_str())), "{statuses:?}");
        assert_eq!(statuses, way, "{number}: every status is seen");
    }
    drop(services);
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
            "placed_at": time(0),
        });
        ask_in_time(&shop, "orders.upsert", &order).await.expect("told");
    }
    let body =
        json!({ "description": "tracker.updated", "result": parcel("TH1", 1, 1) }).to_string();
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
    let unknown = json!({ "result": parcel("TH9", 1, 1) }).to_string();
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
