//! Deliveries: whose turn it is, what follows an attempt, and what is never sent.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use sampan_services::Moment;
use sampan_services::notifications::model::{Channel, Kind, Trigger};
use sampan_services::notifications::rules::provider::{Class, Provider};
use sampan_services::notifications::rules::retry::ATTEMPTS_MAX;
use sampan_services::notifications::send::{Endpoint, Outcome, Outgoing, Receipt, Sender};
use sampan_services::notifications::store::{Attempted, Lane, Line};
use sampan_services::notifications::{Dispatch, Marked, Preferences, Replay, Senders};
use sampan_services::outbox::{self, Event};
use sampan_services::store::Error;
use sampan_services::users::Upsert;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::{because, came, each, line, order, payment, phone, state, user};

#[tokio::test]
async fn each_delivery_is_one_claimers_whoever_else_asks() {
    for place in each().await {
        for n in 0..40 {
            place.store.register(&format!("u{n}"), &phone(&format!("t{n}"))).await.expect("done");
            place.send(&order(&format!("u{n}"))).await.expect("taken");
        }
        let mut claimers = JoinSet::new();
        for _ in 0..4 {
            let store = place.store.clone();
            claimers.spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..8 {
                    let claimed = store.claim(line(Lane::Normal), 5).await.expect("claimed");
                    ids.extend(claimed.into_iter().map(|one| one.outgoing.delivery_id));
                }
                ids
            });
        }
        let mut ids: Vec<String> = claimers.join_all().await.into_iter().flatten().collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 40);
        assert_eq!(place.store.due().await, Ok(vec![]));
    }
}

#[tokio::test]
async fn what_is_sent_is_told_once_with_its_attempts() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.send(&order("cat")).await.expect("taken").notification_id;
        let claimed = place.claim(Lane::Normal).await;
        let Endpoint::Fcm { token } = &claimed[0].outgoing.endpoint else { panic!("a phone") };
        assert_eq!(token, "t1");
        assert_eq!(claimed[0].outgoing.content.title, "Order o1");
        let failed = came(&claimed[0], Class::Retry, "UNAVAILABLE");
        place.store.record(&[failed]).await.expect("recorded");
        assert_eq!(place.stands(&id).await, [because("queued", "UNAVAILABLE")]);
        assert!(place.claim(Lane::Normal).await.is_empty(), "not before its pause is over");
        place.change("UPDATE deliveries SET due_at = 1").await;
        let claimed = place.claim(Lane::Normal).await;
        assert_eq!(claimed[0].attempt, 2);
        let last = claimed[0].last.expect("an attempt before");
        assert_eq!((last.class, last.attempts), (Class::Retry, 1));
        let sent = came(&claimed[0], Class::Accepted, "");
        place.store.record(std::slice::from_ref(&sent)).await.expect("recorded");
        place.store.record(&[sent]).await.expect("said again");
        let report = place.store.report(&id).await.expect("read").expect("there");
        assert_eq!(report.deliveries[0].attempts, 2);
        let classes: Vec<&str> = report.attempts.iter().map(|one| one.class.as_str()).collect();
        assert_eq!(classes, ["retry", "accepted"]);
        let told = place.events("notification:sent").await;
        assert_eq!(told.len(), 2, "its channel's topic and analytics: {told:?}");
        assert_eq!(
            (told[0].0.as_str(), &told[0].1["attempts"]),
            ("notify.delivery.push", &2.into())
        );
    }
}

#[tokio::test]
async fn after_eight_attempts_it_is_a_dead_letter_that_a_person_can_replay() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.send(&order("cat")).await.expect("taken").notification_id;
        for _ in 0..ATTEMPTS_MAX {
            let claimed = place.claim(Lane::Normal).await;
            let failed = came(&claimed[0], Class::Retry, "UNAVAILABLE");
            place.store.record(&[failed]).await.expect("recorded");
            place.change("UPDATE deliveries SET due_at = 1").await;
        }
        assert_eq!(place.stands(&id).await, [because("failed", "UNAVAILABLE")]);
        let failed = place.store.failed(10).await.expect("read");
        assert_eq!((failed.len(), failed[0].attempts), (1, ATTEMPTS_MAX));
        let delivery_id = failed[0].delivery_id.clone();
        let replay = Replay { delivery_id, ttl: None };
        place.store.replay(&replay).await.expect("replayed");
        let claimed = place.claim(Lane::Normal).await;
        assert_eq!(claimed[0].attempt, 1);
        assert!(place.store.replay(&replay).await.is_err(), "it is on its way");
        place.store.record(&[came(&claimed[0], Class::Accepted, "")]).await.expect("recorded");
        assert_eq!(place.stands(&id).await, [state("sent")]);
    }
}

#[tokio::test]
async fn a_token_that_is_gone_is_retired_unless_it_came_back_later() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        for (gone_since, is_kept) in [(Some(Moment::from_ms(1)), true), (None, false)] {
            let id = place.send(&order("cat")).await.expect("taken").notification_id;
            let claimed = place.claim(Lane::Normal).await;
            let gone = came(&claimed[0], Class::Gone, "UNREGISTERED");
            let outcome = sampan_services::notifications::send::Outcome {
                gone_since,
                ..gone.outcome.clone()
            };
            place.store.record(&[Attempted { outcome, ..gone }]).await.expect("recorded");
            assert_eq!(place.stands(&id).await, [because("bounced", "UNREGISTERED")]);
            let devices = place.store.devices("cat").await.expect("read");
            assert_eq!(devices.len(), usize::from(is_kept));
        }
        let id = place.send(&order("cat")).await.expect("taken").notification_id;
        assert_eq!(place.stands(&id).await, [because("suppressed", "no_address")]);
        place.store.register("cat", &phone("t1")).await.expect("registered again");
        assert_eq!(place.store.devices("cat").await.expect("read").len(), 1);
    }
}

#[tokio::test]
async fn a_token_belongs_to_whoever_registered_it_last() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        place.store.register("dog", &phone("t1")).await.expect("registered");
        assert!(place.store.devices("cat").await.expect("read").is_empty());
        assert_eq!(place.store.forget("cat", "t1").await, Ok(false), "it is another's");
        assert_eq!(place.store.forget("dog", "t1").await, Ok(true));
        for n in 0..25 {
            place.store.register("cat", &phone(&format!("n{n}"))).await.expect("registered");
        }
        assert_eq!(place.store.devices("cat").await.expect("read").len(), 20, "not without end");
    }
}

#[tokio::test]
async fn what_is_on_its_way_to_one_user_is_not_for_whoever_has_the_phone_next() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let [waiting, tried] = [order("cat"), payment("cat")];
        let waiting = place.send(&waiting).await.expect("taken").notification_id;
        let tried = place.send(&tried).await.expect("taken").notification_id;
        let claimed = place.claim(Lane::Urgent).await;
        let failed = came(&claimed[0], Class::Retry, "UNAVAILABLE");
        place.store.record(&[failed]).await.expect("recorded");
        place.store.register("dog", &phone("t1")).await.expect("registered");
        place.change("UPDATE deliveries SET due_at = 1").await;
        for lane in [Lane::Urgent, Lane::Normal] {
            assert!(place.claim(lane).await.is_empty(), "it would be on the phone of another");
        }
        for id in [waiting, tried] {
            assert_eq!(place.stands(&id).await, [because("suppressed", "no_address")]);
        }
        place.send(&payment("dog")).await.expect("taken");
        let claimed = place.claim(Lane::Urgent).await;
        place.store.register("dog", &phone("t1")).await.expect("heard of again");
        let failed = came(&claimed[0], Class::Retry, "UNAVAILABLE");
        place.store.record(&[failed]).await.expect("recorded");
        place.change("UPDATE deliveries SET due_at = 1 WHERE is_open = 1").await;
        assert_eq!(place.claim(Lane::Urgent).await.len(), 1, "it is the same device");
    }
}

#[tokio::test]
async fn an_address_where_nothing_arrives_gets_nothing_more() {
    for place in each().await {
        let verified = Some(Moment::from_ms(1));
        place
            .told(Upsert {
                phone: Some("+66812345678".to_owned()),
                phone_verified_at: verified,
                ..user("cat")
            })
            .await;
        let sms = Trigger { channels: Some(vec![Channel::Sms]), ..order("cat") };
        let first = place.send(&sms).await.expect("taken").notification_id;
        let second = place.send(&sms).await.expect("taken").notification_id;
        let by_sms = sampan_services::notifications::store::Line {
            lane: Lane::Normal,
            provider: sampan_services::notifications::rules::provider::Provider::Sms,
        };
        let claimed = place.store.claim(by_sms, 1).await.expect("claimed");
        assert!(claimed[0].outgoing.content.title.is_empty());
        place.store.record(&[came(&claimed[0], Class::Recipient, "21610")]).await.expect("done");
        assert_eq!(place.stands(&first).await, [because("bounced", "21610")]);
        assert!(place.store.claim(by_sms, 1).await.expect("asked").is_empty());
        assert_eq!(place.stands(&second).await, [because("suppressed", "listed")]);
        let listed = place.store.suppressed(Channel::Sms, "", 10).await.expect("read");
        assert_eq!(
            (listed[0].address.as_str(), listed[0].reason.as_deref()),
            ("+66812345678", Some("21610"))
        );
    }
}

#[tokio::test]
async fn what_was_on_its_way_when_its_process_ended_is_sent_again_but_no_offer_is() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.send(&payment("cat")).await.expect("taken").notification_id;
        let offer = Trigger {
            kind: Kind::ChatMessage,
            data: json!({ "conversation_id": "c", "sender_name": "a", "text": "b" }).into(),
            priority: Some(sampan_services::notifications::model::Priority::Low),
            ..order("cat")
        };
        let low = place.send(&offer).await.expect("taken").notification_id;
        for lane in [Lane::Urgent, Lane::Bulk] {
            assert_eq!(place.claim(lane).await.len(), 1);
            assert!(place.claim(lane).await.is_empty(), "it is another's");
        }
        place.change("UPDATE deliveries SET due_at = 1").await;
        let again = place.claim(Lane::Urgent).await;
        assert_eq!((again.len(), again[0].attempt), (1, 2));
        assert!(place.claim(Lane::Bulk).await.is_empty());
        assert_eq!(place.stands(&low).await, [because("failed", "interrupted")]);
        assert_eq!(place.stands(&id).await, [state("sending")]);
    }
}

#[tokio::test]
async fn nothing_is_sent_too_late_and_now_or_never_is_sent_now() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let now = Trigger { ttl: Some(0), ..order("cat") };
        let id = place.send(&now).await.expect("taken").notification_id;
        let claimed = place.claim(Lane::Normal).await;
        place.store.record(&[came(&claimed[0], Class::Retry, "x")]).await.expect("recorded");
        assert_eq!(place.stands(&id).await, [because("expired", "x")], "there is no second time");
        let late = place.send(&now).await.expect("taken").notification_id;
        place
            .change(
                "UPDATE deliveries SET created_at = created_at - 20000, \
                 expires_at = expires_at - 20000 WHERE is_open = 1",
            )
            .await;
        assert!(place.claim(Lane::Normal).await.is_empty());
        assert_eq!(place.stands(&late).await, [state("expired")]);
    }
}

#[tokio::test]
async fn a_push_waits_for_the_pages_and_is_spared_if_one_has_the_same() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let told = Trigger { event_id: Some("o1:2".to_owned()), ..order("cat") };
        for is_taken in [true, false] {
            let event = format!("o1:{is_taken}");
            let told = Trigger { event_id: Some(event.clone()), ..told.clone() };
            let id = place.send(&told).await.expect("taken").notification_id;
            assert!(place.claim(Lane::Normal).await.is_empty(), "pages have it first");
            if is_taken {
                place.store.mark("cat", Some(&[event]), Marked::Delivered).await.expect("marked");
            } else {
                place.store.mark("dog", Some(&[event]), Marked::Delivered).await.expect("marked");
            }
            place.change("UPDATE deliveries SET due_at = 1 WHERE is_open = 1").await;
            let claimed = place.claim(Lane::Normal).await;
            assert_eq!(claimed.len(), usize::from(!is_taken));
            let spared = because("suppressed", "live");
            let stands = if is_taken { spared } else { state("sending") };
            assert_eq!(place.stands(&id).await, [stands]);
        }
        // A page that took it after 5 s was too late: the push is on its way.
        let late = Trigger { event_id: Some("late".to_owned()), ..told };
        place.send(&late).await.expect("taken");
        place.store.mark("cat", Some(&["late".to_owned()]), Marked::Delivered).await.expect("done");
        place
            .change(
                "UPDATE deliveries SET due_at = 1, created_at = created_at - 5001 \
                 WHERE event_id = 'late'",
            )
            .await;
        assert_eq!(place.claim(Lane::Normal).await.len(), 1);
    }
}

#[tokio::test]
async fn what_nobody_can_send_at_the_moment_is_given_back_and_is_no_attempt() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        place.send(&order("cat")).await.expect("taken");
        let claimed = place.claim(Lane::Normal).await;
        place.store.give_back(&claimed, Duration::from_secs(5)).await.expect("given back");
        assert!(place.claim(Lane::Normal).await.is_empty());
        place.change("UPDATE deliveries SET due_at = 1").await;
        assert_eq!(place.claim(Lane::Normal).await[0].attempt, 1);
    }
}

#[tokio::test]
async fn what_is_taken_back_is_not_sent() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.send(&order("cat")).await.expect("taken").notification_id;
        assert_eq!(place.store.cancel("none").await, Ok(None));
        assert_eq!(place.store.cancel(&id).await, Ok(Some(())));
        assert_eq!(place.stands(&id).await, [state("cancelled")]);
        assert!(place.claim(Lane::Normal).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_told_of_a_delivery_needs_no_lock_but_its_row() {
    for place in each().await.into_iter().filter(|place| !place.database.is_sqlite()) {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let taken = place.send(&order("cat")).await.expect("taken");
        let mut work = place.database.begin().await.expect("begun");
        for topic in ["notify.delivery.push", "analytics.events"] {
            let event = Event::of(topic, "a_test", Moment::now(), &json!({})).expect("an event");
            let event = event.key(&taken.deliveries[0].delivery_id);
            outbox::add(&mut work, &event).await.expect("its lane is held");
        }
        let asked = place.store.cancel(&taken.notification_id);
        let cancelled = tokio::time::timeout(Duration::from_secs(5), asked).await;
        assert_eq!(cancelled, Ok(Ok(Some(()))));
        drop(work);
        assert_eq!(place.events("notification:cancelled").await.len(), 2);
    }
}

#[tokio::test]
async fn a_damaged_delivery_ends_and_holds_up_no_other() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let damaged = place.send(&order("cat")).await.expect("taken").notification_id;
        place.change("UPDATE deliveries SET body = '{'").await;
        let whole = place.send(&order("cat")).await.expect("taken").notification_id;
        let claimed = place.claim(Lane::Normal).await;
        assert_eq!(claimed.len(), 1);
        assert_eq!(place.stands(&damaged).await, [because("failed", "damaged")]);
        place.store.give_up(&claimed[0], &Error::Damaged("a test".to_owned())).await.expect("done");
        assert_eq!(place.stands(&whole).await, [because("failed", "damaged")]);
        let failed = place.store.failed(10).await.expect("read, whatever they hold");
        assert_eq!(failed.len(), 2);
        let told = place.events("notification:failed").await;
        assert_eq!(told.len(), 4, "both, to their channel's topic and analytics: {told:?}");
        place.change("UPDATE deliveries SET channel = 'pigeon' WHERE body = '{'").await;
        assert_eq!(place.store.failed(10).await.expect("read").len(), 1);
        assert_eq!(place.store.due().await, Ok(vec![]));
    }
}

#[tokio::test]
async fn a_damaged_device_or_choice_stops_nobody_elses_news() {
    for place in each().await {
        for user in ["cat", "dog", "owl"] {
            place.store.register(user, &phone(user)).await.expect("registered");
        }
        let device = place.send(&order("cat")).await.expect("taken").notification_id;
        place.change("UPDATE devices SET body = '{' WHERE user_id = 'cat'").await;
        let choice = place.send(&order("dog")).await.expect("taken").notification_id;
        place.store.choose("dog", &Preferences::default()).await.expect("chosen");
        place.change("UPDATE notification_preferences SET body = '{'").await;
        place.change("UPDATE deliveries SET state = 'deferred' WHERE user_id = 'dog'").await;
        place.send(&order("owl")).await.expect("taken");
        assert_eq!(place.claim(Lane::Normal).await.len(), 1);
        assert_eq!(place.stands(&device).await, [because("suppressed", "no_address")]);
        assert_eq!(place.stands(&choice).await, [because("failed", "damaged")]);
    }
}

/// Somebody who sends as soon as a test says so.
#[derive(Debug, Default)]
struct Slow {
    asked: Notify,
    may_answer: Notify,
}

impl Sender for Slow {
    fn provider(&self) -> Provider {
        Provider::Fcm
    }

    fn send<'a>(&'a self, _: &'a Outgoing, _: Moment) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            self.asked.notify_one();
            self.may_answer.notified().await;
            Outcome { message_id: Some("m1".to_owned()), ..Outcome::new(Class::Accepted, 200, "") }
        })
    }
}

#[tokio::test]
async fn who_is_told_to_stop_sees_what_is_under_way_to_its_end() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let first = place.send(&order("cat")).await.expect("taken").notification_id;
        let slow = Arc::new(Slow::default());
        let senders = Senders::default().with(slow.clone());
        let dispatch = Dispatch::new(&place.store, senders, &Arc::default());
        let (stop, stopped) = watch::channel(false);
        let running = tokio::spawn(dispatch.run(stopped));
        slow.asked.notified().await;
        stop.send_replace(true);
        slow.may_answer.notify_one();
        running.await.expect("it ends");
        assert_eq!(place.stands(&first).await, [state("sent")]);
    }
}

#[tokio::test]
async fn a_gateway_tells_later_what_has_become_of_a_message_once() {
    for place in each().await {
        let mut ids = Vec::new();
        for (user, number, message) in
            [("cat", "+66812345678", "SM1"), ("dog", "+66812345679", "SM2")]
        {
            let verified = Some(Moment::from_ms(1));
            place
                .told(Upsert {
                    phone: Some(number.to_owned()),
                    phone_verified_at: verified,
                    ..super::user(user)
                })
                .await;
            let wanted = Trigger { channels: Some(vec![Channel::Sms]), ..payment(user) };
            ids.push(place.send(&wanted).await.expect("taken").notification_id);
            let line = Line { lane: Lane::Urgent, provider: Provider::Sms };
            let claimed = place.store.claim(line, 1).await.expect("claimed");
            let mut sent = came(&claimed[0], Class::Accepted, "");
            sent.outcome.message_id = Some(message.to_owned());
            place.store.record(&[sent]).await.expect("recorded");
        }
        let receipt = |message: &str, lost: Option<(&str, Class)>| Receipt {
            message_id: message.to_owned(),
            lost: lost.map(|(code, class)| (code.to_owned(), class)),
        };
        let arrived = receipt("SM1", None);
        assert_eq!(place.store.heard(&arrived).await, Ok(true));
        assert_eq!(place.store.heard(&arrived).await, Ok(false), "it is no news");
        let lost = receipt("SM1", Some(("30005", Class::Recipient)));
        assert_eq!(place.store.heard(&lost).await, Ok(false), "what has arrived stays so");
        assert_eq!(place.stands(&ids[0]).await, [state("delivered")]);
        let lost = receipt("SM2", Some(("30005", Class::Recipient)));
        assert_eq!(place.store.heard(&lost).await, Ok(true));
        assert_eq!(place.stands(&ids[1]).await, [because("bounced", "30005")]);
        assert_eq!(place.store.heard(&receipt("SM9", None)).await, Ok(false), "nobody's");
        // The gateway was faster than whoever sent it.
        let early = receipt("SM3", Some(("30003", Class::Ours)));
        assert_eq!(place.store.heard(&early).await, Ok(false));
        let wanted = Trigger { channels: Some(vec![Channel::Sms]), ..payment("cat") };
        let id = place.send(&wanted).await.expect("taken").notification_id;
        let line = Line { lane: Lane::Urgent, provider: Provider::Sms };
        let claimed = place.store.claim(line, 1).await.expect("claimed");
        let mut sent = came(&claimed[0], Class::Accepted, "");
        sent.outcome.message_id = Some("SM3".to_owned());
        place.store.record(&[sent]).await.expect("recorded");
        assert_eq!(place.stands(&id).await, [because("failed", "30003")]);
        place.change("UPDATE early_receipts SET at = 1").await;
        assert_eq!(place.store.keep_up().await, Ok(2));
        let listed = place.store.suppressed(Channel::Sms, "", 10).await.expect("read");
        let listed: Vec<&str> = listed.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(listed, ["+66812345679"]);
        assert_eq!(place.events("notification:delivered").await.len(), 2);
        assert_eq!(place.events("notification:bounced").await.len(), 2);
    }
}
