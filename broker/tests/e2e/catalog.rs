//! A shop of many products: every viewer ends on what there is.
//!
//! `make real-stock` sells the packages of a whole distribution, named by `REAL_INPUT`, to a thousand
//! viewers, with fifty changes a second for a minute, and prints how long each took to be seen.
//! Without it a few products made up from a seed go to a few.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sampan::auth::Role;
use sampan_client::inventory::{Adjust, AdjustLine, Inventory, ViewerUpdate};
use sampan_client::{Delivery, Start, Subscription, Topic, topic_token};
use sampan_services::store::{Address, Database, Query};
use sampan_tests::chance::Chance;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::harness::{Broker, PATIENCE};

const SEED: u64 = 60_000;
/// Products of one request.
const LINES: usize = 100;
/// How long a whole distribution may take on a small machine.
const LOADING: Duration = Duration::from_secs(1_800);

/// How much is done.
struct Size {
    viewers: usize,
    changes: u64,
    /// Between two changes.
    pause: Duration,
}

/// Products with their stock.
fn products() -> (BTreeMap<String, i64>, Size) {
    let Some(path) = std::env::var_os("REAL_INPUT") else {
        let mut chance = Chance::of(SEED, "products", 0);
        let some = (0..250).map(|n| {
            (format!("p{n}.{}+", n % 7), i64::try_from(chance.below(1 << 20)).expect("small") + 100)
        });
        let pause = Duration::from_millis(10);
        return (some.collect(), Size { viewers: 40, changes: 200, pause });
    };
    let text = std::fs::read(path).expect("REAL_INPUT is a file");
    let text = String::from_utf8_lossy(&text);
    let of = |record: &str, name: &str| {
        record.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let record = |record: &str| {
        let size: i64 = of(record, "Size:")?.parse().ok()?;
        Some((of(record, "Package:")?, size / 1_024 + 100))
    };
    let pause = Duration::from_millis(20);
    let size = Size { viewers: 1_000, changes: 3_000, pause };
    (text.split("\n\n").filter_map(record).collect(), size)
}

/// Fills the shelves, some requests at a time.
async fn load(shop: &Inventory, products: &BTreeMap<String, i64>) {
    let lines: Vec<AdjustLine> = products
        .iter()
        .map(|(product, quantity)| AdjustLine { on_hand: Some(*quantity), ..line(product) })
        .collect();
    let mut loading = JoinSet::new();
    for (n, lines) in lines.chunks(LINES).enumerate() {
        if loading.len() >= 4 {
            loading.join_next().await.expect("there are some").expect("no panic");
        }
        let idempotency_key = Some(format!("load {n}"));
        loading.spawn(adjust(shop.clone(), Adjust { lines: lines.to_vec(), idempotency_key }));
    }
    loading.join_all().await;
}

fn line(product: &str) -> AdjustLine {
    let (product_id, location) = (product.to_owned(), "bangkok".to_owned());
    AdjustLine { product_id, location, ..AdjustLine::default() }
}

/// Asks until the answer is no more that it should be tried again.
async fn adjust(shop: Inventory, ask: Adjust) {
    let begun = Instant::now();
    loop {
        match shop.adjust(&ask).await {
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            done => return done.map(|_| ()).expect("done"),
        }
    }
}

/// Waits until everything that was committed is published.
async fn drained(broker: &Broker) {
    let file = broker.data.path().join("data/services.db");
    let database = Database::open(&Address::sqlite(&file)).expect("a valid address");
    let begun = Instant::now();
    loop {
        let query = Query::new("SELECT COUNT(*) AS open FROM outbox WHERE done_at IS NULL");
        let row = database.one(query).await.expect("read").expect("a row");
        if row.get("open") == Ok(0_i64) {
            return;
        }
        assert!(begun.elapsed() < LOADING, "{row:?} are left");
        sleep(Duration::from_millis(100)).await;
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("not too late")
}

/// Reads until there is nothing new for a while after the changes; the last update, and how many
/// milliseconds each after the first took since its transaction read the clock.
async fn look(
    mut updates: Subscription,
    until: tokio::sync::watch::Receiver<bool>,
) -> (Option<ViewerUpdate>, Vec<i64>) {
    let (mut last, mut took): (Option<ViewerUpdate>, Vec<i64>) = (None, Vec::new());
    loop {
        let next = timeout(Duration::from_millis(1_000), updates.next()).await;
        let Ok(delivery) = next else {
            if *until.borrow() {
                return (last, took);
            }
            continue;
        };
        // Of changes that come faster than they are read the newest is enough.
        let Delivery::Message(message) = delivery.expect("not ended") else { continue };
        let now = now_ms();
        if message.event() != Some("inventory_update") {
            continue;
        }
        let update: ViewerUpdate =
            serde_json::from_slice(message.payload_bytes()).expect("an update");
        if let Some(before) = &last {
            assert!(before.version < update.version, "{before:?} then {update:?}");
            let headers = message.headers();
            let at = headers.iter().find(|(name, _)| *name == "occurred_at").expect("told");
            let at: i64 = std::str::from_utf8(at.1).expect("text").parse().expect("a number");
            took.push(now - at);
        }
        last = Some(update);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_viewer_of_a_large_shop_ends_on_what_there_is() {
    let (products, size) = products();
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.inventory();
    let begun = Instant::now();
    load(&shop, &products).await;
    eprintln!("{} products in {:?}", products.len(), begun.elapsed());
    drained(&broker).await;
    eprintln!("published in {:?}", begun.elapsed());

    let mut chance = Chance::of(SEED, "changes", 0);
    let stride = products.len() / size.viewers;
    let seen: Vec<&String> = products.keys().step_by(stride).take(size.viewers).collect();
    let (done, until) = tokio::sync::watch::channel(false);
    let mut viewers = JoinSet::new();
    let clients = broker.clients(seen.len(), Role::Customer).await;
    for (client, product) in clients.iter().zip(&seen) {
        let topic = format!("inventory.product.{}", topic_token(product));
        let topic = Topic::parse(&topic).expect("a topic");
        let updates = client.subscribe(&topic, Start::Now).await.expect("joined");
        let (until, product) = (until.clone(), (*product).clone());
        viewers.spawn(async move { (product, look(updates, until).await) });
    }

    let mut turns = interval(size.pause);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (begun, mut changing) = (Instant::now(), JoinSet::new());
    for n in 0..size.changes {
        turns.tick().await;
        let by = Some(if chance.below(2) == 0 { 1 } else { -1 });
        let lines = vec![AdjustLine { by, ..line(chance.pick::<&String>(&seen)) }];
        let idempotency_key = Some(format!("change {n}"));
        changing.spawn(adjust(shop.clone(), Adjust { lines, idempotency_key }));
    }
    changing.join_all().await;
    eprintln!("{} changes in {:?}", size.changes, begun.elapsed());
    drained(&broker).await;
    done.send_replace(true);

    let mut took = Vec::new();
    for (product, (last, times)) in viewers.join_all().await {
        let now = shop.product(&product).await.expect("known");
        assert_eq!(last.as_ref(), now.variants.first(), "{product}");
        took.extend(times);
    }
    took.sort_unstable();
    assert!(!took.is_empty(), "nobody has seen a change");
    let at = |part: usize| took.get(took.len() * part / 1_000).copied().unwrap_or_default();
    let (half, most, nearly) = (at(500), at(990), at(999));
    eprintln!(
        "{} seen, ms from the clock of the transaction to the viewer: half within {half}, \
         99 % {most}, 99.9 % {nearly}",
        took.len()
    );
    if std::env::var_os("REAL_INPUT").is_some() {
        assert!(most < 100, "99 % of viewers have a change within {most} ms");
    }
}
