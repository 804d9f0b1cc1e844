//! Orders by the client's typed module: told by the shop, followed by who may see them.

use std::time::Duration;

use sampan::auth::Role;
use sampan_client::orders::{
    Follower, ListWanted, News, Order, Orders, Source, Status, StatusTold, Upsert,
};
use sampan_client::{Code, Error};
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{Broker, PATIENCE};

fn of(id: &str, customer: &str) -> Upsert {
    Upsert { id: id.to_owned(), customer_id: customer.to_owned(), ..Upsert::default() }
}

/// Tells of an order as soon as the services answer.
async fn upsert(orders: &Orders, told: &Upsert) -> Order {
    let begun = Instant::now();
    loop {
        match orders.upsert(told).await {
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            done => return done.expect("told"),
        }
    }
}

/// What the shop says of an order at a minute.
fn at(id: &str, status: Status, minute: u32) -> StatusTold {
    StatusTold {
        id: id.to_owned(),
        status,
        event_time: Some(format!("2026-11-23T02:{minute:02}:00.000Z")),
        location: None,
        estimated_delivery: None,
        notes: Some("ถึงแล้ว".to_owned()),
    }
}

/// The versions and statuses that are told until an order has one.
async fn told_until(follower: &mut Follower, last: Status) -> Vec<(u64, Status)> {
    let (mut seen, mut stands) = (Vec::new(), follower.order().status);
    while stands != last {
        let news = timeout(PATIENCE, follower.next()).await.expect("in time").expect("not ended");
        match news {
            News::Status(update) => {
                stands = update.current_status;
                seen.push((update.version, stands));
            }
            News::Lost(gap) => panic!("lost: {gap:?}"),
            _ => {}
        }
    }
    seen
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> Option<Code> {
    answer.expect_err("refused").code()
}

#[tokio::test]
async fn who_follows_an_order_hears_every_status_after_the_one_it_began_with() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.orders();
    let order = upsert(&shop, &of("o/1", "cat")).await;
    assert_eq!((order.status, order.customer_id.as_str()), (Status::Pending, "cat"));
    assert!(shop.status(&at("o/1", Status::Confirmed, 1)).await.expect("told").changed);
    let customer = broker.client("cat", Role::Customer).await.orders();
    let mut follower = customer.follow("o/1").await.expect("followed");
    broker.metric_reaches("sampan_orders_statuses_total", 1.0).await;
    let begun = follower.order().clone();
    assert_eq!(begun.status, Status::Confirmed);
    assert_eq!(begun.status_at, "2026-11-23T02:01:00.000Z");
    let way = [Status::Packed, Status::Shipped, Status::OutForDelivery, Status::Delivered];
    for (status, minute) in way.into_iter().zip(2..) {
        let told = at("o/1", status, minute);
        assert!(shop.status(&told).await.expect("told").changed);
        assert!(!shop.status(&told).await.expect("told").changed, "the same again is nothing");
    }
    let expected: Vec<_> = (begun.version + 1..).zip(way).collect();
    assert_eq!(told_until(&mut follower, Status::Delivered).await, expected);
    let history = customer.history("o/1", None).await.expect("history");
    assert_eq!(history.len(), 5);
    assert!(history.windows(2).all(|pair| pair[0].event_time <= pair[1].event_time));
    assert_eq!(history[0].source, Source::Admin);
    assert_eq!(history[0].notes.as_deref(), Some("ถึงแล้ว"));
    assert_eq!(customer.history("o/1", Some(2)).await.expect("history").len(), 2);
    assert_eq!(customer.order("o/1").await.expect("known").status, Status::Delivered);
}

#[tokio::test]
async fn two_who_follow_an_order_while_it_moves_miss_nothing_between_its_state_and_its_news() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.orders();
    upsert(&shop, &of("o", "cat")).await;
    let customer = broker.client("cat", Role::Customer).await.orders();
    let tell = async {
        for (status, minute) in Status::ALL[1..].iter().zip(1..) {
            if !status.is_terminal() {
                shop.status(&at("o", *status, minute)).await.expect("told");
            }
        }
        shop.status(&at("o", Status::Returned, 59)).await.expect("told");
    };
    // One begins at once, the other when the order is on its way.
    let follow = async |from: Status| {
        while customer.order("o").await.expect("known").status < from {}
        let mut follower = customer.follow("o").await.expect("followed");
        let begun = follower.order().version;
        (begun, told_until(&mut follower, Status::Returned).await)
    };
    let ((), first, second) = tokio::join!(tell, follow(Status::Pending), follow(Status::Packed));
    let last = shop.order("o").await.expect("known").version;
    for (begun, seen) in [first, second] {
        let versions: Vec<_> = seen.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (begun + 1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn orders_are_there_for_their_customer_their_agent_and_the_shop_alone() {
    let (not_found, conflict) = (Some(Code(904)), Some(Code(909)));
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.orders();
    let mine = Upsert { agent_id: Some("amy".to_owned()), ..of("o1", "cat") };
    upsert(&shop, &mine).await;
    upsert(&shop, &of("o2", "dog")).await;
    let customer = broker.client("cat", Role::Customer).await.orders();
    let agent = broker.client("amy", Role::Agent).await.orders();
    let all = ListWanted::default();
    for asker in [&customer, &agent] {
        let ids: Vec<_> =
            asker.list(&all).await.expect("listed").into_iter().map(|o| o.id).collect();
        assert_eq!(ids, ["o1"]);
        assert_eq!(code(asker.order("o2").await), not_found);
        assert_eq!(code(asker.history("o2", None).await), not_found);
        assert!(asker.follow("o2").await.is_err(), "another's order is not followed");
        assert_eq!(code(asker.upsert(&mine).await), Some(Code::NOT_GRANTED));
        assert_eq!(code(asker.status(&at("o1", Status::Packed, 1)).await), Some(Code::NOT_GRANTED));
        assert_eq!(code(asker.track("o1").await), Some(Code::NOT_GRANTED));
        assert_eq!(code(asker.summary().await), Some(Code::NOT_GRANTED));
    }
    let of_dog = ListWanted { customer_id: Some("dog".to_owned()), ..ListWanted::default() };
    assert_eq!(code(customer.list(&of_dog).await), Some(Code::NOT_GRANTED));
    assert_eq!(shop.list(&of_dog).await.expect("listed").len(), 1);
    assert_eq!(shop.list(&ListWanted { limit: Some(1), ..all }).await.expect("listed").len(), 1);
    assert_eq!(code(shop.track("o1").await), conflict, "it has no carrier");
    assert_eq!(code(shop.untrack("no such").await), not_found);
    let numbered = Upsert { tracking_number: Some("TH1".to_owned()), ..mine.clone() };
    assert_eq!(code(shop.upsert(&numbered).await), Some(Code::BAD_FIELD));
    let late =
        StatusTold { event_time: Some("yesterday".to_owned()), ..at("o1", Status::Packed, 1) };
    assert_eq!(code(shop.status(&late).await), Some(Code::BAD_FIELD));
    let summary = shop.summary().await.expect("counted");
    assert_eq!(summary.by_status.get("pending"), Some(&2), "nothing has changed");
}
