//! Notifications by the client's typed module: an inbox that outlives brokers, what
//! users choose, jobs, and who may do what.

use std::future::Future;
use std::time::Duration;

use sampan::auth::Role;
use sampan_client::notifications::{
    BulkItem, BulkPart, Channel, DeviceGone, DeviceProvider, DevicePut, InboxWanted, Item,
    JobFollower, JobState, Kind, Marked, News, Notifications, Preferences, PreviewWanted, Progress,
    QuietHours, Report, State, Suppress, SuppressionsWanted, TemplatePut, Trigger, Updated,
    Watcher,
};
use sampan_client::{Code, Error};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::harness::{Broker, PATIENCE};

const NOT_FOUND: Option<Code> = Some(Code(904));

/// Asks as soon as the services answer.
async fn in_time<T, F: Future<Output = Result<T, Error>>>(ask: impl Fn() -> F) -> T {
    let begun = Instant::now();
    loop {
        match ask().await {
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            done => return done.expect("answered"),
        }
    }
}

/// News of an order for the cat's inbox, which takes effect once.
fn told(order: &str) -> Trigger {
    let data = json!({ "order_id": order, "current_status": "shipped" });
    Trigger {
        channels: Some(vec![Channel::Websocket]),
        idempotency_key: Some(order.to_owned()),
        ..Trigger::new("cat", Kind::OrderStatusUpdate, data)
    }
}

async fn send(shop: &Notifications, trigger: &Trigger) -> String {
    in_time(|| shop.send(trigger)).await.notification_id
}

async fn next(watcher: &mut Watcher) -> News {
    timeout(PATIENCE, watcher.next()).await.expect("in time").expect("open")
}

async fn new(watcher: &mut Watcher) -> Item {
    match next(watcher).await {
        News::New(item) => item,
        other => panic!("{other:?}"),
    }
}

async fn report(shop: &Notifications, id: &str, wanted: impl Fn(&Report) -> bool) -> Report {
    let begun = Instant::now();
    loop {
        let report = shop.report(id).await.expect("known");
        if wanted(&report) {
            return report;
        }
        assert!(begun.elapsed() < PATIENCE, "{report:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> Option<Code> {
    answer.expect_err("refused").code()
}

#[tokio::test]
async fn an_inbox_is_seen_from_its_state_on_and_each_once_though_the_broker_dies() {
    let mut broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.notifications();
    let cat = broker.client("cat", Role::Customer).await.notifications();
    let first = send(&shop, &told("o1")).await;
    assert_eq!(send(&shop, &told("o1")).await, first, "the same again is the same");
    let mut watcher = cat.watch("cat").await.expect("seen");
    assert_eq!((watcher.inbox().items.len(), watcher.inbox().unread), (1, 1));
    assert_eq!(watcher.inbox().items[0].notification_id, first);
    let second = send(&shop, &told("o2")).await;
    let item = new(&mut watcher).await;
    assert_eq!((&item.notification_id, item.kind), (&second, Kind::OrderStatusUpdate));
    assert_eq!(item.data.get::<String>("order_id").as_deref(), Some("o2"));
    let marked = cat.mark(&[&first, "no such"], Marked::Read).await.expect("marked");
    let expected = Updated { notification_ids: vec![first.clone()], mark: Marked::Read, unread: 1 };
    assert_eq!(marked, expected);
    assert_eq!(next(&mut watcher).await, News::Updated(expected));
    broker = broker.crash_and_restart();
    let third = send(&shop, &told("o3")).await;
    assert_eq!(new(&mut watcher).await.notification_id, third);
    let inbox = cat.inbox(&InboxWanted::default()).await.expect("read");
    let ids: Vec<_> = inbox.items.iter().map(|item| item.notification_id.as_str()).collect();
    assert_eq!(ids, [&third, &second, &first]);
    assert_eq!((inbox.unread, inbox.items[2].read_at.is_some()), (2, true));
    assert_eq!(cat.mark_all(Marked::Read).await.expect("marked").unread, 0);
    let older = InboxWanted { before: Some(third), limit: Some(1), ..InboxWanted::default() };
    let older = cat.inbox(&older).await.expect("read").items;
    assert_eq!(older.iter().map(|item| &item.notification_id).collect::<Vec<_>>(), [&second]);
    drop(broker);
}

#[tokio::test]
async fn what_is_handed_out_of_an_inbox_gets_no_push() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.notifications();
    let cat = broker.client("cat", Role::Customer).await.notifications();
    let device = DevicePut {
        user_id: None,
        provider: DeviceProvider::Firebase,
        app: "shop".to_owned(),
        token: "t1".to_owned(),
        p256dh: None,
        auth: None,
    };
    let device = in_time(|| cat.put_device(&device)).await;
    assert_eq!(cat.devices(None).await.expect("read"), std::slice::from_ref(&device));
    let mut watcher = cat.watch("cat").await.expect("seen");
    let both = Some(Channel::DEFAULT.to_vec());
    let shown = shop.send(&Trigger { channels: both.clone(), ..told("o1") }).await.expect("taken");
    let waits = |state| shown.deliveries.iter().filter(|one| one.state == state).count();
    assert_eq!((waits(State::Queued), waits(State::Sent)), (1, 1), "the page goes first");
    assert_eq!(new(&mut watcher).await.notification_id, shown.notification_id);
    let is_over = |report: &Report| report.deliveries.iter().all(|one| one.state.is_over());
    let ends = async |id: &str| {
        let deliveries = report(&shop, id, is_over).await.deliveries;
        let push = deliveries.into_iter().find(|one| one.channel == Channel::Push);
        push.map(|one| (one.state, one.reason.unwrap_or_default())).expect("one to the device")
    };
    let spared = (State::Suppressed, "live".to_owned());
    assert_eq!(ends(&shown.notification_id).await, spared);
    // Nobody looks: the push is due, of a shop that has nobody to send it.
    drop(watcher);
    let unseen = shop.send(&Trigger { channels: both, ..told("o2") }).await.expect("taken");
    let failed = (State::Failed, "not_configured".to_owned());
    assert_eq!(ends(&unseen.notification_id).await, failed);
    let failed = shop.failed(None).await.expect("read");
    let [failed] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!((&failed.notification_id, failed.state), (&unseen.notification_id, State::Failed));
    let again = shop.replay(&failed.delivery_id, Some(600)).await.expect("tried");
    assert_eq!((again.delivery_id.as_str(), again.channel), (&*failed.delivery_id, Channel::Push));
    let gone = DeviceGone { device_id: Some(device.device_id), ..DeviceGone::default() };
    cat.remove_device(&gone).await.expect("forgotten");
    assert_eq!(code(cat.remove_device(&gone).await), NOT_FOUND);
    assert_eq!(cat.devices(None).await.expect("read"), []);
}

#[tokio::test]
async fn a_user_gets_what_it_has_chosen_in_the_shops_own_words() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.notifications();
    let cat = broker.client("cat", Role::Customer).await.notifications();
    let nothing = in_time(|| cat.preferences(None)).await;
    let nobody = Preferences { user_id: Some("cat".to_owned()), ..Preferences::default() };
    assert_eq!(nothing, nobody);
    let words = TemplatePut {
        kind: Kind::PromotionAlert,
        channel: Channel::Websocket,
        locale: "default".to_owned(),
        title_template: "{{ title }}!".to_owned(),
        body_template: "วันนี้ {{ off }} %".to_owned(),
        action_url: None,
        icon_url: None,
        badge_count: None,
        sound: None,
        priority: Default::default(),
        ttl: 600,
    };
    let words = [words.clone(), TemplatePut { locale: "en".to_owned(), ..words }];
    for words in &words {
        let stored = shop.put_template(words).await.expect("stored");
        let templates = shop.templates().await.expect("read");
        assert_eq!(templates.iter().find(|one| one.id == stored.id), Some(&stored));
    }
    let data = json!({ "title": "Sale", "off": 20 });
    let preview = PreviewWanted {
        kind: Kind::PromotionAlert,
        channel: Channel::Websocket,
        locale: "th".to_owned(),
        data: data.clone().into(),
    };
    assert_eq!(shop.preview(&preview).await.expect("filled in").body, "วันนี้ 20 %");
    let offer = Trigger {
        channels: Some(vec![Channel::Websocket]),
        ..Trigger::new("cat", Kind::PromotionAlert, data)
    };
    let state = async || shop.send(&offer).await.expect("taken").deliveries.remove(0);
    let unasked = state().await;
    assert_eq!((unasked.state, unasked.reason.as_deref()), (State::Suppressed, Some("preference")));
    let mut chosen = Preferences::default();
    chosen.types.entry(Kind::PromotionAlert).or_default().insert(Channel::Websocket, true);
    let night = QuietHours {
        tz: Some("Asia/Bangkok".to_owned()),
        from: 22 * 60,
        to: 7 * 60,
        days: [true; 7],
    };
    chosen.quiet_hours = Some(night);
    let stands = cat.choose(&chosen).await.expect("chosen");
    assert_eq!(stands, Preferences { user_id: nobody.user_id, ..chosen });
    assert_eq!(shop.preferences(Some("cat")).await.expect("read"), stands);
    let mut watcher = cat.watch("cat").await.expect("seen");
    assert_eq!(state().await.state, State::Sent);
    let item = new(&mut watcher).await;
    assert_eq!((item.title.as_str(), item.body.as_str()), ("Sale!", "วันนี้ 20 %"));
    // An event asks for it as well, and nobody waits until it is taken.
    shop.trigger(&Trigger { idempotency_key: Some("k".to_owned()), ..offer }).await.expect("kept");
    assert_eq!(new(&mut watcher).await.title, "Sale!");
    let listed = Suppress {
        channel: Channel::Email,
        address: "cat@example.com".to_owned(),
        reason: Some("asked".to_owned()),
    };
    shop.suppress(&listed).await.expect("listed");
    let wanted = SuppressionsWanted { channel: Channel::Email, after: None, limit: None };
    assert_eq!(shop.suppressions(&wanted).await.expect("read"), [listed]);
    shop.unsuppress(Channel::Email, "cat@example.com").await.expect("gone");
    assert_eq!(code(shop.unsuppress(Channel::Email, "cat@example.com").await), NOT_FOUND);
    let key = cat.webpush_key().await.expect("told");
    assert_eq!(key, shop.webpush_key().await.expect("the same"));
    assert_eq!(key.len(), 87, "65 bytes, base64url");
}

fn part(job: &str, from: u32, users: &[&str], is_last: bool) -> BulkPart {
    let item = |user: &&str| BulkItem {
        user_id: (*user).to_owned(),
        kind: Kind::OrderStatusUpdate,
        // What is for nobody in particular lacks the order that it is about.
        data: match *user {
            "nobody" => json!({}).into(),
            user => json!({ "order_id": user, "current_status": "shipped" }).into(),
        },
        channels: Some(vec![Channel::Websocket]),
    };
    BulkPart { job_id: job.to_owned(), from, items: users.iter().map(item).collect(), is_last }
}

/// Follows a job until it stands so.
async fn until(job: &mut JobFollower, state: JobState) -> Progress {
    loop {
        let told = timeout(PATIENCE, job.next()).await.expect("in time").expect("open");
        if told.state == state {
            return told;
        }
    }
}

#[tokio::test]
async fn a_job_is_followed_to_its_end_over_a_stop_and_a_broker_that_dies() {
    let mut broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.notifications();
    let first = part("s/1", 0, &["cat", "nobody"], false);
    let begun = in_time(|| shop.put_part(&first)).await;
    assert_eq!((begun.state, begun.total), (JobState::Open, 2));
    assert_eq!(shop.put_part(&first).await, Ok(begun));
    assert_eq!(code(shop.put_part(&part("s/1", 3, &["ox"], true)).await), Some(Code(909)));
    let mut job = shop.follow_job("s/1").await.expect("followed");
    assert_eq!(until(&mut job, JobState::Open).await.total, 2);
    shop.cancel_job("s/1").await.expect("stopped");
    until(&mut job, JobState::Cancelled).await;
    broker = broker.crash_and_restart();
    assert_eq!(in_time(|| shop.resume_job("s/1")).await.state, JobState::Open, "it is not whole");
    let last = part("s/1", 2, &[], true);
    assert_eq!(in_time(|| shop.put_part(&last)).await.total, 2);
    let done = until(&mut job, JobState::Done).await;
    assert_eq!((done.total, done.done, done.failed), (2, 1, 1));
    assert_eq!(done.deliveries.get("sent"), Some(&1));
    assert_eq!(job.next().await, None, "that was its end");
    assert_eq!(shop.progress("s/1").await, Ok(done));
    let refused = shop.refused("s/1").await.expect("read");
    assert_eq!(refused.iter().map(|item| item.n).collect::<Vec<_>>(), [1]);
    let whole = shop.put_part(&part("s/1", 2, &["ox"], true)).await;
    assert_eq!(code(whole), Some(Code(911)));
    let cat = broker.client("cat", Role::Customer).await.notifications();
    assert_eq!(cat.inbox(&InboxWanted::default()).await.expect("read").unread, 1);
    // Who comes when all is over hears just that.
    let mut late = shop.follow_job("s/1").await.expect("followed");
    assert_eq!(late.next().await.map(|told| told.state), Some(JobState::Done));
    assert_eq!(late.next().await, None);
}

#[tokio::test]
async fn what_may_not_be_is_refused_with_its_code() {
    let broker = Broker::start();
    let shop = broker.client("shop", Role::Service).await.notifications();
    let id = send(&shop, &told("o1")).await;
    let other = Trigger {
        data: json!({ "order_id": "o2", "current_status": "shipped" }).into(),
        ..told("o1")
    };
    assert_eq!(code(shop.send(&other).await), Some(Code(910)));
    let bare = Trigger::new("cat", Kind::OrderStatusUpdate, json!({}));
    assert_eq!(code(shop.send(&bare).await), Some(Code::BAD_FIELD));
    for answer in [shop.report("no such").await, shop.cancel("no such").await] {
        assert_eq!(code(answer), NOT_FOUND);
    }
    assert_eq!(code(shop.replay("no such", None).await), NOT_FOUND);
    for answer in [shop.progress("j").await, shop.cancel_job("j").await, shop.resume_job("j").await]
    {
        assert_eq!(code(answer), NOT_FOUND);
    }
    assert_eq!(code(shop.follow_job("j").await.map(drop)), NOT_FOUND);
    let cat = broker.client("cat", Role::Customer).await.notifications();
    let dog = broker.client("dog", Role::Customer).await.notifications();
    let of_cat = InboxWanted { user_id: Some("cat".to_owned()), ..InboxWanted::default() };
    assert_eq!(cat.report(&id).await.expect("its own").user_id, "cat");
    assert_eq!(code(dog.report(&id).await), NOT_FOUND);
    let denied = Some(Code::NOT_GRANTED);
    assert_eq!(code(dog.inbox(&of_cat).await), denied);
    assert_eq!(shop.inbox(&of_cat).await.expect("the shop's").unread, 1);
    assert_eq!(code(dog.preferences(Some("cat")).await), denied);
    assert_eq!(code(dog.devices(Some("cat")).await), denied);
    assert!(dog.watch("cat").await.is_err(), "another's inbox is not seen");
    assert_eq!(code(dog.mark(&[], Marked::Read).await), Some(Code::BAD_FIELD));
    assert_eq!(code(dog.send(&told("o3")).await), denied);
    assert_eq!(code(dog.trigger(&told("o3")).await), denied);
    assert_eq!(code(dog.cancel(&id).await), denied);
    assert_eq!(code(dog.failed(None).await), denied);
    assert_eq!(code(dog.templates().await), denied);
    assert_eq!(code(dog.put_part(&part("j", 0, &["dog"], true)).await), denied);
    assert_eq!(code(dog.progress("j").await), denied);
    assert_eq!(code(dog.follow_job("j").await.map(drop)), denied);
}
