//! What is taken, and what is refused.

use sampan_client::Code;
use sampan_services::notifications::model::{Channel, Kind, Trigger};
use sampan_services::notifications::store::{Lane, Sent};
use sampan_services::notifications::{Preferences, QuietHours, Suppress, TemplatePut};
use sampan_services::users::Upsert;
use sampan_services::{Moment, service::Problem};
use serde_json::json;

use super::{SHOP, because, each, order, payment, phone, state, user};

const DIFFERS: Code = Code(910);

#[tokio::test]
async fn the_same_key_and_content_is_the_same_notification_and_another_content_is_refused() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let keyed = Trigger { idempotency_key: Some("k".to_owned()), ..order("cat") };
        let first = place.send(&keyed).await.expect("taken");
        assert_eq!(place.send(&keyed).await.as_ref(), Ok(&first));
        let other = Trigger {
            data: json!({ "order_id": "o2", "current_status": "shipped" }).into(),
            ..keyed.clone()
        };
        assert_eq!(place.send(&other).await.map_err(|problem| problem.code), Err(DIFFERS));
        let elsewhere = place.store.accept(&other, Sent { caller: "bank", job: None }).await;
        assert_ne!(elsewhere.expect("its own keys").notification_id, first.notification_id);
        place.change("UPDATE notification_keys SET until = 1").await;
        assert_ne!(
            place.send(&other).await.expect("a day later").notification_id,
            first.notification_id
        );
    }
}

#[tokio::test]
async fn eight_at_once_with_one_key_are_one_notification() {
    for place in each().await {
        let keyed = Trigger { idempotency_key: Some("k".to_owned()), ..order("cat") };
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (store, keyed) = (place.store.clone(), keyed.clone());
            sent.spawn(async move {
                loop {
                    match store.accept(&keyed, SHOP).await {
                        Err(problem) if problem.code == Code::BUSY => continue,
                        taken => break taken.expect("taken").notification_id,
                    }
                }
            });
        }
        let ids = sent.join_all().await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
}

#[tokio::test]
async fn each_endpoint_has_a_delivery_of_its_own_and_nowhere_is_an_outcome() {
    for place in each().await {
        for token in ["t1", "t2"] {
            place.store.register("cat", &phone(token)).await.expect("registered");
        }
        let all = Trigger { channels: Some(Channel::ALL.to_vec()), ..order("cat") };
        let taken = place.send(&all).await.expect("taken");
        let mut stands = place.stands(&taken.notification_id).await;
        stands.sort();
        let nowhere = because("suppressed", "no_address");
        assert_eq!(
            stands,
            [state("queued"), state("queued"), state("sent"), nowhere.clone(), nowhere]
        );
        let told = place.events("notification:suppressed").await;
        let topics: Vec<&str> = told.iter().map(|(topic, _)| topic.as_str()).collect();
        assert_eq!(
            topics,
            [
                "notify.delivery.email",
                "analytics.events",
                "notify.delivery.sms",
                "analytics.events"
            ]
        );
        assert_eq!(place.events("notification:new").await.len(), 1);
    }
}

#[tokio::test]
async fn a_mail_goes_to_a_verified_address_only_and_to_none_on_the_list() {
    for place in each().await {
        let mail = Trigger { channels: Some(vec![Channel::Email]), ..order("cat") };
        let known = Upsert { email: Some("Cat@example.com".to_owned()), ..user("cat") };
        place.told(known.clone()).await;
        let taken = place.send(&mail).await.expect("taken");
        assert_eq!(
            place.stands(&taken.notification_id).await,
            [because("suppressed", "unverified")]
        );
        place.told(Upsert { email_verified_at: Some(Moment::from_ms(1)), ..known }).await;
        let taken = place.send(&mail).await.expect("taken");
        assert_eq!(place.stands(&taken.notification_id).await, [state("queued")]);
        let stop = Suppress {
            channel: Channel::Email,
            address: "cat@EXAMPLE.com".to_owned(),
            reason: None,
        };
        place.store.suppress(&stop).await.expect("listed");
        let taken = place.send(&mail).await.expect("taken");
        assert_eq!(place.stands(&taken.notification_id).await, [because("suppressed", "listed")]);
        assert_eq!(place.store.allow(Channel::Email, "cat@example.com").await, Ok(true));
        let taken = place.send(&mail).await.expect("taken");
        assert_eq!(place.stands(&taken.notification_id).await, [state("queued")]);
    }
}

#[tokio::test]
async fn what_a_user_does_not_want_is_left_out_but_never_a_payment() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let none =
            Preferences { channels: [(Channel::Push, false)].into(), ..Preferences::default() };
        place.store.choose("cat", &none).await.expect("chosen");
        let taken = place.send(&order("cat")).await.expect("taken");
        assert_eq!(
            place.stands(&taken.notification_id).await,
            [because("suppressed", "preference")]
        );
        let taken = place.send(&payment("cat")).await.expect("taken");
        assert_eq!(place.stands(&taken.notification_id).await, [state("queued")]);
        let offer = Trigger {
            kind: Kind::PromotionAlert,
            data: json!({ "title": "ลด", "text": "50 %" }).into(),
            ..order("dog")
        };
        place.store.register("dog", &phone("t2")).await.expect("registered");
        let taken = place.send(&offer).await.expect("taken");
        let why = because("suppressed", "preference");
        assert_eq!(place.stands(&taken.notification_id).await, [why], "nobody asked for offers");
    }
}

#[tokio::test]
async fn quiet_hours_put_off_what_can_wait_and_end_what_cannot() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        // All day but one minute: at whatever time this test runs it is quiet, or will be.
        let now = Moment::now().as_ms().div_euclid(60_000).rem_euclid(1_440);
        let end = u16::try_from((now + 1_430) % 1_440).expect("a minute");
        let hours = QuietHours {
            tz: Some("UTC".to_owned()),
            from: (end + 1) % 1_440,
            to: end,
            days: [true; 7],
        };
        let quiet = Preferences { quiet_hours: Some(hours), ..Preferences::default() };
        place.store.choose("cat", &quiet).await.expect("chosen");
        let states = [
            (order("cat"), "deferred"),
            (Trigger { ttl: Some(60), ..order("cat") }, "expired"),
            (payment("cat"), "queued"),
        ];
        for (trigger, expected) in states {
            let taken = place.send(&trigger).await.expect("taken");
            assert_eq!(place.stands(&taken.notification_id).await, [state(expected)]);
        }
        assert_eq!(place.claim(Lane::Normal).await.len(), 0, "nobody is woken");
        // The morning has come; the user chooses otherwise in the last moment.
        place.change("UPDATE deliveries SET due_at = 1 WHERE state = 'deferred'").await;
        let none =
            Preferences { channels: [(Channel::Push, false)].into(), ..Preferences::default() };
        place.store.choose("cat", &none).await.expect("chosen");
        assert_eq!(place.claim(Lane::Normal).await.len(), 0);
        assert_eq!(place.events("notification:suppressed").await.len(), 2);
    }
}

#[tokio::test]
async fn what_cannot_be_said_is_refused_and_nothing_is_stored() {
    for place in each().await {
        place.store.register("cat", &phone("t1")).await.expect("registered");
        let missing = Trigger { data: json!({ "order_id": "o1" }).into(), ..order("cat") };
        let long = Trigger {
            data:
                json!({ "order_id": "o1", "current_status": "shipped", "notes": "x".repeat(5_000) })
                    .into(),
            ..order("cat")
        };
        let no_object = Trigger { data: json!("text").into(), ..order("cat") };
        let no_way = Trigger { channels: Some(vec![]), ..order("cat") };
        let no_user = Trigger { user_id: " ".to_owned(), ..order("cat") };
        let keyed = |trigger: Trigger| Trigger { idempotency_key: Some("k".to_owned()), ..trigger };
        for (field, bad) in [
            ("data", missing),
            ("data", long.clone()),
            ("data", no_object),
            ("channels", no_way),
            ("user_id", no_user),
        ] {
            let problem: Problem = place.send(&keyed(bad)).await.expect_err(field);
            assert_eq!(problem.code, Code::BAD_FIELD);
            assert!(problem.reason.starts_with(field), "{problem}");
        }
        assert!(place.send(&keyed(order("cat"))).await.is_ok(), "the key is free");
        let mail = Trigger { channels: Some(vec![Channel::Websocket]), ..long };
        assert!(place.send(&mail).await.is_ok(), "an inbox has room");
        let query = sampan_services::store::Query::new("SELECT COUNT(*) AS n FROM notifications");
        let row = place.database.one(query).await.expect("read").expect("a row");
        assert_eq!(row.get("n"), Ok(2_u64));
    }
}

#[tokio::test]
async fn a_template_of_the_shop_goes_before_the_one_that_ships_and_each_version_before_the_last() {
    for place in each().await {
        let told = |body: &str| TemplatePut {
            kind: Kind::OrderStatusUpdate,
            channel: Channel::Websocket,
            locale: "th".to_owned(),
            title_template: "ข่าว".to_owned(),
            body_template: body.to_owned(),
            action_url: Some("https://shop.example/orders".to_owned()),
            icon_url: None,
            badge_count: None,
            sound: None,
            priority: Default::default(),
            ttl: 60,
        };
        place.told(user("cat")).await;
        let shown = Trigger { channels: Some(vec![Channel::Websocket]), ..order("cat") };
        let mut bodies = Vec::new();
        for version in 0..3 {
            if version > 0 {
                let stored =
                    place.store.put_template(told(&format!("{version}: {{{{ order_id }}}}")));
                assert_eq!(stored.await.expect("stored").version, version);
            }
            place.send(&shown).await.expect("taken");
            let inbox = place.store.inbox("cat", false, None, 1).await.expect("read");
            bodies.push(inbox.items[0].body.clone());
        }
        assert_eq!(bodies, ["คำสั่งซื้อ o1: จัดส่งแล้ว", "1: o1", "2: o1"]);
        let newest = place.store.templates().await.expect("read");
        let meant = |version| newest.iter().filter(|one| one.version == version).count();
        assert_eq!((meant(2), meant(1)), (1, 0));
    }
}
