//! The outbox's table.

use sampan_services::Moment;
use sampan_services::outbox::{Event, add};
use sampan_services::store::{Database, Query};
use tokio::task::JoinSet;

use crate::sites::Site;

fn event(topic: &str, number: i64) -> Event {
    let at = Moment::from_ms(number);
    Event::of(topic, "test:event", at, &number).expect("an event").key("k")
}

async fn stored(database: &Database) -> Vec<String> {
    let rows = database.all(Query::new("SELECT payload FROM outbox ORDER BY seq")).await;
    rows.expect("read").iter().map(|row| row.get("payload").expect("text")).collect()
}

#[tokio::test]
async fn an_event_is_there_if_and_only_if_its_transaction_committed() {
    for site in Site::each() {
        let database = site.migrated().await;
        for number in 0..4 {
            let mut work = database.begin().await.expect("begun");
            add(&mut work, &event("order.1", number)).await.expect("added");
            if number % 2 == 0 {
                work.commit().await.expect("committed");
            }
        }
        assert_eq!(stored(&database).await, ["0", "2"], "{}", site.name);
    }
}

/// Each writer reads how far the counter is and writes an event with the next number, as a service
/// does with the version of what it changes.
#[tokio::test]
async fn events_of_a_key_are_numbered_in_the_order_of_their_commits() {
    for site in Site::each() {
        let database = site.migrated().await;
        let mut work = database.begin().await.expect("begun");
        for statement in ["CREATE TABLE counts (n BIGINT)", "INSERT INTO counts VALUES (0)"] {
            work.execute(Query::new(statement)).await.expect("done");
        }
        work.commit().await.expect("committed");
        let mut writers = JoinSet::new();
        for _ in 0..4 {
            let database = database.clone();
            writers.spawn(async move {
                for _ in 0..25 {
                    let mut work = database.begin().await.expect("begun");
                    let count = Query::new("UPDATE counts SET n = n + 1 RETURNING n");
                    let row = work.one(count).await.expect("counted").expect("a row");
                    add(&mut work, &event("order.1", row.get("n").expect("n")))
                        .await
                        .expect("added");
                    tokio::task::yield_now().await;
                    work.commit().await.expect("committed");
                }
            });
        }
        writers.join_all().await;
        let expected: Vec<String> = (1..=100).map(|number| number.to_string()).collect();
        assert_eq!(stored(&database).await, expected, "{}", site.name);
    }
}
