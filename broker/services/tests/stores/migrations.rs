//! Migrations.

use std::time::Duration;

use sampan_services::SCHEMAS;
use sampan_services::chat::model::{Conversation, Origin, Status};
use sampan_services::chat::store::{SqlStore, Store};
use sampan_services::store::{Error, Query, Schema, both, migrate};
use tokio::task::JoinSet;

use crate::chat::NOW;
use crate::sites::Site;

const ONE: Schema =
    Schema { name: "things", steps: &[&[both("CREATE TABLE things (id TEXT PRIMARY KEY)")]] };
const TWO: Schema = Schema {
    name: "things",
    steps: &[
        &[both("CREATE TABLE things (id TEXT PRIMARY KEY)")],
        &[
            both("ALTER TABLE things ADD COLUMN size BIGINT"),
            both("INSERT INTO things VALUES ('a', 7)"),
        ],
    ],
};
const BROKEN: Schema = Schema {
    name: "things",
    steps: &[
        &[both("CREATE TABLE things (id TEXT PRIMARY KEY)")],
        &[
            both("ALTER TABLE things ADD COLUMN size BIGINT"),
            both("INSERT INTO nowhere VALUES (1)"),
        ],
    ],
};

#[tokio::test]
async fn steps_run_once_and_go_on_where_they_were() {
    for site in Site::each() {
        let database = site.open();
        for schema in [ONE, ONE, TWO, TWO] {
            migrate(&database, &[schema]).await.expect(site.name);
        }
        let row = database.one(Query::new("SELECT id, size FROM things")).await.expect("asked");
        let row = row.expect("a row");
        assert_eq!((row.get::<String>("id"), row.get("size")), (Ok("a".to_owned()), Ok(7_i64)));
    }
}

#[tokio::test]
async fn a_step_that_fails_leaves_everything_as_it_was() {
    for site in Site::each() {
        let database = site.open();
        migrate(&database, &[ONE]).await.expect("migrated");
        let failed = migrate(&database, &[BROKEN]).await.expect_err("there is no such table");
        assert!(matches!(failed, Error::Program(_)), "{failed}");
        migrate(&database, &[TWO]).await.expect("as if nothing had been tried");
    }
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_alone() {
    for site in Site::each() {
        let database = site.open();
        migrate(&database, &[TWO]).await.expect("migrated");
        let refused = migrate(&database, &[ONE]).await;
        assert_eq!(refused, Err(Error::Newer { schema: "things", found: 2, known: 1 }));
        migrate(&database, &[TWO]).await.expect("it is as it was");
    }
}

#[tokio::test]
async fn processes_that_start_at_once_migrate_once() {
    for site in Site::each() {
        let mut starting = JoinSet::new();
        for _ in 0..6 {
            // A handle of its own is what another process has.
            let database = site.open();
            starting.spawn(async move { migrate(&database, SCHEMAS).await });
        }
        for migrated in starting.join_all().await {
            migrated.expect(site.name);
        }
    }
}

#[tokio::test]
async fn chats_of_an_earlier_version_are_known_by_when_they_were_resolved() {
    let chat = *SCHEMAS.iter().find(|schema| schema.name == "chat").expect("chats");
    let earlier = Schema { steps: &chat.steps[..2], ..chat };
    for site in Site::each() {
        let database = site.open();
        migrate(&database, &[earlier]).await.expect(site.name);
        // What JSON takes and a text of PostgreSQL does not.
        let origin = Origin { user_agent: Some("a\0b".to_owned()), ..Origin::default() };
        let chat = Conversation {
            status: Status::Resolved,
            resolved_at: Some(NOW),
            ..Conversation::new("c", "cat", origin, NOW)
        };
        let body = serde_json::to_string(&chat).expect("JSON");
        let query = Query::new(
            "INSERT INTO conversations \
             (id, customer_id, status, last_message_at, next_seq, version, body) \
             VALUES ('c', 'cat', 'resolved', 0, 1, 0, $1)",
        );
        let mut work = database.begin().await.expect("begun");
        work.execute(query.bind(body)).await.expect("added");
        work.commit().await.expect("stored");
        migrate(&database, SCHEMAS).await.expect(site.name);
        let store = SqlStore::new(&database);
        let second = Duration::from_secs(1);
        assert_eq!(store.rested(NOW, NOW.before(second), 9).await, Ok(Vec::new()), "{}", site.name);
        assert_eq!(store.rested(NOW, NOW, 9).await, Ok(vec![chat]), "{}", site.name);
    }
}
