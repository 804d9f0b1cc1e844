//! Many at once, and work that is cut off: no stock is sold twice, none is lost.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use sampan_services::Refusal;
use sampan_services::inventory::model::HoldStatus;
use sampan_services::inventory::rules::hold::Event;
use sampan_services::inventory::store::{Error, Outcome, Stock};
use sampan_services::store;
use sampan_tests::chance::Chance;
use sampan_tests::proof::Proof;
use tokio::task::JoinSet;

use super::{HOLD, Shop, is_full, line, pass, wanted};
use crate::sites::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixty_four_who_want_one_of_ten_ten_get_one() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 10).await;
        let mut tasks = JoinSet::new();
        for n in 0..64 {
            let stock = shop.stock.clone();
            let wanted = wanted(&format!("u{n}"), &[line("a", 1)]);
            tasks.spawn(async move { stock.reserve(&wanted).await });
        }
        let (mut held, mut short) = (0, 0);
        for outcome in tasks.join_all().await {
            match outcome.expect(name) {
                Outcome::Held(_) | Outcome::Known(_) => held += 1,
                Outcome::Short { available, .. } => {
                    assert_eq!(available, 0, "{name}");
                    short += 1;
                }
            }
        }
        assert_eq!((held, short, shop.level("a").await), (10, 54, (10, 10)), "{name}");
        assert_eq!(shop.named("out_of_stock").await.len(), 1, "{name}");
        let told = shop.named("inventory_update").await;
        assert_eq!((told.len(), &told[10]["available_quantity"]), (11, &0.into()), "{name}");
        shop.check().await;
    }
}

/// Requests for the same items in different orders wait for each other instead of failing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn carts_of_the_same_products_in_any_order_are_never_in_each_others_way_for_good() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        let products = ["a", "b", "c", "d"];
        for product in products {
            shop.restock(product, 1_000).await;
        }
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let stock = shop.stock.clone();
            tasks.spawn(async move {
                let mut chance = Chance::new(n);
                for _ in 0..12 {
                    let lines: Vec<_> =
                        (0..3).map(|_| line(chance.pick::<&str>(&products), 1)).collect();
                    let outcome = stock.reserve(&wanted(&format!("u{n}"), &lines)).await;
                    assert!(matches!(outcome, Ok(Outcome::Held(_))), "{outcome:?}");
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.expect(name);
        }
        shop.check().await;
    }
}

/// Ends a reservation as soon as its time is over, unless something else ends it first; whether it
/// was this.
async fn expire(stock: &Stock, id: &str) -> bool {
    loop {
        match stock.step(id, &Event::Expire).await {
            Ok(_) => return true,
            Err(Error::Refused(Refusal::Conflict(_))) => {}
            Err(Error::Database(store::Error::Contended(_))) => {}
            Err(Error::Refused(Refusal::Closed(_))) => return false,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn commit_against_expiry(site: Site, races: u64) {
    let proof = Proof::of("stock: expiry or commit");
    let shop = Shop::open(site).await;
    let (name, mut committed) = (shop.site.name, 0);
    shop.restock("a", i64::try_from(races).expect("few")).await;
    // As long as a commit takes, near enough: found by the outcomes.
    let mut left = 8_i64;
    for race in 0..races {
        let id = shop.held("u", &[line("a", 1)]).await.reservation_id;
        pass(&shop.database, HOLD).await;
        let mut work = shop.database.begin().await.expect("begun");
        let text = "UPDATE reservations SET expires_at = expires_at + $1 WHERE id = $2";
        let query = store::Query::new(text).bind(left).bind(&id);
        work.execute(query).await.expect("moved");
        work.commit().await.expect("committed");
        let commit = Event::Commit("o".to_owned());
        let [stock, sweeper] = [shop.stock.clone(), shop.stock.clone()];
        let commit = async { stock.step(&id, &commit).await.is_ok() };
        let (sold, expired) = tokio::join!(commit, expire(&sweeper, &id));
        assert_ne!(sold, expired, "{name} {race}: one winner");
        committed += u64::from(sold);
        left = if sold { left / 2 } else { (left * 2 + 1).min(1_000) };
        let stands = shop.stock.reservation(&id).await.expect("read").expect("there").status;
        let expected = if sold { HoldStatus::Committed } else { HoldStatus::Expired };
        assert_eq!(stands, expected, "{name} {race}");
        proof.ran(1);
    }
    let left = i64::try_from(races - committed).expect("few");
    assert_eq!(shop.level("a").await, (left, 0), "{name}");
    assert!(0 < committed && committed < races, "{name}: {committed} of {races}: no race");
    shop.check().await;
    let _ = proof.end(Ok(format!("{name}: {committed} paid")));
}

fn races() -> u64 {
    if is_full() { 10_000 } else { 60 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_commit_and_expiry_on_sqlite_one_wins() {
    commit_against_expiry(Site::sqlite(), races()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_commit_and_expiry_on_postgres_one_wins() {
    commit_against_expiry(Site::postgres(), races()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sweepers_bring_stock_back_once() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 40).await;
        for n in 0..20 {
            shop.held(&format!("u{n}"), &[line("a", 2)]).await;
        }
        shop.pass(HOLD).await;
        // A handle of its own is what another process has.
        let other = Stock::new(&shop.site.open(), Default::default());
        let (one, two) = tokio::join!(shop.stock.sweep(), other.sweep());
        shop.stock.sweep().await.expect(name);
        assert!(one.expect(name) + two.expect(name) <= 20, "{name}");
        assert_eq!(shop.level("a").await, (40, 0), "{name}");
        assert_eq!(shop.named("reservation:expired").await.len(), 20, "{name}");
        shop.check().await;
    }
}

/// Lets a future run up to its `stops`th stop and drops it there; whether it ended before.
async fn cut_off<F: Future>(future: F, stops: u32) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut stopped = 0;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if stopped == stops => Poll::Ready(None),
        Poll::Pending => {
            stopped += 1;
            Poll::Pending
        }
    })
    .await
}

/// Cuts a reservation, a sale, an expiry and a late sale off at each of their stops. There is one for
/// each statement that the database has not answered by the time it is looked at, which are most.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_cut_off_between_any_two_statements_leaks_nothing() {
    for shop in Shop::each().await {
        let (name, stock) = (shop.site.name, &shop.stock);
        shop.restock("a", 1_000).await;
        shop.restock("b", 1_000).await;
        let lines = [line("a", 2), line("b", 1)];
        let mut stops = 0;
        loop {
            let mine = format!("u{stops}");
            let made = cut_off(shop.reserve(&mine, &lines), stops).await;
            shop.check().await;
            let id = shop.held("steady", &lines).await.reservation_id;
            let commit = Event::Commit("o".to_owned());
            let sold = cut_off(stock.step(&id, &commit), stops).await;
            shop.check().await;
            let id = shop.held("slow", &lines).await.reservation_id;
            shop.pass(HOLD).await;
            let over = cut_off(stock.step(&id, &Event::Expire), stops).await;
            shop.check().await;
            let late = cut_off(stock.commit(&id, "late"), stops).await;
            shop.check().await;
            stops += 1;
            if made.is_some() && sold.is_some() && over.is_some() && late.is_some() {
                break;
            }
        }
        assert!(stops > 5, "{name}: {stops} stops cut nothing off");
        // Whatever was cut off is held whole or not at all, and what is held comes back.
        shop.pass(HOLD).await;
        stock.sweep().await.expect(name);
        let (a, b) = (shop.level("a").await, shop.level("b").await);
        assert_eq!((a.1, b.1, 1_000 - a.0), (0, 0, 2 * (1_000 - b.0)), "{name}");
        shop.check().await;
    }
}
