//! What is said when a database does not do its part.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sampan_services::SCHEMAS;
use sampan_services::store::{Address, Database, Error, Fault, Query, Work, migrate};
use sampan_services::users::{Upsert, Users, plain};
use sampan_tests::servers::Postgres;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::sites::Site;

async fn execute(database: &Database, text: &'static str) -> Result<u64, Error> {
    let mut work: Work<'_> = database.begin().await?;
    let changed = work.execute(Query::new(text)).await?;
    work.commit().await?;
    Ok(changed)
}

#[tokio::test]
async fn every_error_says_whose_fault_it_is() {
    for site in Site::each() {
        let database = site.migrated().await;
        let add = "INSERT INTO leases (name, owner, until) VALUES ('a', 'b', 0)";
        assert_eq!(execute(&database, add).await, Ok(1));
        let twice = execute(&database, add).await.expect_err("unique");
        assert_eq!((twice.fault(), twice.is_retryable()), (Fault::Caller, false), "{twice}");
        let none = "INSERT INTO leases (name, until) VALUES ('c', 0)";
        let none = execute(&database, none).await.expect_err("not null");
        assert_eq!(none.fault(), Fault::Caller, "{none}");
        let nul = Query::new("SELECT name FROM leases WHERE name = $1").bind("a\0");
        let nul = database.all(nul).await.expect_err("no text");
        assert_eq!((nul.fault(), nul.is_retryable()), (Fault::Caller, false), "{nul}");
        let wrong = execute(&database, "SELEC 1").await.expect_err("no SQL");
        assert_eq!((wrong.fault(), wrong.is_retryable()), (Fault::Program, false), "{wrong}");
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_is_the_operators() {
    for url in ["mysql://localhost/x", "", "services.db"] {
        let refused = Database::open(&Address::new(url)).expect_err(url);
        assert_eq!(
            (refused.fault(), refused.is_retryable()),
            (Fault::Operator, false),
            "{refused}"
        );
    }
    let nowhere =
        Database::open(&Address::sqlite(Path::new("/nowhere/at/all.db"))).expect("a valid address");
    let away = nowhere.ping().await.expect_err("no such folder");
    assert!(away.is_retryable(), "{away}");
}

/// Of two that change the same on PostgreSQL each in the other's way, one is told to try again.
#[tokio::test]
async fn those_in_each_others_way_are_told_to_try_again() {
    let database = Site::postgres().migrated().await;
    for name in ["a", "b"] {
        let query = Query::new("INSERT INTO leases (name, owner, until) VALUES ($1, '', 0)");
        let mut work = database.begin().await.expect("begun");
        work.execute(query.bind(name)).await.expect("added");
        work.commit().await.expect("committed");
    }
    let touch = |name: &str| Query::new("UPDATE leases SET until = 1 WHERE name = $1").bind(name);
    let (mut one, mut two) =
        (database.begin().await.expect("begun"), database.begin().await.expect("begun"));
    one.execute(touch("a")).await.expect("free");
    two.execute(touch("b")).await.expect("free");
    let (first, second) = tokio::join!(one.execute(touch("b")), two.execute(touch("a")));
    let failed = first.and(second).expect_err("a deadlock");
    assert!(matches!(failed, Error::Contended(_)), "{failed}");
}

/// PostgreSQL is killed twice under load: callers are told to try again, what they were told is
/// stored is stored, and nothing has to be started anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_nothing_that_was_told_and_is_found_again() {
    let mut server = Postgres::start();
    let database = Database::open(&Address::new(&server.database())).expect("a valid address");
    migrate(&database, SCHEMAS).await.expect("migrated");
    let (stored, failures) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let users = Users::new(&database);
        let (stored, failures) = (stored.clone(), failures.clone());
        writers.spawn(async move {
            let mut told = Vec::new();
            for number in 0_u32.. {
                let id = format!("w{writer}-{number}");
                match users.upsert(&Upsert { vip: true, ..plain(&id).user }).await {
                    Ok(_) => {
                        told.push(id);
                        stored.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(error) => {
                        assert!(error.is_retryable(), "{error}");
                        failures.fetch_add(1, Ordering::Relaxed);
                    }
                }
                if failures.load(Ordering::Relaxed) >= 8 && told.len() > 50 {
                    break;
                }
            }
            told
        });
    }
    let beyond = async |count: &AtomicU64, than: u64| {
        while count.load(Ordering::Relaxed) <= than {
            sleep(Duration::from_millis(5)).await;
        }
    };
    for _ in 0..2 {
        beyond(&stored, stored.load(Ordering::Relaxed) + 20).await;
        server.kill();
        beyond(&failures, failures.load(Ordering::Relaxed)).await;
        server.start_again();
    }
    // Should the kills have failed too few calls, a last one does.
    while failures.load(Ordering::Relaxed) < 8 {
        server.kill();
        beyond(&failures, failures.load(Ordering::Relaxed)).await;
        server.start_again();
    }
    let users = Users::new(&database);
    for id in writers.join_all().await.concat() {
        let found = users.find(&id).await.expect("it is up");
        assert!(found.is_some_and(|user| user.user.vip), "{id} was told to be stored");
    }
}
