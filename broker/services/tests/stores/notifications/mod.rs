//! What the tables of notifications keep to.

mod bulk;
mod dispatch;
mod inbox;
mod taking;
mod turns;

use std::time::Duration;

use sampan_services::notifications::model::{Channel, Kind, Trigger};
use sampan_services::notifications::rules::provider::{Class, Provider};
use sampan_services::notifications::send::Outcome;
use sampan_services::notifications::store::{Attempted, Claimed, Lane, Line, Notifications, Sent};
use sampan_services::notifications::{Accepted, DeviceProvider, DevicePut};
use sampan_services::service::Problem;
use sampan_services::store::{Database, Query, Row};
use sampan_services::users::{Upsert, Users};
use sampan_services::{Moment, Role};
use serde_json::{Value, json};

use crate::sites::Site;

/// A store of notifications and the database that it is in.
struct Place {
    store: Notifications,
    database: Database,
    _site: Site,
}

async fn each() -> Vec<Place> {
    let mut places = Vec::new();
    for site in Site::each() {
        let database = site.migrated().await;
        places.push(Place { store: Notifications::new(&database), database, _site: site });
    }
    places
}

/// A payment, which is critical.
fn payment(user: &str) -> Trigger {
    Trigger {
        user_id: user.to_owned(),
        kind: Kind::PaymentConfirmation,
        data: json!({ "order_id": "o1", "amount": "1,290.00", "currency": "THB" }).into(),
        channels: Some(vec![Channel::Push]),
        priority: None,
        ttl: None,
        idempotency_key: None,
        event_id: None,
    }
}

/// News of an order, which are not.
fn order(user: &str) -> Trigger {
    Trigger {
        kind: Kind::OrderStatusUpdate,
        data: json!({ "order_id": "o1", "current_status": "shipped" }).into(),
        ..payment(user)
    }
}

fn phone(token: &str) -> DevicePut {
    DevicePut {
        user_id: None,
        provider: DeviceProvider::Firebase,
        app: "shop".to_owned(),
        token: token.to_owned(),
        p256dh: None,
        auth: None,
    }
}

const SHOP: Sent<'static> = Sent { caller: "shop", job: None };

fn line(lane: Lane) -> Line {
    Line { lane, provider: Provider::Fcm }
}

impl Place {
    async fn send(&self, trigger: &Trigger) -> Result<Accepted, Problem> {
        self.store.accept(trigger, SHOP).await
    }

    async fn claim(&self, lane: Lane) -> Vec<Claimed> {
        self.store.claim(line(lane), 100).await.expect("claimed")
    }

    /// Changes what time would.
    async fn change(&self, text: &'static str) -> u64 {
        let mut work = self.database.begin().await.expect("begun");
        let changed = work.execute(Query::new(text)).await.expect("changed");
        work.commit().await.expect("committed");
        changed
    }

    /// The events of this name, as topic and payload.
    async fn events(&self, name: &str) -> Vec<(String, Value)> {
        let query = Query::new("SELECT topic, payload FROM outbox WHERE name = $1 ORDER BY seq");
        let rows = self.database.all(query.bind(name)).await.expect("read");
        let event =
            |row: &Row| (row.get("topic").expect("text"), row.json("payload").expect("JSON"));
        rows.iter().map(event).collect()
    }

    /// The events that a user has said a page shows.
    async fn taken(&self, user: &str) -> Vec<String> {
        let query = Query::new("SELECT event_id FROM notification_taken WHERE user_id = $1");
        let rows = self.database.all(query.bind(user)).await.expect("read");
        rows.iter().map(|row| row.get("event_id").expect("text")).collect()
    }

    async fn told(&self, user: Upsert) {
        Users::new(&self.database).upsert(&user).await.expect("stored");
    }

    /// State and reason of all deliveries of a notification.
    async fn stands(&self, id: &str) -> Vec<(String, Option<String>)> {
        let report = self.store.report(id).await.expect("read").expect("there");
        let one = |delivery: &sampan_services::notifications::DeliveryOf| {
            let state = json!(delivery.state).as_str().expect("a name").to_owned();
            (state, delivery.reason.clone())
        };
        report.deliveries.iter().map(one).collect()
    }
}

fn state(text: &str) -> (String, Option<String>) {
    (text.to_owned(), None)
}

fn because(text: &str, reason: &str) -> (String, Option<String>) {
    (text.to_owned(), Some(reason.to_owned()))
}

fn user(id: &str) -> Upsert {
    Upsert {
        id: id.to_owned(),
        role: Role::Customer,
        name: None,
        vip: false,
        lifetime_value: 0.0,
        locale: Some("th-TH".to_owned()),
        time_zone: Some("Asia/Bangkok".to_owned()),
        email: None,
        email_verified_at: None,
        phone: None,
        phone_verified_at: None,
    }
}

fn came(claimed: &Claimed, class: Class, code: &str) -> Attempted {
    Attempted {
        claimed: claimed.clone(),
        place: 0,
        at: Moment::now(),
        took: Duration::from_millis(12),
        outcome: Outcome {
            message_id: (class == Class::Accepted).then(|| "m1".to_owned()),
            ..Outcome::new(class, if class == Class::Accepted { 200 } else { 503 }, code)
        },
        seed: 7,
    }
}
