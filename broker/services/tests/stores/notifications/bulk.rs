//! Bulk jobs.

use std::time::Duration;

use sampan_services::notifications::model::{Channel, Kind};
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::store::Lane;
use sampan_services::notifications::{BulkItem, BulkPart, JobState, Preferences};
use sampan_services::service::Problem;
use sampan_services::store::{self, Query};
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
        place.sent().await;
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
        let stopped = place.store.cancel_job("sale").await.expect("stopped");
        assert_eq!(stopped.state, JobState::Cancelled);
        let sending = [("cancelled".to_owned(), 13), ("sending".to_owned(), 5)];
        assert_eq!(stopped.deliveries, sending.into());
        assert!(place.claim(Lane::Bulk).await.is_empty());
        let told = place.events("notification:cancelled").await;
        assert_eq!(told.len(), 2 * 13, "its channel's topic and analytics");
        assert!(told.iter().all(|(_, one)| one["job"] == "sale" && one["reason"] == "job"));
        let again = place.store.resume_job("sale").await.expect("resumed");
        assert_eq!(again.deliveries.get("deferred"), Some(&13), "they are asked about anew");
        assert_eq!(place.claim(Lane::Bulk).await.len(), 13);
        let none = place.store.cancel_job("none").await.map_err(|problem| problem.code);
        assert_eq!(none, Err(Problem::not_found("").code));
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

#[tokio::test]
async fn a_job_that_goes_on_sends_nothing_that_was_refused_meanwhile() {
    for place in each().await {
        devices(&place, 9).await;
        place.store.add_part("shop", &part(0, 9, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        let report = place.of("u0").await;
        place.store.cancel(&report).await.expect("done").expect("there");
        place.store.cancel_job("sale").await.expect("stopped");
        let never =
            Preferences { channels: [(Channel::Push, false)].into(), ..Preferences::default() };
        place.store.choose("u1", &never).await.expect("chosen");
        place.store.resume_job("sale").await.expect("resumed");
        assert_eq!(place.claim(Lane::Bulk).await.len(), 7);
        assert_eq!(place.stands(&report).await, [super::state("cancelled")], "by itself");
        let refused = place.of("u1").await;
        assert_eq!(place.stands(&refused).await, [super::because("suppressed", "preference")]);
    }
}

#[tokio::test]
async fn a_job_that_is_done_is_not_stopped_and_one_that_is_not_whole_does_not_run() {
    for place in each().await {
        devices(&place, 9).await;
        place.store.add_part("shop", &part(0, 5, false)).await.expect("taken");
        place.store.cancel_job("sale").await.expect("stopped");
        let more = place.store.add_part("shop", &part(5, 9, true)).await;
        assert_eq!(more.map_err(|problem| problem.code), Err(Problem::closed("").code));
        let again = place.store.resume_job("sale").await.expect("resumed");
        assert_eq!(again.state, JobState::Open);
        place.store.make_batches().await.expect("made");
        assert_eq!(place.store.due().await, Ok(vec![]), "its last part is not there");
        place.store.add_part("shop", &part(5, 9, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        place.sent().await;
        place.store.make_batches().await.expect("made");
        let late = place.store.cancel_job("sale").await.map_err(|problem| problem.code);
        assert_eq!(late, Err(Problem::conflict("").code));
    }
}

#[tokio::test]
async fn what_was_left_of_a_job_that_was_stopped_ends_with_the_next_look() {
    for place in each().await {
        devices(&place, 2).await;
        place.store.add_part("shop", &part(0, 2, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        let claimed = place.claim(Lane::Bulk).await;
        place.store.cancel_job("sale").await.expect("stopped");
        let failed: Vec<_> = claimed.iter().map(|one| came(one, Class::Retry, "x")).collect();
        place.store.record(&failed).await.expect("recorded");
        place.store.make_batches().await.expect("looked");
        let progress = place.store.progress("sale").await.expect("read").expect("there");
        assert_eq!(progress.deliveries, [("cancelled".to_owned(), 2)].into());
    }
}

#[tokio::test]
async fn those_who_sleep_keep_nobody_else_of_a_job_from_theirs() {
    for place in each().await {
        devices(&place, 1).await;
        place.store.add_part("shop", &part(0, 1, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        let copies = store::each(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
             INSERT INTO deliveries (id, notification_id, user_id, channel, endpoint, provider, \
             lane, state, is_open, attempts, due_at, created_at, expires_at, job, updated_at, body) \
             SELECT 'c' || i, notification_id, user_id, channel, 'e' || i, provider, lane, \
             'deferred', 1, 0, created_at + 9000000, created_at, expires_at, job, updated_at, body \
             FROM deliveries, n",
            "INSERT INTO deliveries (id, notification_id, user_id, channel, endpoint, provider, \
             lane, state, is_open, attempts, due_at, created_at, expires_at, job, updated_at, body) \
             SELECT 'c' || i, notification_id, user_id, channel, 'e' || i, provider, lane, \
             'deferred', 1, 0, created_at + 9000000, created_at, expires_at, job, updated_at, body \
             FROM deliveries, generate_series(1, 6000) AS i",
        );
        let mut work = place.database.begin().await.expect("begun");
        work.execute(Query::new(copies)).await.expect("copied");
        work.commit().await.expect("committed");
        place.change("UPDATE bulk_jobs SET state = 'open', is_whole = 0").await;
        place.store.add_part("shop", &part(1, 9, true)).await.expect("taken");
        place.store.make_batches().await.expect("made");
        let progress = place.store.progress("sale").await.expect("read").expect("there");
        assert_eq!((progress.done, progress.state), (9, JobState::Running));
        place.change("UPDATE deliveries SET state = 'queued' WHERE state = 'deferred'").await;
        place.change("UPDATE bulk_jobs SET state = 'open', is_whole = 0").await;
        place.store.add_part("shop", &part(9, 12, true)).await.expect("taken");
        place.store.make_batches().await.expect("looked");
        let progress = place.store.progress("sale").await.expect("read").expect("there");
        assert_eq!(progress.done, 9, "those who wait for a sender do");
    }
}

#[tokio::test]
async fn how_far_a_job_is_is_told_when_it_is_news_and_asked_while_others_write() {
    for place in each().await {
        devices(&place, 3).await;
        place.store.add_part("shop", &part(0, 3, true)).await.expect("taken");
        for _ in 0..3 {
            place.store.make_batches().await.expect("made");
        }
        assert_eq!(place.events("bulk:progress").await.len(), 1);
        let writing = place.database.begin().await.expect("begun");
        let asked = tokio::time::timeout(Duration::from_secs(2), place.store.progress("sale"));
        let progress = asked.await.expect("at once").expect("read").expect("there");
        assert_eq!(progress.done, 3);
        drop(writing);
        place.sent().await;
        for _ in 0..3 {
            place.store.make_batches().await.expect("made");
        }
        let told = place.events("bulk:progress").await;
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(told[1].1["state"], "done");
    }
}

#[tokio::test]
async fn a_damaged_item_is_refused_and_holds_up_neither_its_job_nor_another() {
    for place in each().await {
        devices(&place, 9).await;
        place.store.add_part("shop", &part(0, 5, true)).await.expect("taken");
        let later = BulkPart { job_id: "later".to_owned(), ..part(5, 9, true) };
        let later = BulkPart { from: 0, ..later };
        place.store.add_part("shop", &later).await.expect("taken");
        place.change("UPDATE bulk_items SET body = '{' WHERE job = 'sale' AND n = 1").await;
        let never = Preferences::default();
        place.store.choose("u3", &never).await.expect("chosen");
        place.change("UPDATE notification_preferences SET body = '{'").await;
        place.store.make_batches().await.expect("made");
        let progress = place.store.progress("sale").await.expect("read").expect("there");
        assert_eq!((progress.done, progress.failed), (3, 2));
        let refused = place.store.refused("sale").await.expect("read");
        let refused: Vec<(u64, &str)> =
            refused.iter().map(|one| (one.n, one.reason.as_str())).collect();
        assert_eq!(refused, [(1, "damaged"), (3, "damaged")]);
        let progress = place.store.progress("later").await.expect("read").expect("there");
        assert_eq!(progress.done, 4);
    }
}

impl Place {
    /// The newest notification of a user.
    async fn of(&self, user: &str) -> String {
        let query =
            Query::new("SELECT id FROM notifications WHERE user_id = $1 ORDER BY id DESC LIMIT 1");
        let row = self.database.one(query.bind(user)).await.expect("read").expect("one");
        row.get("id").expect("text")
    }

    /// Has all that is queued of a job sent.
    async fn sent(&self) {
        loop {
            let claimed = self.claim(Lane::Bulk).await;
            if claimed.is_empty() {
                break;
            }
            let sent: Vec<_> = claimed.iter().map(|one| came(one, Class::Accepted, "")).collect();
            self.store.record(&sent).await.expect("recorded");
        }
    }
}
