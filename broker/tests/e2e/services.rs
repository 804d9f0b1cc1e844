//! The services: in the broker's process and in one of their own, on databases that go and come.

use std::future::pending;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::shop::UserTold;
use sampan_client::{Client, Code, HistoryFrom, Options};
use sampan_services::Moment;
use sampan_services::inventory::rules::allocation::Order;
use sampan_services::notifications::send::Sender;
use sampan_services::outbox::{Event, add};
use sampan_services::store::{Address, Database, Query};
use sampan_services::{Services, Settings};
use sampan_tests::servers::Postgres;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::asking::{ask, ask_in_time, code, topic};
use crate::harness::{Broker, PATIENCE, http_call};

/// A broker whose services are not in its process.
pub(crate) const WITHOUT: &str = "[services]\nenabled = false\n";

#[tokio::test]
async fn users_are_told_of_and_asked_for_by_those_who_run_the_shop() {
    let broker = Broker::start();
    let backend = broker.client("shop", Role::Service).await;
    let told = json!({ "id": "u 1", "role": "customer", "vip": true, "lifetime_value": 1250.5 });
    let stored = ask_in_time(&backend, "users.upsert", &told).await.expect("stored");
    assert_eq!((&stored["vip"], &stored["lifetime_value"]), (&true.into(), &1250.5.into()));
    let wanted = json!({ "id": "u 1" });
    let admin = broker.client("boss", Role::Admin).await;
    assert_eq!(ask(&admin, "users.get", &wanted).await.expect("known"), stored);
    for role in [Role::Customer, Role::Agent] {
        let other = broker.client("u 1", role).await;
        assert_eq!(code(ask(&other, "users.get", &wanted).await), Some(Code::NOT_GRANTED));
    }
    let refused = [
        ("users.get", json!({ "id": "stranger" }), Code(904)),
        ("users.get", json!({ "user": "u 1" }), Code::BAD_FIELD),
        ("users.get", json!("u 1"), Code::BAD_FIELD),
        ("users.upsert", json!({ "id": "", "role": "customer" }), Code::BAD_FIELD),
        ("users.upsert", json!({ "id": "u2", "role": "king" }), Code::BAD_FIELD),
        ("users.upsert", json!({ "id": "u2", "role": "agent", "VIP": true }), Code::BAD_FIELD),
    ];
    for (name, question, expected) in refused {
        assert_eq!(code(ask(&backend, name, &question).await), Some(expected), "{question}");
    }
    let typed = backend.shop().user("u 1").await.expect("known");
    let UserTold { vip, lifetime_value, .. } = typed.user;
    assert_eq!((vip, lifetime_value), (true, 1250.5));
    let more = UserTold {
        lifetime_value: 1251.5,
        ..backend.shop().user("u 1").await.expect("known").user
    };
    let stored_anew = backend.shop().upsert_user(&more).await.expect("told");
    assert_eq!(stored_anew.user.lifetime_value, 1251.5);
    let day = "2026-11-01";
    let figures = backend.shop().figures(day, day).await.expect("read");
    assert_eq!((figures.total.counts.orders, figures.days.len()), (0, 0));
    ask(&backend, "users.upsert", &told).await.expect("as before");
    let stored = ask(&backend, "users.get", &wanted).await.expect("known");
    let broken = backend.request(topic("users.get"), &b"\xff{"[..], PATIENCE).await;
    assert_eq!(broken.expect_err("no JSON").code(), Some(Code::BAD_FIELD));
    let broker = broker.crash_and_restart();
    let backend = broker.client("shop", Role::Service).await;
    assert_eq!(ask_in_time(&backend, "users.get", &wanted).await.expect("kept"), stored);
    broker.metric_reaches("sampan_services_up", 1.0).await;
    broker.metric_reaches("sampan_services_requests_total", 1.0).await;
    broker.terminate();
    assert!(broker.wait(), "a clean end");
}

/// `sampan services`; dropping it kills it.
pub(crate) struct Apart(Child);

impl Apart {
    fn start(broker: &Broker, data: &TempDir) -> Self {
        Apart::telling(broker, data, &[], Stdio::null())
    }

    /// One that listens for HTTP, and where.
    fn listening(broker: &Broker, data: &TempDir) -> (Self, SocketAddr) {
        Apart::told(broker, data, &["--http", "127.0.0.1:0"])
    }

    /// One that listens, with a file of settings.
    pub(crate) fn configured(broker: &Broker, data: &TempDir, config: &Path) -> (Self, SocketAddr) {
        let config = config.to_str().expect("UTF-8");
        Apart::told(broker, data, &["--http", "127.0.0.1:0", "--config", config])
    }

    /// The database of those with this folder.
    pub(crate) fn database(data: &TempDir) -> Address {
        Address::sqlite(&data.path().join("s.db"))
    }

    fn told(broker: &Broker, data: &TempDir, more: &[&str]) -> (Self, SocketAddr) {
        let mut apart = Apart::telling(broker, data, more, Stdio::piped());
        let told = BufReader::new(apart.0.stderr.take().expect("piped"));
        let mut lines = told.lines().map_while(Result::ok);
        let address = |line: String| {
            line.split_whitespace().find_map(|word| word.strip_prefix("http="))?.parse().ok()
        };
        let http = lines.find_map(address).expect("it says where it listens");
        // Whoever writes to a pipe that nobody reads stands still at some time.
        std::thread::spawn(move || lines.for_each(drop));
        (apart, http)
    }

    fn telling(broker: &Broker, data: &TempDir, more: &[&str], stderr: Stdio) -> Self {
        let url = format!("quic://{}", broker.quic);
        let program = Command::new(env!("CARGO_BIN_EXE_sampan"))
            .args(["services", "--connect", &url, "--data"])
            .arg(broker.data.path().join("data"))
            .args(more)
            .env("SAMPAN_DATABASE_URL", format!("sqlite:{}/s.db?mode=rwc", data.path().display()))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn();
        Apart(program.expect("started"))
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn services_of_their_own_process_answer_and_survive_each_others_restarts() {
    let (broker, data) = (Broker::configured(WITHOUT), TempDir::new().expect("a folder"));
    let backend = broker.client("shop", Role::Service).await;
    let wanted = json!({ "id": "u1" });
    assert_eq!(code(ask(&backend, "users.get", &wanted).await), Some(Code::NO_RESPONDER));
    let apart = Apart::start(&broker, &data);
    let told = json!({ "id": "u1", "role": "agent", "name": "Amy" });
    let stored = ask_in_time(&backend, "users.upsert", &told).await.expect("stored");
    drop(apart);
    let mut apart = Apart::start(&broker, &data);
    assert_eq!(ask_in_time(&backend, "users.get", &wanted).await.expect("kept"), stored);
    let broker = broker.crash_and_restart();
    let backend = broker.client("shop", Role::Service).await;
    assert_eq!(ask_in_time(&backend, "users.get", &wanted).await.expect("kept"), stored);
    let id = i32::try_from(apart.0.id()).expect("a process id");
    let pid = rustix::process::Pid::from_raw(id).expect("not 0");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    assert!(apart.0.wait().expect("ended").success(), "a clean end");
}

#[tokio::test]
async fn services_of_their_own_process_take_files_and_tell_how_they_are_over_http() {
    let (broker, data) = (Broker::configured(WITHOUT), TempDir::new().expect("a folder"));
    let (_apart, http) = Apart::listening(&broker, &data);
    let ann = broker.client("ann", Role::Customer).await;
    let chat = json!({ "client_conversation_id": "c1" });
    let chat = ask_in_time(&ann, "chat.open", &chat).await.expect("begun");
    let bytes = b"name,price\nlamp,1";
    let wanted = json!({ "conversation_id": chat["id"], "file_name": "prices.csv",
        "size_bytes": bytes.len(), "mime_type": "text/csv" });
    let begun = ask(&ann, "chat.file_begin", &wanted).await.expect("begun");
    let path = begun["path"].as_str().expect("a path");
    let forged = path.replace("/v1/chat/files/", "/v1/chat/files/0");
    assert_eq!(http_call(http, "PUT", &forged, "", bytes).0, 403);
    assert_eq!(http_call(http, "PUT", path, "", bytes).0, 201);
    let link = ask(&ann, "chat.file_link", &json!({ "id": begun["id"] })).await.expect("there");
    let link = link["path"].as_str().expect("a path");
    let fetched = http_call(http, "GET", link, "", b"");
    assert_eq!(fetched, (200, String::from_utf8_lossy(bytes).into_owned()));
    assert_eq!(broker.http_get(link).0, 404, "the broker has no services in its process");
    let begun = Instant::now();
    // It is looked at once a second.
    while http_call(http, "GET", "/readyz", "", b"") != (200, "ready\n".to_owned()) {
        assert!(begun.elapsed() < PATIENCE, "ready");
        sleep(Duration::from_millis(50)).await;
    }
    let metrics = http_call(http, "GET", "/metrics", "", b"").1;
    assert!(metrics.contains("\nsampan_services_up 1\n"), "{metrics}");
    assert_eq!(http_call(http, "GET", "/scaling", "", b"").0, 200);
}

fn settings(address: &Address) -> Settings {
    Settings {
        database: address.clone(),
        chat_database: None,
        // No file comes.
        files: std::path::PathBuf::from("unused"),
        allocation: Order::Ranked,
        chat: sampan_services::chat::service::Settings::default(),
        carriers: Vec::new(),
        senders: Vec::new(),
    }
}

/// Services of one process, which ends without a goodbye when it is dropped.
pub(crate) struct Process(JoinHandle<()>);

impl Process {
    pub(crate) fn start(address: &Address, options: Options) -> Self {
        Process::with_chat(address, None, options)
    }

    /// One whose chat has a database of its own.
    pub(crate) fn with_chat(
        address: &Address,
        chat_database: Option<Address>,
        options: Options,
    ) -> Self {
        Process::with(address, |settings| settings.chat_database = chat_database, options)
    }

    /// One with other settings.
    pub(crate) fn with(
        address: &Address,
        change: impl FnOnce(&mut Settings),
        options: Options,
    ) -> Self {
        let mut settings = settings(address);
        change(&mut settings);
        Process::of(Services::open(&settings).expect("a valid address"), options)
    }

    /// One that sends notifications in this way.
    pub(crate) fn with_sender(
        address: &Address,
        sender: Arc<dyn Sender>,
        options: Options,
    ) -> Self {
        let services = Services::open(&settings(address)).expect("a valid address");
        Process::of(services.with_sender(sender), options)
    }

    fn of(services: Services, options: Options) -> Self {
        let run = async move {
            let connect = move || Client::connect(options.clone());
            services.run(connect, pending()).await.expect("nothing that lasts");
        };
        Process(tokio::spawn(run))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const TOPICS: u32 = 5;
const EVENTS: u32 = 120;

/// Commits numbered events for one topic, some of the transactions taken back.
async fn commit_events(database: Database, of: u32, committed: Arc<AtomicU32>) {
    let topic = topic(&format!("order.{of}"));
    for number in 0..EVENTS {
        let mut is_taken_back = number % 7 == 3;
        loop {
            let Ok(mut work) = database.begin().await else { continue };
            let event = Event::new(topic.clone(), "order:event", Moment::from_ms(0), &number)
                .expect("JSON");
            if add(&mut work, &event.key(&of.to_string())).await.is_err() {
                continue;
            }
            if std::mem::take(&mut is_taken_back) {
                drop(work);
                continue;
            }
            work.commit().await.expect("the database is up");
            committed.fetch_add(1, Ordering::Relaxed);
            break;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

/// Two processes share the outbox; each is stopped dead once, and the broker twice.
async fn events_survive(address: Address) {
    let mut broker = Broker::configured(WITHOUT);
    let process = |broker: &Broker| Process::start(&address, broker.options("shop", Role::Service));
    let mut one = process(&broker);
    let database = Database::open(&address).expect("a valid address");
    while sampan_services::store::migrate(&database, sampan_services::SCHEMAS).await.is_err() {}
    let committed = Arc::new(AtomicU32::new(0));
    let mut writers = JoinSet::new();
    for of in 0..TOPICS {
        writers.spawn(commit_events(database.clone(), of, committed.clone()));
    }
    let beyond = async |count: u32| {
        while committed.load(Ordering::Relaxed) < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    beyond(60).await;
    let two = process(&broker);
    broker = broker.crash_and_restart();
    beyond(200).await;
    drop(one);
    beyond(320).await;
    one = process(&broker);
    broker = broker.crash_and_restart();
    beyond(450).await;
    drop(two);
    writers.join_all().await;
    let reader = broker.client("shop", Role::Service).await;
    let expected: Vec<String> = (0..EVENTS).map(|number| number.to_string()).collect();
    for of in 0..TOPICS {
        told_in_time(&reader, &format!("order.{of}"), &expected, |payload| payload).await;
    }
    drop(one);
}

/// Waits until a topic holds these messages, by what `read` makes of their payloads. None may come
/// twice, or in another order.
pub(crate) async fn told_in_time(
    reader: &Client,
    name: &str,
    expected: &[String],
    read: impl Fn(String) -> String,
) {
    let begun = Instant::now();
    loop {
        let page = reader.history(topic(name), HistoryFrom::Offset(1), 1000);
        let messages = match page.await {
            Ok(page) => page.messages,
            // Its first event is still to come.
            Err(error) if error.code() == Some(Code::UNKNOWN_TOPIC) => Vec::new(),
            Err(error) => panic!("{name}: {error}"),
        };
        let told = |message: &sampan_client::Received| {
            read(String::from_utf8_lossy(&message.payload()).into_owned())
        };
        let found: Vec<String> = messages.iter().map(told).collect();
        assert!(expected.starts_with(&found), "{name}: {found:?}");
        if found.len() == expected.len() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name}: {} have come", found.len());
        sleep(Duration::from_millis(50)).await;
    }
}

/// More events than a round of the relay takes stand before others: one cannot be read, and the
/// rest are not granted.
#[tokio::test]
async fn events_that_cannot_leave_hold_up_no_others() {
    let config = format!("{WITHOUT}[roles.service]\npublish = ['order.>']\n");
    let (broker, folder) = (Broker::configured(&config), TempDir::new().expect("a folder"));
    let address = Address::sqlite(&folder.path().join("services.db"));
    let database = Database::open(&address).expect("a valid address");
    sampan_services::store::migrate(&database, sampan_services::SCHEMAS).await.expect("migrated");
    let mut work = database.begin().await.expect("begun");
    let event =
        |name: &str, number| Event::new(topic(name), "test:event", Moment::from_ms(0), &number);
    for number in 0..300 {
        let stuck = event("analytics.events", number).expect("JSON").key("stuck");
        add(&mut work, &stuck).await.expect("added");
    }
    add(&mut work, &event("order.1", 0).expect("JSON")).await.expect("added");
    work.execute(Query::new("UPDATE outbox SET topic = '' WHERE seq = 1")).await.expect("updated");
    work.commit().await.expect("committed");
    let process = Process::start(&address, broker.options("shop", Role::Service));
    let reader = broker.client("boss", Role::Admin).await;
    told_in_time(&reader, "order.1", &["0".to_owned()], |payload| payload).await;
    let begun = Instant::now();
    let count = "SELECT COUNT(*) AS left_over, COUNT(failure) AS odd FROM outbox \
                 WHERE topic <> 'order.1' AND (done_at IS NULL OR failure LIKE '%topic%')";
    loop {
        let row = database.one(Query::new(count)).await.expect("asked").expect("a row");
        let counts = (row.get::<i64>("left_over"), row.get::<i64>("odd"));
        if counts == (Ok(300), Ok(1)) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{counts:?}");
        sleep(Duration::from_millis(50)).await;
    }
    drop(process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_sqlite_leave_once_and_in_order_whoever_is_killed() {
    let folder = TempDir::new().expect("a folder");
    events_survive(Address::sqlite(&folder.path().join("services.db"))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_postgres_leave_once_and_in_order_whoever_is_killed() {
    let server = Postgres::start();
    events_survive(Address::new(&server.database())).await;
}

/// The broker goes on without its services' database, says so, and needs no restart.
#[tokio::test]
async fn a_killed_database_stops_the_services_and_nothing_else() {
    let mut server = Postgres::start();
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("address");
    std::fs::write(&file, server.database() + "\n").expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("set");
    let config = format!("[services]\ndatabase_file = '{}'\n", file.display());
    let broker = Broker::configured(&config);
    let backend = broker.client("shop", Role::Service).await;
    let (told, wanted) = (json!({ "id": "u1", "role": "customer" }), json!({ "id": "u1" }));
    let stored = ask_in_time(&backend, "users.upsert", &told).await.expect("stored");
    server.kill();
    let failed = ask(&backend, "users.get", &wanted).await.expect_err("it is down");
    assert!(failed.is_retryable() && failed.code() == Some(Code::BUSY), "{failed}");
    let message = sampan_client::Message::new(topic("order.1"), "1");
    backend.publish(message).await.expect("messages go their way");
    let ready = async |words: &str| {
        let begun = Instant::now();
        while !broker.http_get("/readyz").1.contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", broker.http_get("/readyz"));
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(broker.http_get("/readyz").0, 200);
    };
    ready("without services: the database is not available").await;
    server.start_again();
    assert_eq!(ask_in_time(&backend, "users.get", &wanted).await.expect("kept"), stored);
    ready("ready\n").await;
}

#[tokio::test]
async fn a_file_of_providers_that_others_can_read_is_refused_and_its_keys_are_told_nobody() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("providers.toml");
    let good =
        "[[sender]]\nprovider = \"sms\"\naccount = \"AC1\"\nkey = \"s3cret\"\nfrom = \"+1\"\n";
    for (text, mode, why) in [
        (good.to_owned(), 0o644, "others can read"),
        (good.replace("from", "form"), 0o600, "unknown field `form`"),
        (good.replace("sms", "pigeon"), 0o600, "unknown variant `pigeon`"),
        (good.to_owned() + "url = \"http://sms.example\"\n", 0o600, "use https"),
    ] {
        std::fs::write(&file, text).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(&file, mode).expect("set");
        let config = folder.path().join("sampan.toml");
        let settings = format!("[services]\nproviders_file = '{}'\n", file.display());
        std::fs::write(&config, settings).expect("written");
        let ended = Command::new(env!("CARGO_BIN_EXE_sampan"))
            .args(["serve", "--config"])
            .arg(&config)
            .arg("--data")
            .arg(folder.path().join("data"))
            .output()
            .expect("started");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success());
        assert!(said.contains(why), "{why} in {said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}
