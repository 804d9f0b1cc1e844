//! The sending: who is asked, who is left alone, and whose word counts.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use sampan_services::Moment;
use sampan_services::notifications::rules::provider::{Class, Provider};
use sampan_services::notifications::send::{Endpoint, Outcome, Outgoing, Sender};
use sampan_services::notifications::store::Lane;
use sampan_services::notifications::{Counters, DeviceProvider, DevicePut, Dispatch, Senders};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Place, because, came, each, order, phone, state};

const PATIENCE: Duration = Duration::from_secs(20);

type Answers = Box<dyn Fn(&Outgoing) -> Outcome + Send + Sync>;

/// Somebody who answers by a rule, and notes when it was asked.
struct Ruled {
    provider: Provider,
    answers: Answers,
    asked: Mutex<Vec<Instant>>,
}

impl Ruled {
    fn new(
        provider: Provider,
        answers: impl Fn(&Outgoing) -> Outcome + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Ruled { provider, answers: Box::new(answers), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<Instant> {
        self.asked.lock().expect("no panic").clone()
    }
}

impl Sender for Ruled {
    fn provider(&self) -> Provider {
        self.provider
    }

    fn send<'a>(&'a self, one: &'a Outgoing, _: Moment) -> BoxFuture<'a, Outcome> {
        self.asked.lock().expect("no panic").push(Instant::now());
        Box::pin(async move { (self.answers)(one) })
    }
}

fn token(one: &Outgoing) -> &str {
    match &one.endpoint {
        Endpoint::Fcm { token } | Endpoint::WebPush { url: token, .. } => token,
        _ => panic!("a phone or a browser"),
    }
}

fn accepted() -> Outcome {
    Outcome::new(Class::Accepted, 200, "")
}

/// A running dispatch, which ends with the test.
struct Running {
    counters: Arc<Counters>,
    _stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Running {
    fn of(place: &Place, senders: Senders) -> Self {
        let counters: Arc<Counters> = Arc::default();
        let dispatch = Dispatch::new(&place.store, senders, &counters);
        let (_stop, stopped) = watch::channel(false);
        Running { counters, _stop, task: tokio::spawn(dispatch.run(stopped)) }
    }

    fn count(&self, wanted: &str) -> u64 {
        let all = self.counters.all();
        all.iter().find(|(name, ..)| *name == wanted).expect("a count").2
    }
}

impl Place {
    async fn news(&self, user: &str) -> String {
        self.send(&order(user)).await.expect("taken").notification_id
    }

    /// Waits until all of these stand so. What waits for its time has it at once.
    async fn come_to(&self, ids: &[String], wanted: &(String, Option<String>)) {
        let begun = Instant::now();
        loop {
            let mut all = Vec::new();
            for id in ids {
                all.extend(self.stands(id).await);
            }
            if all.iter().all(|one| one == wanted) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{all:?}");
            self.change("UPDATE deliveries SET due_at = 1 WHERE state = 'queued'").await;
            sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn dead_push_services_of_one_user_stop_nobody_elses() {
    for place in each().await {
        let browser = |url: String| DevicePut {
            provider: DeviceProvider::WebPush,
            app: String::new(),
            p256dh: Some("k".to_owned()),
            auth: Some("a".to_owned()),
            ..phone(&url)
        };
        for n in 0..20 {
            let device = browser(format!("https://dead{n}.example/1"));
            place.store.register("mallory", &device).await.expect("registered");
        }
        place
            .store
            .register("cat", &browser("https://live.example/1".to_owned()))
            .await
            .expect("registered");
        let sender = Ruled::new(Provider::WebPush, |one| match token(one).contains("live") {
            true => accepted(),
            false => Outcome::new(Class::Retry, 0, "no_connection"),
        });
        let running = Running::of(&place, Senders::default().with(sender.clone()));
        place.news("mallory").await;
        let begun = Instant::now();
        while sender.asked().len() < 20 {
            assert!(begun.elapsed() < PATIENCE, "all are tried: {}", sender.asked().len());
            sleep(Duration::from_millis(20)).await;
        }
        let id = place.news("cat").await;
        place.come_to(&[id], &state("sent")).await;
        assert_eq!(running.count("notify_held_back"), 0);
    }
}

#[tokio::test]
async fn who_may_have_it_is_waited_for_once_and_then_another_is_asked() {
    for place in each().await {
        let first = Ruled::new(Provider::Fcm, |_| Outcome {
            is_ambiguous: true,
            ..Outcome::new(Class::Retry, 0, "no_answer")
        });
        let second = Ruled::new(Provider::Fcm, |_| accepted());
        let senders = Senders::default().with(first.clone()).with(second.clone());
        let mut ids = Vec::new();
        for n in 0..8 {
            let user = format!("u{n}");
            place.store.register(&user, &phone(&user)).await.expect("registered");
            ids.push(place.news(&user).await);
        }
        let running = Running::of(&place, senders);
        let begun = Instant::now();
        place.come_to(&ids, &state("sent")).await;
        // The first is left alone for 30 s.
        assert!(begun.elapsed() < PATIENCE);
        assert_eq!((first.asked().len(), second.asked().len()), (8, 8));
        assert!(running.count("notify_held_back") >= 8, "each has waited once");
    }
}

#[tokio::test]
async fn what_was_certainly_not_sent_goes_to_the_next_at_once() {
    for place in each().await {
        let first = Ruled::new(Provider::Fcm, |_| Outcome::new(Class::Retry, 0, "no_connection"));
        let second = Ruled::new(Provider::Fcm, |_| accepted());
        let senders = Senders::default().with(first.clone()).with(second.clone());
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.news("cat").await;
        let running = Running::of(&place, senders);
        place.come_to(&[id], &state("sent")).await;
        assert_eq!((first.asked().len(), second.asked().len()), (1, 1));
        assert_eq!(running.count("notify_held_back"), 0);
    }
}

#[tokio::test]
async fn a_provider_that_has_had_enough_is_left_alone_and_it_is_no_attempt() {
    for place in each().await {
        let is_full = Mutex::new(true);
        let sender = Ruled::new(Provider::Fcm, move |_| {
            match std::mem::take(&mut *is_full.lock().expect("no panic")) {
                true => Outcome {
                    retry_after: Some(Duration::from_secs(1)),
                    ..Outcome::new(Class::Quota, 429, "QUOTA_EXCEEDED")
                },
                false => accepted(),
            }
        });
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.news("cat").await;
        let running = Running::of(&place, Senders::default().with(sender.clone()));
        place.come_to(std::slice::from_ref(&id), &state("sent")).await;
        let asked = sender.asked();
        assert_eq!(asked.len(), 2);
        assert!(asked[1] - asked[0] >= Duration::from_millis(990), "{asked:?}");
        let report = place.store.report(&id).await.expect("read").expect("there");
        assert_eq!((report.deliveries[0].attempts, report.attempts.len()), (1, 1));
        assert_eq!((running.count("notify_quota"), running.count("notify_accepted")), (1, 1));
    }
}

#[tokio::test]
async fn a_provider_is_asked_no_faster_than_its_settings_say() {
    for place in each().await {
        let sender = Ruled::new(Provider::Fcm, |_| accepted());
        let mut ids = Vec::new();
        for n in 0..15 {
            let user = format!("u{n}");
            place.store.register(&user, &phone(&user)).await.expect("registered");
            ids.push(place.news(&user).await);
        }
        let senders = Senders::default().paced(sender.clone(), Some(600));
        let _running = Running::of(&place, senders);
        place.come_to(&ids, &state("sent")).await;
        let asked = sender.asked();
        let took = asked[14] - asked[0];
        // Ten at once, then one each 100 ms.
        assert!(took >= Duration::from_millis(400), "{took:?}");
    }
}

#[tokio::test]
async fn nobody_to_whom_every_device_is_gone_retires_one() {
    for place in each().await {
        let sender = Ruled::new(Provider::Fcm, |one| match token(one) {
            "good" => accepted(),
            _ => Outcome::new(Class::Gone, 403, "SENDER_ID_MISMATCH"),
        });
        for user in ["good", "bad"] {
            place.store.register(user, &phone(user)).await.expect("registered");
        }
        let _running = Running::of(&place, Senders::default().with(sender));
        let id = place.news("bad").await;
        place.come_to(&[id], &because("failed", "SENDER_ID_MISMATCH")).await;
        assert_eq!(place.store.devices("bad").await.expect("read").len(), 1);
        let id = place.news("good").await;
        place.come_to(&[id], &state("sent")).await;
        let id = place.news("bad").await;
        place.come_to(&[id], &because("bounced", "SENDER_ID_MISMATCH")).await;
        assert!(place.store.devices("bad").await.expect("read").is_empty());
    }
}

#[tokio::test]
async fn a_sender_that_panics_keeps_no_room() {
    for place in each().await {
        let sender = Ruled::new(Provider::Fcm, |one| match token(one) {
            "good" => accepted(),
            _ => panic!("a test"),
        });
        for n in 0..32 {
            let user = format!("u{n}");
            place.store.register(&user, &phone(&user)).await.expect("registered");
            place.news(&user).await;
        }
        place.store.register("good", &phone("good")).await.expect("registered");
        let id = place.news("good").await;
        let _running = Running::of(&place, Senders::default().with(sender));
        place.come_to(&[id], &state("sent")).await;
    }
}

#[tokio::test]
async fn what_came_above_a_quota_goes_back_as_it_was() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let id = place.news("cat").await;
        for _ in 0..10 {
            let claimed = place.claim(Lane::Normal).await;
            assert_eq!(claimed[0].attempt, 1);
            place.store.record(&[came(&claimed[0], Class::Quota, "x")]).await.expect("done");
            assert_eq!(place.stands(&id).await, [state("queued")]);
            place.change("UPDATE deliveries SET due_at = 1").await;
        }
    }
}
