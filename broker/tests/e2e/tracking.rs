//! Parcels of three carriers, by a simulated tracking service of each kind.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sampan::auth::Role;
use sampan_client::{Delivery, Start};
use sampan_services::Moment;
use sampan_services::signature::{Secret, hex};
use sampan_services::store::{Database, Query};
use sampan_tests::chance::Chance;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use crate::asking::ask_in_time;
use crate::harness::{Broker, PATIENCE, http_call, pattern};
use crate::services::{Apart, WITHOUT};

/// Orders that are tracked at once; `SAMPAN_ORDERS` says how many, if not so many.
const ORDERS: usize = 40;
pub(crate) const SECRET: &str = "s3cret";

/// A tracking service, as its public documents have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    AfterShip,
    EasyPost,
    Shippo,
}

use Kind::{AfterShip, EasyPost, Shippo};

impl Kind {
    const ALL: [Kind; 3] = [AfterShip, EasyPost, Shippo];

    fn name(self) -> &'static str {
        ["aftership", "easypost", "shippo"][self as usize]
    }

    /// The carrier whose numbers it is asked about.
    fn carrier(self) -> &'static str {
        ["flash", "kerry", "ninja"][self as usize]
    }

    /// The header line by which it knows the shop, in small letters.
    fn login(self) -> &'static str {
        let lines =
            ["as-api-key: key", "authorization: basic a2v5og==", "authorization: shippotoken key"];
        lines[self as usize]
    }

    /// The way of every order in its words, a step every ten minutes; it has no words for all.
    fn way(self) -> [&'static str; 5] {
        let ways = [
            ["InfoReceived", "InTransit", "OutForDelivery", "AvailableForPickup", "Delivered"],
            ["pre_transit", "in_transit", "out_for_delivery", "available_for_pickup", "delivered"],
            ["PRE_TRANSIT", "TRANSIT", "TRANSIT", "TRANSIT", "DELIVERED"],
        ];
        ways[self as usize]
    }

    /// What its customers see.
    fn seen(self) -> &'static [&'static str] {
        match self {
            Shippo => &["packed", "in_transit", "delivered"],
            _ => &["packed", "in_transit", "out_for_delivery", "available_for_pickup", "delivered"],
        }
    }

    /// What has happened to a number up to a step: each twice, in the order of chance.
    pub(crate) fn parcel(self, number: &str, step: usize, seed: u64) -> Value {
        let mut steps: Vec<(i64, &str)> = (1..).zip(self.way()).take(step + 1).collect();
        steps.extend_from_within(..);
        let mut chance = Chance::new(seed);
        for at in (1..steps.len()).rev() {
            steps.swap(at, usize::try_from(chance.below(at as u64 + 1)).expect("few"));
        }
        let (status, at) = match self {
            AfterShip => ("tag", "checkpoint_time"),
            EasyPost => ("status", "datetime"),
            Shippo => ("status", "status_date"),
        };
        let told: Vec<Value> =
            steps.iter().map(|(ten, word)| json!({ status: word, at: time(ten * 10) })).collect();
        let carrier = self.carrier();
        match self {
            AfterShip => json!({ "slug": carrier, "tracking_number": number, "checkpoints": told }),
            EasyPost => {
                json!({ "carrier": carrier, "tracking_code": number, "tracking_details": told })
            }
            Shippo => {
                json!({ "carrier": carrier, "tracking_number": number, "tracking_history": told })
            }
        }
    }

    /// The body of a webhook, and the header line that signs it.
    fn webhook(self, parcel: &Value) -> (String, String) {
        let body = match self {
            AfterShip => json!({ "event": "tracking_update", "msg": parcel }),
            EasyPost => json!({ "description": "tracker.updated", "result": parcel }),
            Shippo => json!({ "event": "track_updated", "data": parcel }),
        };
        let body = body.to_string();
        let signed = |text: &str| Secret::new(SECRET.as_bytes()).sign(text.as_bytes());
        let header = match self {
            AfterShip => format!("aftership-hmac-sha256: {}", STANDARD.encode(signed(&body))),
            EasyPost => format!("x-hmac-signature: hmac-sha256-hex={}", hex(&signed(&body))),
            Shippo => {
                let seconds = Moment::now().as_ms() / 1_000;
                let signature = hex(&signed(&format!("{seconds}.{body}")));
                format!("shippo-auth-signature: t={seconds},v1={signature}")
            }
        };
        (body, format!("{header}\r\ncontent-type: application/json\r\n"))
    }

    /// Status and body of an answer of one that knows these numbers.
    fn answer(self, world: &World, request: &Request, seed: u64) -> (&'static str, Value) {
        let step = world.step.load(Ordering::Relaxed);
        let mut known = world.known.lock().expect("whole");
        let named = |value: &Value| value.as_str().expect("a number").to_owned();
        let parcel = |number: &str| self.parcel(&number.to_uppercase(), step, seed);
        let in_query = |name: &str| {
            let rest = request.path.split(&format!("{name}=")).nth(1).expect("a number");
            rest.split('&').next().unwrap_or_default().to_owned()
        };
        // Whom it was told of, it knows from then on.
        if let Some(told) = &request.body {
            let number = named(match self {
                AfterShip | Shippo => &told["tracking_number"],
                EasyPost => &told["tracker"]["tracking_code"],
            });
            let is_new = known.insert(number.clone());
            return match self {
                AfterShip if !is_new => ("400 Bad Request", json!({ "meta": { "code": 4003 } })),
                AfterShip => ("201 Created", json!({ "data": parcel(&number) })),
                EasyPost | Shippo => ("201 Created", parcel(&number)),
            };
        }
        let list = |number: String| match known.contains(&number) {
            true => json!([parcel(&number)]),
            false => json!([]),
        };
        let body = match self {
            AfterShip => json!({ "data": { "trackings": list(in_query("tracking_numbers")) } }),
            EasyPost => json!({ "trackers": list(in_query("tracking_code")) }),
            Shippo => parcel(request.path.rsplit('/').next().expect("a number")),
        };
        ("200 OK", body)
    }
}

fn time(minute: i64) -> String {
    Moment::from_ms(1_790_000_000_000 + minute * 60_000).to_string()
}

/// What all tracking services know.
#[derive(Default)]
struct World {
    /// How far every parcel is.
    step: AtomicUsize,
    questions: AtomicUsize,
    /// Numbers that somebody has told of.
    known: Mutex<BTreeSet<String>>,
}

struct Request {
    path: String,
    headers: Vec<String>,
    body: Option<Value>,
}

/// All of them at one address: they say what has happened up to now, twice and in any order, and now
/// and then that there are too many questions, nonsense, or nothing, at once or for longer than
/// anybody waits.
async fn simulate(world: Arc<World>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let world = world.clone();
            tokio::spawn(async move { converse(stream, &world).await });
        }
    });
    address
}

async fn converse(stream: TcpStream, world: &World) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let request = hear(&mut stream).await?;
        let kind = Kind::ALL.into_iter().find(|kind| request.path.contains(kind.name()))?;
        assert!(request.headers.iter().any(|line| line == kind.login()), "{:?}", request.headers);
        let asked = world.questions.fetch_add(1, Ordering::Relaxed);
        let (status, body) = match asked % 7 {
            _ if asked == 25 => std::future::pending().await,
            3 => ("429 Too Many Requests\r\nretry-after: 1", "{}".to_owned()),
            5 => ("200 OK", "<html>".to_owned()),
            6 => return None,
            _ => {
                let (status, body) = kind.answer(world, &request, asked as u64);
                (status, body.to_string())
            }
        };
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.ok()?;
        stream.write_all(body.as_bytes()).await.ok()?;
    }
}

async fn hear(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    let length =
        headers.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let body = (!body.is_empty()).then(|| serde_json::from_slice(&body).expect("JSON"));
    Some(Request { path, headers, body })
}

/// Lets every question be due at once.
async fn hurry(database: &Database) {
    let due = "UPDATE tracking_jobs SET next_poll_at = 1, lease_until = 0 WHERE is_over = 0";
    let mut work = database.begin().await.expect("begun");
    work.execute(Query::new(due)).await.expect("moved");
    work.commit().await.expect("committed");
}

async fn open_jobs(database: &Database) -> i64 {
    let count = Query::new("SELECT COUNT(*) AS n FROM tracking_jobs WHERE is_over = 0");
    database.one(count).await.expect("read").expect("a row").get("n").expect("a number")
}

/// The settings of services that ask the simulated ones.
fn settings(folder: &TempDir, simulated: SocketAddr) -> std::path::PathBuf {
    let tracker = |kind: Kind| {
        let (name, carrier) = (kind.name(), kind.carrier());
        format!(
            "[[tracker]]\nprovider = '{name}'\nkey = 'key'\nwebhook_secret = '{SECRET}'\n\
             per_minute = 60000\ncarriers = ['{carrier}']\nurl = 'http://{simulated}/{name}'\n"
        )
    };
    let providers = folder.path().join("providers.toml");
    std::fs::write(&providers, Kind::ALL.map(tracker).concat()).expect("written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&providers, private).expect("set");
    let config = folder.path().join("sampan.toml");
    let text = format!("[services]\nproviders_file = '{}'\n", providers.display());
    std::fs::write(&config, text).expect("written");
    config
}

/// The process of the services is killed five times, and they are told by webhooks too, now and then
/// twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_sees_every_status_once_and_in_order_whatever_the_carriers_and_kills_do() {
    let orders: usize =
        std::env::var("SAMPAN_ORDERS").ok().and_then(|n| n.parse().ok()).unwrap_or(ORDERS);
    let world = Arc::new(World::default());
    let (broker, folder) = (Broker::configured(WITHOUT), TempDir::new().expect("a folder"));
    let config = settings(&folder, simulate(world.clone()).await);
    let begin = || Apart::configured(&broker, &folder, &config);
    let (mut services, mut http) = begin();
    let shop = broker.client("shop", Role::Service).await;
    let kind = |number: usize| Kind::ALL[number % Kind::ALL.len()];
    for number in 0..orders {
        let order = json!({
            "id": format!("o{number}"), "customer_id": format!("c{number}"),
            "carrier": kind(number).carrier(), "tracking_number": format!("th{number}"),
            "placed_at": time(0),
        });
        ask_in_time(&shop, "orders.upsert", &order).await.expect("told");
    }
    let database = Database::open(&Apart::database(&folder)).expect("a valid address");
    for step in 0..5 {
        world.step.store(step, Ordering::Relaxed);
        let asked = world.questions.load(Ordering::Relaxed);
        hurry(&database).await;
        for number in (step..orders).step_by(4) {
            let (kind, seed) = (kind(number), (number + step) as u64);
            let (body, headers) = kind.webhook(&kind.parcel(&format!("TH{number}"), step, seed));
            let path = format!("/v1/webhooks/{}", kind.name());
            for _ in 0..=number % 2 {
                let (status, told) = http_call(http, "POST", &path, &headers, body.as_bytes());
                assert_eq!((status, told.as_str()), (200, r#"{"heard":1}"#), "{kind:?}");
            }
        }
        while world.questions.load(Ordering::Relaxed) < asked + orders / 2 {
            sleep(Duration::from_millis(10)).await;
        }
        // Stopped dead in the middle of it.
        drop(services);
        (services, http) = begin();
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
        assert_eq!(statuses, kind(number).seen(), "{number}: {times:?}");
        assert!(times.is_sorted(), "{number}: {times:?}");
    }
    let known = world.known.lock().expect("whole").len();
    assert!(known > orders / 2, "{known}: those that they do not know they are told of");
    drop(services);
}
