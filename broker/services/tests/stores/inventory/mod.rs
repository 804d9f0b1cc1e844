//! What stock keeps to.

mod holds;
mod model;
mod races;
mod told;

use sampan_services::Moment;
use sampan_services::inventory::model::{Item, Key, ONLINE, Reason, Reservation};
use sampan_services::inventory::rules::allocation::Order;
use sampan_services::inventory::rules::hold::Line;
use sampan_services::inventory::store::{Change, Error, Outcome, Stock, Wanted};
use sampan_services::store::{Database, Query, Row};
use serde_json::Value;

use crate::sites::Site;

/// A shop's stock on a database of one sort.
struct Shop {
    site: Site,
    database: Database,
    stock: Stock,
}

impl Shop {
    async fn open(site: Site) -> Self {
        let database = site.migrated().await;
        let stock = Stock::new(&database, Order::Ranked);
        Shop { site, database, stock }
    }

    async fn each() -> Vec<Self> {
        let mut shops = Vec::new();
        for site in Site::each() {
            shops.push(Shop::open(site).await);
        }
        shops
    }

    /// Brings stock of a product to Bangkok.
    async fn restock(&self, product: &str, by: i64) {
        self.adjust(bangkok(product), by).await.expect(self.site.name);
    }

    async fn adjust(&self, key: Key, by: i64) -> Result<(), Error> {
        let change = Change { key, by, ..Change::default() };
        self.stock.adjust(&[change], Reason::Adjusted, None).await.map(|_| ())
    }

    async fn reserve(&self, customer: &str, lines: &[Line]) -> Result<Outcome, Error> {
        self.stock.reserve(&wanted(customer, lines)).await
    }

    /// The reservation of one who is given what is wanted.
    async fn held(&self, customer: &str, lines: &[Line]) -> Reservation {
        match self.reserve(customer, lines).await {
            Ok(Outcome::Held(reservation)) => reservation,
            other => panic!("{}: {other:?}", self.site.name),
        }
    }

    /// On hand and reserved of each location of a product, by location.
    async fn levels(&self, product: &str) -> Vec<(String, i64, i64)> {
        let found = self.stock.product(product).await.expect("read");
        let places = found.into_iter().flat_map(|stocked| stocked.places);
        let mut levels: Vec<_> =
            places.map(|it| (it.location, it.level.on_hand, it.level.reserved)).collect();
        levels.sort();
        levels
    }

    /// On hand and reserved in Bangkok.
    async fn level(&self, product: &str) -> (i64, i64) {
        let levels = self.levels(product).await;
        let level = levels.iter().find(|(location, ..)| location == "bangkok").expect("there");
        (level.1, level.2)
    }

    /// Lets so much time pass for everything that is stored.
    async fn pass(&self, seconds: i64) {
        pass(&self.database, seconds).await;
    }

    /// Name, key and payload of each event that was committed.
    async fn events(&self) -> Vec<(String, String, Value)> {
        let query = Query::new("SELECT name, key, payload FROM outbox ORDER BY seq");
        let read = |row: &Row| {
            let payload: String = row.get("payload").expect("text");
            let payload = serde_json::from_str(&payload).expect("JSON");
            (row.get("name").expect("text"), row.get("key").expect("text"), payload)
        };
        self.database.all(query).await.expect("read").iter().map(read).collect()
    }

    async fn named(&self, name: &str) -> Vec<Value> {
        let events = self.events().await.into_iter();
        events.filter(|(event, ..)| event == name).map(|(.., payload)| payload).collect()
    }

    /// Checks what holds whatever has happened: what is held is counted, and every level is the sum
    /// of its movements, without a hole in its versions.
    async fn check(&self) {
        let name = self.site.name;
        assert_eq!(self.stock.reconcile().await, Ok(0), "{name}");
        let query = Query::new(
            "SELECT CAST(l.on_hand - SUM(m.on_hand) AS BIGINT) AS on_hand, \
             CAST(l.reserved - SUM(m.reserved) AS BIGINT) AS reserved, \
             l.version - COUNT(*) AS version FROM stock_levels AS l \
             JOIN stock_movements AS m USING (product_id, variant_id, location) \
             GROUP BY product_id, variant_id, location, l.on_hand, l.reserved, l.version",
        );
        for row in self.database.all(query).await.expect("read") {
            for column in ["on_hand", "reserved", "version"] {
                assert_eq!(row.get::<i64>(column), Ok(0), "{name}: {column}");
            }
        }
    }
}

async fn pass(database: &Database, seconds: i64) {
    let mut work = database.begin().await.expect("begun");
    for text in [
        "UPDATE reservations SET expires_at = expires_at - $1, created_at = created_at - $1",
        "UPDATE stock_levels SET told_at = told_at - $1",
    ] {
        work.execute(Query::new(text).bind(seconds * 1_000)).await.expect("moved");
    }
    work.commit().await.expect("committed");
}

fn bangkok(product: &str) -> Key {
    item(product).at("bangkok")
}

fn item(product: &str) -> Item {
    Item { product_id: product.to_owned(), variant_id: String::new() }
}

/// A line that names its location.
fn line(product: &str, quantity: i64) -> Line {
    Line { key: bangkok(product), quantity }
}

/// A line that takes what is anywhere.
fn anywhere(product: &str, quantity: i64) -> Line {
    Line { key: item(product).at(ONLINE), quantity }
}

fn wanted(customer: &str, lines: &[Line]) -> Wanted {
    Wanted {
        customer_id: customer.to_owned(),
        lines: lines.to_vec(),
        idempotency_key: None,
        held_max: None,
    }
}

/// The seconds that a hold holds.
const HOLD: i64 = 900;

/// Whether proofs run as often as they should, rather than as often as there is time for.
fn is_full() -> bool {
    std::env::var_os("CRASH_FULL").is_some()
}

/// The moment of a text of the wire.
fn moment(text: &Value) -> Moment {
    serde_json::from_value(text.clone()).expect("a moment")
}
