//! Bulk jobs.

use sampan_services::notifications::model::{Channel, Kind};
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::store::Lane;
use sampan_services::notifications::{BulkItem, BulkPart, JobState};
use sampan_services::service::Problem;
use serde_json::json;

use super::{Place, came, each, phone};

fn item(n: u32) -> BulkItem {
    BulkItem {
        user_id: format!("u{n}"),
        kind: Kind::OrderStatusUpdate,
        // Every tenth lacks what its template needs.
        data: if n % 10 == 9 {
            json!({}).into()
        } else {
            json!({ "order_id": "o", "current_status": "x" }).into()
        },
        channels: Some(vec![Channel::Push]),
    }
}

fn part(from: u32, to: u32, is_last: bool) -> BulkPart {
    BulkPart { job_id: "sale".to_owned(), from, items: (from..to).map(item).collect(), is_last }
}

async fn devices(place: &Place, count: u32) {
    for n in 0..count {
        place.store.register(&format!("u{n}"), &phone(&format!("t{n}"))).await.expect("done");
    }
}

#[tokio::test]
async fn the_parts_of_a_job_come_in_order_and_each_counts_once() {
    for place in each().await {
        let add = |part| {
            let store = place.store.clone();
            async move { store.add_part("shop", &part).await.map_err(|problem| problem.code) }
        };
        assert_eq!(add(part(0, 30, false)).await.expect("taken").total, 30);
        assert_eq!(add(part(0, 30, false)).await.expect("again").total, 30);
        assert_eq!(add(part(40, 50, false)).await, Err(Problem::conflict("").code), "a gap");
        assert_eq!(add(part(20, 50, false)).await, Err(Problem::conflict("").code), "an overlap");
        let last = add(part(30, 50, true)).await.expect("taken");
        assert_eq!((last.total, last.state), (50, JobState::Running));
        assert_eq!(add(part(30, 50, true)).await.expect("again").total, 50);
        assert_eq!(add(part(50, 60, true)).await, Err(Problem::closed("").code), "it is whole");
        let other = place.store.add_part("bank", &part(50, 60, true)).await;
        assert_eq!(other.map_err(|problem| problem.code), Err(Problem::not_allowed("").code));
    }
}

#[tokio::test]
async fn every_item_becomes_one_notification_or_is_refused_whoever_goes_on() {
    for place in each().await {
        devices(&place, 250).await;
        place.store.add_part("shop", &part(0, 250, true)).await.expect("taken");
        // Two processes believe that the lease is theirs.
        let (one, two) = (place.store.clone(), place.store.clone());
        let both = tokio::join!(one.make_batches(), two.make_batches());
        drop(both);
        place.store.make_batches().await.expect("made");
        let progress = place.store.progress("sale").await.expect("read").expect("there");
        assert_eq!((progress.done, progress.failed, progress.total), (225, 25, 250));
        assert_eq!(progress.deliveries, [("queued".to_owned(), 225)].into());
        assert_eq!(progress.state, JobState::Running);
        let refused = place.store.refused("sale").await.expect("read");
        assert_eq!((refused.len(), refused[0].n), (25, 9));
        assert!(refused[0].reason.starts_with("data"), "{}", refused[0].reason);
        loop {
            let claimed = place.claim(Lane::Bulk).await;
            if claimed.is_empty() {
                break;
            }
            let sent: Vec<_> = claimed.iter().map(|one| came(one, Class::Accepted, "")).collect();
            place.store.record(&sent).await.expect("recorded");
        }
        place.store.make_batches().await.expect("made");
        let progress = place.store.progress("sale").await.expect("read").expect("there");
        assert_eq!(progress.state, JobState::Done);
        assert_eq!(progress.deliveries, [("sent".to_owned(), 225)].into());
        let told = place.events("bulk:progress").await;
        let (topic, last) = told.last().expect("told");
        assert_eq!((topic.as_str(), &last["state"]), ("notify.bulk.sale", &"done".into()));
    }
}

#[tokio::test]
async fn a_job_that_is_stopped_sends_nothing_and_goes_on_where_it_was() {
    for place in each().await {
        devices(&place, 20).await;
        place.store.add_part("shop", &part(0, 20, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        assert_eq!(place.store.claim(super::line(Lane::Bulk), 5).await.expect("claimed").len(), 5);
        let stopped = place.store.cancel_job("sale").await.expect("done").expect("there");
        assert_eq!(stopped.state, JobState::Cancelled);
        let sending = [("cancelled".to_owned(), 13), ("sending".to_owned(), 5)];
        assert_eq!(stopped.deliveries, sending.into());
        assert!(place.claim(Lane::Bulk).await.is_empty());
        let again = place.store.resume_job("sale").await.expect("done").expect("there");
        assert_eq!(again.deliveries.get("queued"), Some(&13));
        assert_eq!(place.claim(Lane::Bulk).await.len(), 13);
        assert_eq!(place.store.cancel_job("none").await, Ok(None));
    }
}

#[tokio::test]
async fn a_payment_does_not_wait_behind_a_job() {
    for place in each().await {
        devices(&place, 200).await;
        place.store.add_part("shop", &part(0, 200, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        place.send(&super::payment("u1")).await.expect("taken");
        let lanes: Vec<Lane> =
            place.store.due().await.expect("read").into_iter().map(|line| line.lane).collect();
        assert_eq!(lanes, [Lane::Urgent, Lane::Bulk]);
        assert_eq!(place.claim(Lane::Urgent).await.len(), 1);
    }
}
