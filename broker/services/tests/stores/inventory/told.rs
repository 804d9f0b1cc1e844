//! What is told of stock: to those who look, to the shop, and of reservations.

use sampan_services::Refusal;
use sampan_services::inventory::model::Reason;
use sampan_services::inventory::rules::hold::Event;
use sampan_services::inventory::store::{Change, Error};
use serde_json::Value;

use super::{HOLD, Shop, bangkok, item, line, moment};

/// The quantities that viewers were told, in order.
fn quantities(events: &[Value]) -> Vec<i64> {
    events.iter().map(|event| event["available_quantity"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn viewers_are_told_what_is_available_under_rising_versions_and_each_edge_once() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        let id = shop.held("u", &[line("a", 3)]).await.reservation_id;
        // Others fail on what is left: nobody else is told.
        for customer in ["v", "w"] {
            shop.reserve(customer, &[line("a", 4)]).await.expect(name);
        }
        let rest = shop.held("v", &[line("a", 2)]).await.reservation_id;
        shop.stock.commit(&id, "o").await.expect(name);
        shop.stock.step(&rest, &Event::Release).await.expect(name);
        shop.held("w", &[line("a", 2)]).await;
        let told = shop.named("inventory_update").await;
        assert_eq!(quantities(&told), [5, 2, 0, 2, 0], "{name}");
        let versions: Vec<u64> =
            told.iter().map(|it| it["version"].as_u64().expect("one")).collect();
        assert!(versions.is_sorted_by(|a, b| a < b), "{name}: {versions:?}");
        assert_eq!(told[2]["is_in_stock"], false, "{name}");
        let edges: Vec<String> = shop
            .events()
            .await
            .into_iter()
            .map(|(event, ..)| event)
            .filter(|event| event.ends_with("_stock"))
            .collect();
        assert_eq!(edges, ["out_of_stock", "back_in_stock", "out_of_stock"], "{name}");
    }
}

#[tokio::test]
async fn the_shop_is_told_of_each_change_with_its_reason_and_both_quantities() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 50).await;
        let id = shop.held("u", &[line("a", 3)]).await.reservation_id;
        shop.stock.commit(&id, "o").await.expect(name);
        shop.held("u", &[line("a", 2)]).await;
        shop.pass(HOLD).await;
        shop.stock.sweep().await.expect(name);
        let told: Vec<_> = shop.named("inventory_alert").await;
        let seen: Vec<_> = told
            .iter()
            .map(|it| {
                (
                    &it["reason"],
                    &it["change_type"],
                    &it["previous_quantity"],
                    &it["current_quantity"],
                )
            })
            .map(|(a, b, c, d)| format!("{a} {b} {c} {d}").replace('"', ""))
            .collect();
        let expected = [
            "adjusted adjustment 0 50",
            "reserved reservation 50 47",
            "committed sale 47 47",
            "reserved reservation 47 45",
            "expired reservation 45 47",
        ];
        assert_eq!(seen, expected, "{name}");
        assert!(moment(&told[0]["timestamp"]).as_ms() > 1_700_000_000_000, "{name}");
    }
}

#[tokio::test]
async fn low_stock_is_told_by_the_most_exact_threshold_once_until_it_has_recovered() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.stock.set_threshold(&item("").at(""), Some(2)).await.expect(name);
        shop.stock.set_threshold(&item("a").at(""), Some(20)).await.expect(name);
        shop.stock.set_threshold(&bangkok("b"), Some(30)).await.expect(name);
        for product in ["a", "b", "c"] {
            shop.restock(product, 40).await;
            for _ in 0..38 {
                shop.adjust(bangkok(product), -1).await.expect(name);
            }
        }
        let told = shop.named("low_stock_alert").await;
        let seen: Vec<_> = told
            .iter()
            .map(|it| format!("{} {} {}", it["product_id"], it["level"], it["current_quantity"]))
            .map(|text| text.replace('"', ""))
            .collect();
        assert_eq!(seen, ["a product 20", "b location 30", "c global 2"], "{name}");
        // It recovers within the cool-down, is low again, and is told when that is over.
        shop.adjust(bangkok("a"), 38).await.expect(name);
        shop.adjust(bangkok("a"), -30).await.expect(name);
        assert_eq!(shop.named("low_stock_alert").await.len(), 3, "{name}");
        shop.pass(3_600).await;
        shop.adjust(bangkok("a"), -1).await.expect(name);
        assert_eq!(shop.named("low_stock_alert").await.len(), 4, "{name}");
        shop.stock.set_threshold(&item("a").at(""), None).await.expect(name);
    }
}

#[tokio::test]
async fn what_happens_to_a_reservation_is_told_in_order_under_its_id() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        shop.restock("a", 5).await;
        let id = shop.held("u", &[line("a", 3)]).await.reservation_id;
        let commit = Event::Commit("o".to_owned());
        for event in [
            Event::Extend,
            Event::PaymentStarted,
            Event::PaymentStarted,
            Event::PaymentFailed,
            commit,
        ] {
            shop.stock.step(&id, &event).await.expect(name);
        }
        let told: Vec<_> = shop
            .events()
            .await
            .into_iter()
            .filter(|(event, ..)| event.starts_with("reservation:"))
            .map(|(event, key, payload)| {
                assert_eq!((&key, &payload["reservation_id"]), (&id, &id.clone().into()), "{name}");
                event.replace("reservation:", "")
            })
            .collect();
        let expected = ["held", "extended", "payment_pending", "payment_failed", "committed"];
        assert_eq!(told, expected, "{name}");
    }
}

#[tokio::test]
async fn a_location_that_is_sold_from_no_longer_is_told_to_the_viewers_of_all_it_has() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        for product in ["a", "b"] {
            let change = |location: &str, by| Change {
                key: item(product).at(location),
                by,
                ..Change::default()
            };
            let changes = [change("one", 2), change("two", 3)];
            shop.stock.adjust(&changes, Reason::Restocked, None).await.expect(name);
        }
        for (location, rank) in [("two", 1), ("one", 0)] {
            shop.stock.set_location(location, false, rank).await.expect(name);
            shop.stock.refresh().await.expect(name);
        }
        assert_eq!(quantities(&shop.named("inventory_update").await), [5, 5, 2, 2, 0, 0], "{name}");
        assert_eq!(shop.named("out_of_stock").await.len(), 2, "{name}");
    }
}

#[tokio::test]
async fn viewers_are_told_anew_what_has_not_changed_if_the_shop_wants_it() {
    for shop in Shop::each().await {
        let name = shop.site.name;
        for product in ["a", "b"] {
            shop.restock(product, 2).await;
        }
        let told = async || shop.named("inventory_update").await;
        let before = told().await;
        shop.stock.refresh().await.expect(name);
        assert_eq!(told().await.len(), 2, "{name}: nothing is to be told");
        let unknown = shop.stock.tell(Some("c")).await;
        assert!(matches!(unknown, Err(Error::Refused(Refusal::NotFound(_)))), "{name}");
        shop.stock.tell(Some("b")).await.expect(name);
        shop.stock.refresh().await.expect(name);
        let again = told().await;
        let [_, of_b, new] = &again[..] else { panic!("{name}: {again:?}") };
        assert_eq!(new["available_quantity"], 2, "{name}");
        assert!(new["version"].as_u64() > of_b["version"].as_u64(), "{name}: it counts");
        shop.stock.tell(None).await.expect(name);
        shop.stock.refresh().await.expect(name);
        assert_eq!(told().await.len(), before.len() + 3, "{name}");
        assert!(shop.named("back_in_stock").await.is_empty(), "{name}");
    }
}
