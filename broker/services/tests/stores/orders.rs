//! What the tables of orders keep to.

use std::time::Duration;

use sampan_services::Moment;
use sampan_services::orders::model::{Checkpoint, Order, Source, Status};
use sampan_services::orders::rules::polling::Job;
use sampan_services::orders::{Checked, Orders, StatusTold, Summary, Upsert, Whose};
use sampan_services::outbox::{self, Event};
use sampan_services::store::{Database, Error, Query};
use sampan_tests::chance::Chance;
use tokio::task::JoinSet;

use crate::sites::Site;

/// Placed a while ago, so that what carriers say is not older.
const PLACED: i64 = 1_700_000_000_000;

fn at(minutes: i64) -> Moment {
    Moment::from_ms(PLACED + minutes * 60_000)
}

fn upsert(id: &str, number: Option<&str>) -> Upsert {
    Upsert {
        id: id.to_owned(),
        customer_id: "cat".to_owned(),
        carrier: number.map(|_| "kerry".to_owned()),
        tracking_number: number.map(str::to_owned),
        placed_at: Some(at(0)),
        ..Upsert::default()
    }
}

fn point(status: Status, minutes: i64) -> Checkpoint {
    Checkpoint {
        source: Source::Poll,
        carrier: "kerry".to_owned(),
        tracking_number: "TH1".to_owned(),
        raw_code: status.name().to_owned(),
        status: Some(status),
        event_time: at(minutes),
        observed_at: Moment::default(),
        location: None,
        estimated_delivery: None,
        notes: Some("ถึงแล้ว".to_owned()),
    }
}

async fn each() -> Vec<(Orders, Database, Site)> {
    let mut stores = Vec::new();
    for site in Site::each() {
        let database = site.migrated().await;
        stores.push((Orders::new(&database), database, site));
    }
    stores
}

/// The events of this name that have been committed, as topic and payload.
async fn events(database: &Database, name: &str) -> Vec<(String, serde_json::Value)> {
    let query = Query::new("SELECT topic, payload FROM outbox WHERE name = $1 ORDER BY seq");
    let rows = database.all(query.bind(name)).await.expect("read");
    let event = |row: &sampan_services::store::Row| {
        (row.get("topic").expect("text"), row.json("payload").expect("JSON"))
    };
    rows.iter().map(event).collect()
}

async fn statuses(database: &Database, topic: &str) -> Vec<String> {
    let told = events(database, "order_status_update").await;
    let of = |(to, told): (String, serde_json::Value)| {
        (to == topic).then(|| told["current_status"].as_str().expect("a status").to_owned())
    };
    told.into_iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_new_status_is_told_to_everybody_once() {
    for (orders, database, _site) in each().await {
        orders.upsert(&upsert("o/1", Some("TH1"))).await.expect("told");
        let points = vec![point(Status::InTransit, 20), point(Status::Shipped, 10)];
        for round in 0..3 {
            let heard = orders.hear("o/1", points.clone()).await.expect("heard").expect("there");
            assert_eq!((heard.changed, heard.order.status), (round == 0, Status::InTransit));
            assert_eq!((heard.order.version, heard.order.status_at), (2, at(20)));
        }
        for topic in ["order.o%2F1", "user.cat"] {
            assert_eq!(statuses(&database, topic).await, ["shipped", "in_transit"], "{topic}");
        }
        for name in ["order_tracking_update", "order_status_change"] {
            assert_eq!(events(&database, name).await.len(), 2, "{name}");
        }
        let triggers = events(&database, "notification:trigger").await;
        assert_eq!(triggers.len(), 2);
        let (topic, trigger) = &triggers[1];
        assert_eq!((topic.as_str(), &trigger["user_id"]), ("notify.trigger", &"cat".into()));
        assert_eq!(trigger["channels"], serde_json::json!(["push"]), "the pages were told");
        let update = events(&database, "order_tracking_update").await.remove(1).1;
        assert_eq!(trigger["idempotency_key"], update["event_id"], "each version is notified once");
        assert_eq!(trigger["data"]["notes"], "ถึงแล้ว");
        assert_eq!(orders.history("o/1", 10).await.expect("read").len(), 2);
        assert_eq!(orders.hear("none", points).await, Ok(None));
    }
}

#[tokio::test]
async fn what_is_late_is_history_and_what_is_unknown_is_for_the_operators() {
    for (orders, database, _site) in each().await {
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        orders.hear("o", vec![point(Status::OutForDelivery, 30)]).await.expect("heard");
        let late = point(Status::Shipped, 10);
        let odd = Checkpoint {
            status: None,
            raw_code: "Teleported".to_owned(),
            ..point(Status::InTransit, 40)
        };
        let foreign = point(Status::Delivered, -1);
        let heard = orders.hear("o", vec![late, odd, foreign]).await.expect("heard");
        let heard = heard.expect("there");
        assert!(!heard.changed);
        assert_eq!(heard.order.status, Status::OutForDelivery);
        let history = orders.history("o", 10).await.expect("read");
        let codes: Vec<&str> = history.iter().map(|point| point.raw_code.as_str()).collect();
        assert_eq!(codes, ["shipped", "out_for_delivery", "Teleported"]);
        let alerts = events(&database, "order_tracking_alert").await;
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].1["raw_code"], "Teleported");
        assert_eq!(statuses(&database, "order.o").await, ["out_for_delivery"]);
        assert_eq!(events(&database, "order:tracking_event").await.len(), 3);
    }
}

#[tokio::test]
async fn the_carrier_is_asked_as_soon_as_there_is_a_number_and_no_more_at_the_end() {
    for (orders, database, _site) in each().await {
        orders.upsert(&upsert("o", None)).await.expect("told");
        assert_eq!(orders.track("o").await, Ok(Some(false)), "no number");
        assert_eq!(orders.due(10).await, Ok(vec![]));
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told again");
        let turns = orders.due(10).await.expect("asked");
        assert_eq!(turns.len(), 1, "one job, however often it is told of");
        assert_eq!(orders.due(10).await, Ok(vec![]), "it is this caller's");
        let answer = Ok(vec![point(Status::Delivered, 50)]);
        orders.answered(&turns[0], answer, 0).await.expect("stored");
        assert_eq!(orders.track("o").await, Ok(Some(false)), "it has come");
        let stopped = events(&database, "order:tracking_stopped").await;
        assert_eq!(stopped.len(), 1);
        assert_eq!(stopped[0].1["reason"], "terminal");
        let late = Ok(vec![point(Status::Delivered, 50)]);
        orders.answered(&turns[0], late, 0).await.expect("a second answer changes nothing");
        assert_eq!(statuses(&database, "order.o").await, ["delivered"]);
    }
}

/// Puts the time of every job back.
async fn age(database: &Database, by: Duration) {
    let ms = i64::try_from(by.as_millis()).expect("a time");
    let mut work = database.begin().await.expect("begun");
    let rows = work.all(Query::new("SELECT id, body FROM tracking_jobs")).await.expect("read");
    for row in &rows {
        let mut body: serde_json::Value = row.json("body").expect("JSON");
        let mut older = |name: &str| {
            let text = body[name].as_str().expect("a time").to_owned();
            let moment = Moment::parse(&text).expect("a time").before(by);
            body[name] = moment.to_string().into();
        };
        ["next_poll_at", "started_at", "stop_at"].into_iter().for_each(&mut older);
        let query = Query::new(
            "UPDATE tracking_jobs SET next_poll_at = next_poll_at - $2, \
             started_at = started_at - $2, stop_at = stop_at - $2, \
             lease_until = lease_until - $2, body = $3 WHERE id = $1",
        );
        let id: String = row.get("id").expect("text");
        work.execute(query.bind(id).bind(ms).bind(body.to_string())).await.expect("done");
    }
    work.commit().await.expect("committed");
}

#[tokio::test]
async fn a_job_goes_on_in_another_process_and_ends_after_seven_days_with_word_of_it() {
    for (orders, database, _site) in each().await {
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        let lost = orders.due(1).await.expect("asked");
        assert_eq!(lost.len(), 1);
        age(&database, Duration::from_secs(61)).await;
        let turns = orders.due(1).await.expect("asked");
        assert_eq!(turns.len(), 1, "whoever had it did not answer in time");
        orders.answered(&turns[0], Err(None), 0).await.expect("stored");
        assert_eq!(orders.due(1).await, Ok(vec![]), "a failure is waited for");
        age(&database, Duration::from_secs(6 * 60)).await;
        let turns = orders.due(1).await.expect("asked");
        orders.answered(&turns[0], Ok(vec![point(Status::InTransit, 5)]), 0).await.expect("stored");
        assert_eq!(orders.expire(10).await, Ok(0));
        age(&database, Duration::from_secs(7 * 86_400)).await;
        assert_eq!(orders.due(1).await, Ok(vec![]), "its time is over");
        assert_eq!(orders.expire(10).await, Ok(1));
        assert_eq!(orders.expire(10).await, Ok(0));
        let stopped = events(&database, "order:tracking_stopped").await;
        let topics: Vec<&str> = stopped.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(topics, ["order.o", "admin.dashboard"]);
        assert_eq!(stopped[0].1["reason"], "expired");
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        assert_eq!(orders.due(1).await, Ok(vec![]), "the same number does not begin it again");
        assert_eq!(orders.track("o").await, Ok(Some(true)));
        assert_eq!(orders.due(1).await.expect("asked").len(), 1, "but who asks for it does");
    }
}

#[tokio::test]
async fn a_number_that_is_used_again_is_the_newest_orders() {
    for (orders, _, _site) in each().await {
        orders.upsert(&upsert("old", Some("TH1"))).await.expect("told");
        orders.hear("old", vec![point(Status::Delivered, 5)]).await.expect("heard");
        let new = Upsert { placed_at: Some(at(100)), ..upsert("new", Some("TH1")) };
        orders.upsert(&new).await.expect("told");
        let points = vec![point(Status::Delivered, 5), point(Status::InTransit, 120)];
        let heard = orders.hear_of("kerry", "TH1", points).await.expect("heard").expect("there");
        assert_eq!((heard.order.id.as_str(), heard.order.status), ("new", Status::InTransit));
        assert_eq!(orders.hear_of("other", "TH1", vec![]).await, Ok(None));
        let other = Upsert { customer_id: "dog".to_owned(), ..upsert("new", None) };
        assert!(matches!(orders.upsert(&other).await, Err(Error::Conflict(_))));
        let moved = orders.upsert(&upsert("new", Some("TH2"))).await.expect("told");
        assert_eq!(moved.status, Status::InTransit, "the status is not told by this");
        let heard = orders.hear_of("kerry", "TH1", vec![point(Status::OutForDelivery, 130)]).await;
        assert_eq!(heard.expect("heard").expect("there").order.id, "old", "it has it still");
        let numbers = |turns: Vec<Job>| -> Vec<String> {
            turns.into_iter().map(|job| job.tracking_number).collect()
        };
        assert_eq!(numbers(orders.due(10).await.expect("asked")), ["TH2"], "the old one is over");
    }
}

#[tokio::test]
async fn a_number_that_was_corrected_moves_the_order_no_more() {
    for (orders, _, _site) in each().await {
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        let asked = orders.due(1).await.expect("asked");
        orders.upsert(&upsert("o", Some("TH2"))).await.expect("told");
        let delivered = || vec![point(Status::Delivered, 5)];
        assert_eq!(orders.hear_of("kerry", "TH1", delivered()).await, Ok(None));
        orders.answered(&asked[0], Ok(delivered()), 0).await.expect("stored");
        let order = orders.find("o").await.expect("read").expect("there");
        assert_eq!(order.status, Status::Pending);
        assert_eq!(orders.history("o", 9).await, Ok(vec![]));
        let moved = orders.hear_of("kerry", "TH2", vec![point(Status::InTransit, 5)]).await;
        assert_eq!(moved.expect("heard").expect("there").order.status, Status::InTransit);
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_read_stops_no_other_and_can_be_begun_anew() {
    for (orders, database, site) in each().await {
        for id in ["damaged", "whole", "old"] {
            orders.upsert(&upsert(id, Some(&format!("TH-{id}")))).await.expect("told");
        }
        let mut work = database.begin().await.expect("begun");
        let damage = "UPDATE tracking_jobs SET body = '{' WHERE order_id <> 'whole'";
        work.execute(Query::new(damage)).await.expect("damaged");
        let past = "UPDATE tracking_jobs SET stop_at = 1 WHERE order_id = 'old'";
        work.execute(Query::new(past)).await.expect("moved");
        work.commit().await.expect("committed");
        let due = orders.due(10).await.expect("asked");
        let due: Vec<&str> = due.iter().map(|job| job.order_id.as_str()).collect();
        assert_eq!(due, ["whole"], "{}", site.name);
        assert_eq!(orders.expire(10).await, Ok(0));
        let open = Query::new("SELECT order_id FROM tracking_jobs WHERE is_over = 0");
        assert_eq!(database.all(open).await.expect("read").len(), 1);
        assert_eq!(orders.track("damaged").await, Ok(Some(true)));
        assert_eq!(orders.due(10).await.expect("asked").len(), 1, "it is asked about again");
    }
}

#[tokio::test]
async fn a_number_is_the_same_however_its_carrier_writes_it() {
    for (orders, _, _site) in each().await {
        orders.upsert(&upsert("o", Some("th-1a"))).await.expect("told");
        let at_home = |carrier: &str, number: &str| Checkpoint {
            carrier: carrier.to_owned(),
            tracking_number: number.to_owned(),
            ..point(Status::InTransit, 5)
        };
        let told = vec![at_home("KERRY", "TH-1A")];
        let heard = orders.hear_of("KERRY", "TH-1A", told).await.expect("heard").expect("there");
        assert!(heard.changed);
        let asked = orders.due(1).await.expect("asked");
        orders.answered(&asked[0], Ok(vec![at_home("kerry", "th-1a")]), 0).await.expect("stored");
        assert_eq!(orders.history("o", 9).await.expect("read").len(), 1, "it is the same");
    }
}

#[tokio::test]
async fn an_order_goes_on_where_its_history_has_ended() {
    for (orders, _, _site) in each().await {
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        let scan = |number: i64| Checkpoint {
            raw_code: number.to_string(),
            ..point(Status::InTransit, 5 + number)
        };
        orders.hear("o", (0..1_000).map(scan).collect()).await.expect("heard");
        let heard = orders.hear("o", vec![point(Status::Delivered, 2_000)]).await;
        let heard = heard.expect("heard").expect("there");
        assert_eq!((heard.changed, heard.order.status), (true, Status::Delivered));
        assert_eq!(orders.history("o", 2_000).await.expect("read").len(), 1_000);
    }
}

/// The longest id of an order, whose events have ids that the broker takes.
#[tokio::test]
async fn what_is_told_of_an_order_can_be_sent_whatever_its_id() {
    for (orders, database, _site) in each().await {
        let id = "o".repeat(128);
        orders.upsert(&upsert(&id, Some("TH1"))).await.expect("told");
        let odd = Checkpoint { status: None, ..point(Status::InTransit, 4) };
        let points = vec![odd, point(Status::Delivered, 5)];
        orders.hear(&id, points).await.expect("heard");
        let rows = database.all(Query::new("SELECT event_id FROM outbox")).await.expect("read");
        let ids: Vec<String> = rows.iter().map(|row| row.get("event_id").expect("text")).collect();
        assert_eq!(ids.len(), 9, "{ids:?}");
        assert!(ids.iter().all(|id| id.len() <= 128), "{ids:?}");
        let event = Event::of("order.o", "x", at(0), &1).expect("an event");
        let long = Event { id: "x".repeat(129), ..event };
        let mut work = database.begin().await.expect("begun");
        let refused = outbox::add(&mut work, &long).await;
        assert!(matches!(refused, Err(Error::Program(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn orders_are_read_in_pages_by_whose_they_are() {
    for (orders, _, _site) in each().await {
        for number in 0..7 {
            let told = Upsert {
                agent_id: (number % 2 == 0).then(|| "amy".to_owned()),
                placed_at: Some(at(number / 2)),
                customer_id: if number == 6 { "dog" } else { "cat" }.to_owned(),
                estimated_delivery: (number == 1).then(|| at(1)),
                ..upsert(&format!("o{number}"), (number == 0).then_some("TH1"))
            };
            orders.upsert(&told).await.expect("told");
        }
        orders.hear("o2", vec![point(Status::Cancelled, 60)]).await.expect("heard");
        let ids = |found: Option<Vec<Order>>| {
            found.expect("there").into_iter().map(|it| it.id).collect::<Vec<_>>()
        };
        for nobody in ["o6", "never"] {
            let cat = Whose::Customer("cat".to_owned());
            assert_eq!(orders.list(&cat, None, Some(nobody), 4).await, Ok(None));
        }
        let cat = Whose::Customer("cat".to_owned());
        let first = ids(orders.list(&cat, None, None, 4).await.expect("read"));
        assert_eq!(first, ["o5", "o4", "o3", "o2"]);
        let rest = ids(orders.list(&cat, None, Some("o2"), 4).await.expect("read"));
        assert_eq!(rest, ["o1", "o0"]);
        let amy = Whose::Agent("amy".to_owned());
        assert_eq!(ids(orders.list(&amy, None, None, 2).await.expect("read")), ["o6", "o4"]);
        let cancelled = orders.list(&Whose::All, Some(Status::Cancelled), None, 9).await;
        assert_eq!(ids(cancelled.expect("read")), ["o2"]);
        let summary = orders.summary().await.expect("read");
        let by_status = [("cancelled".to_owned(), 1), ("pending".to_owned(), 6)].into();
        assert_eq!(summary, Summary { by_status, late: 1, tracked: 1, stuck: 0 });
    }
}

/// The shop and the carrier tell of one order at once, in any order and several times: everybody is
/// told each status once, in the order in which they were so, and the versions have no hole.
#[tokio::test]
async fn whoever_tells_at_once_each_version_is_told_once() {
    for (orders, database, _site) in each().await {
        orders.upsert(&upsert("o", Some("TH1"))).await.expect("told");
        let way = [
            Status::Shipped,
            Status::InTransit,
            Status::OutForDelivery,
            Status::DeliveryAttempted,
            Status::Delivered,
        ];
        let mut tellers = JoinSet::new();
        for seed in 0..6 {
            let orders = orders.clone();
            tellers.spawn(async move {
                let mut chance = Chance::new(seed);
                for _ in 0..20 {
                    let first = chance.below(5) as usize;
                    let points = (first..way.len()).map(|n| point(way[n], 10 * n as i64 + 10));
                    let mut points: Vec<Checkpoint> = points.collect();
                    points.truncate(1 + chance.below(3) as usize);
                    orders.hear("o", points).await.expect("heard");
                }
                let told = StatusTold {
                    id: "o".to_owned(),
                    status: Status::Delivered,
                    event_time: Some(at(50)),
                    location: None,
                    estimated_delivery: None,
                    notes: None,
                };
                orders.hear("o", vec![told.checked().expect("fine")]).await.expect("heard");
            });
        }
        tellers.join_all().await;
        let order = orders.find("o").await.expect("read").expect("there");
        assert_eq!(order.status, Status::Delivered);
        let told = events(&database, "order_status_update").await;
        let versions = told.iter().filter(|(topic, _)| topic == "order.o");
        let versions: Vec<u64> =
            versions.map(|(_, told)| told["version"].as_u64().expect("a number")).collect();
        assert_eq!(versions, (1..=order.version).collect::<Vec<_>>());
        let times: Vec<&str> = told
            .iter()
            .filter(|(topic, _)| topic == "user.cat")
            .map(|(_, told)| told["timestamp"].as_str().expect("a time"))
            .collect();
        assert!(times.is_sorted(), "{times:?}");
    }
}
