//! Holds: how they are made, kept, paid and ended, one request after the other.

use sampan_services::Refusal;
use sampan_services::figures::{Days, Ledger};
use sampan_services::inventory::model::{HoldStatus, Reason};
use sampan_services::inventory::rules::allocation::Order;
use sampan_services::inventory::rules::hold::Event;
use sampan_services::inventory::store::{Change, Error, Outcome, Stock, Wanted};
use sampan_services::store::Query;

use super::{HOLD, Shop, anywhere, bangkok, item, line, wanted};

fn commit(order: &str) -> Event {
    Event::Commit(order.to_owned())
}

#[tokio::test]
async fn a_request_is_held_whole_or_not_at_all_and_lines_of_one_item_are_one() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        shop.restock("b", 5).await;
        let short = shop.reserve("u", &[line("a", 5), line("b", 3), line("b", 3)]).await;
        assert_eq!(short, Ok(Outcome::Short { key: bangkok("b"), available: 5 }), "{name}");
        assert_eq!((shop.level("a").await, shop.level("b").await), ((5, 0), (5, 0)), "{name}");
        assert!(shop.named("reservation:held").await.is_empty(), "{name}");
        let held = shop.held("u", &[line("b", 2), line("a", 5), line("b", 3)]).await;
        let lines: Vec<_> = held.lines.iter().map(|it| (it.key.clone(), it.quantity)).collect();
        assert_eq!(lines, [(bangkok("a"), 5), (bangkok("b"), 5)], "{name}");
        assert_eq!(shop.stock.reservation(&held.reservation_id).await, Ok(Some(held)), "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_customers_second_request_takes_the_place_of_the_first() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        shop.restock("b", 5).await;
        let first = shop.held("u", &[line("a", 4), line("b", 1)]).await;
        let second = shop.held("u", &[line("a", 5)]).await;
        assert_eq!((shop.level("a").await, shop.level("b").await), ((5, 5), (5, 1)), "{name}");
        let short = shop.reserve("v", &[line("a", 1)]).await;
        assert_eq!(short, Ok(Outcome::Short { key: bangkok("a"), available: 0 }), "{name}");
        let released = shop.named("reservation:released").await;
        assert_eq!(released[0]["reservation_id"], first.reservation_id, "{name}");
        assert_eq!(released[0]["lines"][0]["quantity"], 4, "{name}");
        // Half of the first is gone, so it cannot be paid; what is left of it can be given up.
        let paid = shop.stock.commit(&first.reservation_id, "o").await;
        assert!(matches!(paid, Err(Error::Refused(Refusal::Closed(_)))), "{name}: {paid:?}");
        shop.stock.step(&first.reservation_id, &Event::Release).await.expect(name);
        assert_eq!(shop.level("b").await, (5, 0), "{name}");
        let live = shop.stock.reservations("u").await.expect("read");
        assert_eq!(live, [second], "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn the_same_request_again_is_the_first_and_another_under_its_key_is_refused() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 9).await;
        let once = |customer: &str, quantity| Wanted {
            idempotency_key: Some("k".to_owned()),
            ..wanted(customer, &[line("a", quantity)])
        };
        let first = match shop.stock.reserve(&once("u", 4)).await {
            Ok(Outcome::Held(first)) => first,
            other => panic!("{name}: {other:?}"),
        };
        let again = shop.stock.reserve(&once("u", 4)).await;
        assert_eq!(again, Ok(Outcome::Known(first)), "{name}");
        assert_eq!(shop.level("a").await, (9, 4), "{name}");
        let other = shop.stock.reserve(&once("u", 5)).await;
        assert!(matches!(other, Err(Error::Refused(Refusal::Differs(_)))), "{name}: {other:?}");
        let another = shop.stock.reserve(&once("v", 5)).await;
        assert!(matches!(another, Ok(Outcome::Held(_))), "{name}: the key is a customer's own");
        let change = Change { key: bangkok("a"), by: 3, ..Change::default() };
        for _ in 0..2 {
            let more =
                shop.stock.adjust(std::slice::from_ref(&change), Reason::Restocked, Some("d"));
            let levels = more.await.expect(name);
            assert_eq!((levels[0].1.on_hand, levels[0].1.reserved), (12, 9), "{name}");
        }
        let fewer = Change { by: 4, ..change };
        let fewer = shop.stock.adjust(&[fewer], Reason::Restocked, Some("d")).await;
        assert!(matches!(fewer, Err(Error::Refused(Refusal::Differs(_)))), "{name}: {fewer:?}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_request_finds_what_others_held_too_long_before_any_sweep() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        let old = shop.held("u", &[line("a", 5)]).await;
        shop.pass(HOLD - 60).await;
        let short = shop.reserve("v", &[line("a", 1)]).await;
        assert_eq!(short, Ok(Outcome::Short { key: bangkok("a"), available: 0 }), "{name}");
        shop.pass(60).await;
        shop.held("v", &[line("a", 5)]).await;
        let old = shop.stock.reservation(&old.reservation_id).await.expect("read").expect("there");
        assert_eq!(old.status, HoldStatus::Expired, "{name}");
        assert_eq!(shop.stock.sweep().await, Ok(0), "{name}");
        assert_eq!(shop.level("a").await, (5, 5), "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_hold_is_kept_longer_once_and_while_it_is_paid() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        let id = shop.held("u", &[line("a", 2)]).await.reservation_id;
        shop.pass(600).await;
        let longer = shop.stock.step(&id, &Event::Extend).await.expect(name);
        assert_eq!(longer.status, HoldStatus::Held);
        let again = shop.stock.step(&id, &Event::Extend).await;
        assert!(matches!(again, Err(Error::Refused(Refusal::Conflict(_)))), "{name}: {again:?}");
        shop.pass(HOLD - 60).await;
        shop.stock.step(&id, &Event::PaymentStarted).await.expect("it still holds");
        shop.pass(HOLD).await;
        assert_eq!(shop.stock.sweep().await, Ok(0), "{name}: what is promised is not freed");
        assert_eq!(shop.level("a").await, (5, 2), "{name}");
        shop.held("u", &[line("a", 1)]).await;
        assert_eq!(shop.level("a").await, (5, 3), "{name}: nor is it taken for another request");
        shop.stock.commit(&id, "o").await.expect(name);
        assert_eq!(shop.level("a").await, (3, 1), "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_sale_happens_once_and_a_second_order_does_not_get_it() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        let id = shop.held("u", &[line("a", 2)]).await.reservation_id;
        let (sold, is_new) = shop.stock.commit(&id, "o1").await.expect(name);
        assert_eq!((sold.status, sold.order_id.as_deref()), (HoldStatus::Committed, Some("o1")));
        assert!(is_new, "{name}");
        assert_eq!(shop.stock.commit(&id, "o1").await, Ok((sold, false)), "{name}");
        for event in [commit("o2"), Event::Release, Event::Extend, Event::PaymentStarted] {
            let refused = shop.stock.step(&id, &event).await;
            assert!(matches!(refused, Err(Error::Refused(Refusal::Closed(_)))), "{name} {event:?}");
        }
        let other = shop.stock.commit(&id, "o2").await;
        assert!(matches!(other, Err(Error::Refused(Refusal::Closed(_)))), "{name}: {other:?}");
        assert_eq!(shop.level("a").await, (3, 0), "{name}");
        assert_eq!(shop.named("reservation:committed").await.len(), 1, "{name}");
        let unknown = shop.stock.commit("no such", "o").await;
        assert!(matches!(unknown, Err(Error::Refused(Refusal::NotFound(_)))), "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_payment_that_comes_late_buys_what_can_be_had_again_or_fails_once_for_good() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 4).await;
        let [unswept, swept, lost] = ["u", "v", "w"].map(str::to_owned);
        let unswept = shop.held(&unswept, &[line("a", 1)]).await.reservation_id;
        shop.pass(HOLD).await;
        let (late, _) = shop.stock.commit(&unswept, "o1").await.expect(name);
        assert_eq!((late.status, shop.level("a").await), (HoldStatus::Committed, (3, 0)), "{name}");
        let swept = shop.held(&swept, &[line("a", 1)]).await.reservation_id;
        shop.pass(HOLD).await;
        assert_eq!(shop.stock.sweep().await, Ok(1), "{name}");
        shop.stock.commit(&swept, "o2").await.expect(name);
        assert_eq!(shop.level("a").await, (2, 0), "{name}");
        let lost = shop.held(&lost, &[line("a", 2)]).await.reservation_id;
        shop.pass(HOLD).await;
        shop.held("x", &[line("a", 1)]).await;
        assert_eq!(shop.stock.sweep().await, Ok(0), "{name}: x has ended it");
        for _ in 0..2 {
            let failed = shop.stock.commit(&lost, "o3").await;
            assert!(
                matches!(failed, Err(Error::Refused(Refusal::Closed(_)))),
                "{name}: {failed:?}"
            );
        }
        let failed = shop.named("reservation:commit_failed").await;
        assert_eq!((failed.len(), &failed[0]["order_id"]), (1, &"o3".into()), "{name}");
        assert_eq!(shop.level("a").await, (2, 1), "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn nothing_that_makes_no_sense_changes_anything() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        let told = shop.events().await;
        for quantity in [0, -1, i64::MIN, 1_000_001] {
            let refused = shop.reserve("u", &[line("a", quantity)]).await;
            assert!(matches!(refused, Err(Error::Refused(Refusal::Field { .. }))), "{quantity}");
        }
        let refused = shop.reserve("u", &[]).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::Field { .. }))), "{name}");
        let unknown = [line("a", 1), line("no such", 1)];
        for lines in [&unknown[..], &[anywhere("no such", 1)]] {
            let refused = shop.reserve("u", lines).await;
            assert!(matches!(refused, Err(Error::Refused(Refusal::NotFound(_)))), "{refused:?}");
        }
        let elsewhere = sampan_services::inventory::rules::hold::Line {
            key: item("a").at("atlantis"),
            quantity: 1,
        };
        let refused = shop.reserve("u", &[elsewhere]).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::NotFound(_)))), "{refused:?}");
        shop.held("u", &[line("a", 3)]).await;
        let below = shop.adjust(bangkok("a"), -3).await;
        assert!(matches!(below, Err(Error::Refused(Refusal::Conflict(_)))), "{name}: {below:?}");
        for key in [item("a").at("online"), item(&"x".repeat(300)).at("bangkok")] {
            let refused = shop.adjust(key, 1).await;
            assert!(matches!(refused, Err(Error::Refused(Refusal::Field { .. }))), "{refused:?}");
        }
        let full = Wanted { held_max: Some(1), ..wanted("v", &[line("a", 1)]) };
        shop.restock("b", 5).await;
        shop.stock.reserve(&full).await.expect("there is room for one");
        let more = Wanted { held_max: Some(1), ..wanted("v", &[line("b", 1)]) };
        let more = shop.stock.reserve(&more).await;
        assert!(matches!(more, Err(Error::Refused(Refusal::Full(_)))), "{name}: {more:?}");
        assert_eq!((shop.level("a").await, shop.level("b").await), ((5, 4), (5, 0)), "{name}");
        assert!(shop.events().await.starts_with(&told), "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn who_names_no_location_is_given_what_is_anywhere_and_sold_there() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        for (location, on_hand) in [("a", 2), ("b", 4), ("c", 6), ("broken", 50)] {
            shop.adjust(item("p").at(location), on_hand).await.expect(name);
        }
        for (rank, location) in ["a", "b", "c"].into_iter().enumerate() {
            let rank = u32::try_from(rank).expect("few");
            shop.stock.set_location(location, true, rank).await.expect(name);
        }
        shop.stock.set_location("broken", false, 0).await.expect(name);
        let given = async |stock: &Stock, customer: &str, quantity| match stock
            .reserve(&wanted(customer, &[anywhere("p", quantity)]))
            .await
        {
            Ok(Outcome::Held(held)) => held
                .lines
                .into_iter()
                .map(|line| (line.key.location, line.quantity))
                .collect::<Vec<_>>(),
            other => panic!("{name}: {other:?}"),
        };
        let at = |location: &str, quantity| (location.to_owned(), quantity);
        assert_eq!(given(&shop.stock, "u", 3).await, [at("b", 3)], "{name}");
        assert_eq!(
            given(&shop.stock, "u", 7).await,
            [at("a", 2), at("b", 4), at("c", 1)],
            "{name}"
        );
        let most_first = Stock::new(&shop.database, Order::MostFirst);
        assert_eq!(given(&most_first, "u", 7).await, [at("b", 1), at("c", 6)], "{name}");
        let short = shop.reserve("v", &[anywhere("p", 6)]).await;
        let key = item("p").at("online");
        assert_eq!(short, Ok(Outcome::Short { key, available: 5 }), "{name}");
        let broken = sampan_services::inventory::rules::hold::Line {
            key: item("p").at("broken"),
            quantity: 1,
        };
        let refused = shop.reserve("v", &[broken]).await;
        assert!(matches!(refused, Err(Error::Refused(Refusal::NotFound(_)))), "{refused:?}");
        shop.check().await;
    }
}

/// A location that has promised more than it has takes nothing from the others.
#[tokio::test]
async fn stock_that_is_never_sold_takes_nothing_from_other_locations() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.adjust(item("p").at("a"), 2).await.expect(name);
        shop.adjust(item("p").at("b"), 5).await.expect(name);
        let kept = Change { key: item("p").at("a"), safety_stock: Some(12), ..Change::default() };
        shop.stock.adjust(&[kept], Reason::Adjusted, None).await.expect(name);
        let last = shop.named("inventory_update").await.pop().expect("told");
        assert_eq!(last["available_quantity"], 5, "{name}");
        let held = shop.held("u", &[anywhere("p", 5)]).await;
        assert_eq!(held.lines[0].key.location, "b", "{name}");
        shop.check().await;
    }
}

#[tokio::test]
async fn a_count_that_is_wrong_is_found_and_set_right() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 9).await;
        shop.held("u", &[line("a", 2)]).await;
        let mut work = shop.database.begin().await.expect("begun");
        work.execute(Query::new("UPDATE stock_levels SET reserved = 7")).await.expect("damaged");
        work.commit().await.expect("committed");
        assert_eq!(shop.stock.reconcile().await, Ok(1), "{name}");
        assert_eq!(shop.level("a").await, (9, 2), "{name}");
        assert_eq!(shop.stock.reconcile().await, Ok(0), "{name}");
    }
}

#[tokio::test]
async fn what_came_to_nothing_is_forgotten_after_a_month_and_sales_are_not() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 9).await;
        let lost = shop.held("u", &[line("a", 1)]).await.reservation_id;
        shop.stock.step(&lost, &Event::Release).await.expect(name);
        let sold = shop.held("v", &[line("a", 2)]).await.reservation_id;
        shop.stock.commit(&sold, "o").await.expect(name);
        let held = shop.held("w", &[line("a", 1)]).await.reservation_id;
        assert_eq!(shop.stock.prune().await, Ok(0), "{name}");
        let mut work = shop.database.begin().await.expect("begun");
        for text in [
            "UPDATE reservations SET created_at = 86400000 + 5",
            "UPDATE stock_movements SET at = 86400000 + 5",
        ] {
            work.execute(Query::new(text)).await.expect(name);
        }
        work.commit().await.expect(name);
        // A line, and of the movements those of its hold and release, and of the two other holds.
        assert_eq!(shop.stock.prune().await, Ok(5), "{name}");
        assert_eq!(shop.stock.prune().await, Ok(0), "{name}");
        assert_eq!(shop.stock.reservation(&lost).await, Ok(None), "{name}");
        for id in [&sold, &held] {
            assert!(matches!(shop.stock.reservation(id).await, Ok(Some(_))), "{name}");
        }
        assert_eq!(shop.level("a").await, (7, 1), "{name}");
        let day = Days::parse("1970-01-02", "1970-01-02").expect("a day");
        let counts = Ledger::new(&shop.database).counts(&day).await.expect(name);
        let counts = counts.values().next().expect(name);
        assert_eq!((counts.reservations, counts.sold), (3, 1), "{name}: as before");
    }
}
