//! Our sender of pushes to Apple's devices.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sampan_services::Moment;
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Content, Endpoint, Outgoing, Sender, Settings};
use serde_json::{Value, json};

use super::doubles::apple::{Apple, KEY_ID, TEAM_ID};
use super::doubles::keys::Pair;
use super::{NOW, Place, outgoing};

async fn begun() -> (Place, Apple, Arc<dyn Sender>) {
    let (place, pair) = (Place::new().await, Pair::elliptic());
    let apple = Apple::start(pair.public.clone()).await;
    let sender = place.open(&settings(&place, &apple, &pair.pem));
    (place, apple, sender)
}

fn settings(place: &Place, apple: &Apple, pem: &str) -> Settings {
    Settings::Apns {
        key_file: place.file("AuthKey.p8", pem),
        key_id: KEY_ID.to_owned(),
        team_id: TEAM_ID.to_owned(),
        url: Some(format!("https://localhost:{}", apple.address.port())),
        ca_file: Some(place.file("root.pem", &apple.root)),
        per_minute: None,
    }
}

fn phone() -> Outgoing {
    outgoing(Endpoint::Apns { token: "a1b2".to_owned(), app: "com.example.shop".to_owned() })
}

#[tokio::test]
async fn a_notification_goes_over_one_connection_with_one_token_for_forty_minutes() {
    let (_place, apple, sender) = begun().await;
    let one = phone();
    let outcome = sender.send(&one, NOW).await;
    assert_eq!(outcome.class, Class::Accepted, "{outcome:?}");
    assert_eq!(outcome.message_id.as_deref(), Some(one.delivery_id.as_str()));
    let asked = apple.asked().remove(0);
    assert_eq!(asked.path, "/3/device/a1b2");
    let expires = one.expires_at.as_ms() / 1_000;
    for (name, value) in [
        ("apns-topic", "com.example.shop"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", &expires.to_string()),
        ("apns-collapse-id", one.collapse.as_deref().expect("one")),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    let payload: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert_eq!(payload["aps"]["alert"]["body"], one.content.body);
    assert_eq!((&payload["aps"]["badge"], &payload["data"]), (&3.into(), &one.content.data));
    let mut sent = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (sender, one) = (sender.clone(), one.clone());
        sent.spawn(async move { sender.send(&one, NOW.after(Duration::from_secs(2_399))).await });
    }
    let classes: Vec<Class> = sent.join_all().await.into_iter().map(|one| one.class).collect();
    assert_eq!(classes, vec![Class::Accepted; 40], "though only two at a time are taken");
    assert_eq!(apple.connections.load(Ordering::Relaxed), 1);
    let tokens = |apple: &Apple| {
        let all = apple.asked();
        let mut tokens: Vec<_> =
            all.iter().map(|asked| asked.header("authorization").to_owned()).collect();
        tokens.dedup();
        tokens.len()
    };
    assert_eq!(tokens(&apple), 1);
    sender.send(&one, NOW.after(Duration::from_secs(2_400))).await;
    assert_eq!(tokens(&apple), 2);
}

#[tokio::test]
async fn every_documented_refusal_has_its_meaning() {
    let (_place, apple, sender) = begun().await;
    for (status, reason, class) in [
        (400, "BadDeviceToken", Class::Gone),
        (400, "DeviceTokenNotForTopic", Class::Gone),
        (400, "BadTopic", Class::Ours),
        (405, "MethodNotAllowed", Class::Ours),
        (413, "PayloadTooLarge", Class::Ours),
        (429, "TooManyRequests", Class::Wait),
        (429, "TooManyProviderTokenUpdates", Class::Quota),
        (500, "InternalServerError", Class::Retry),
        (503, "Shutdown", Class::Retry),
    ] {
        apple.next(status, json!({ "reason": reason }));
        let outcome = sender.send(&phone(), NOW).await;
        assert_eq!((outcome.class, outcome.code.as_str()), (class, reason));
    }
    apple.next(410, json!({ "reason": "Unregistered", "timestamp": 1_795_000_000_000_i64 }));
    let outcome = sender.send(&phone(), NOW).await;
    assert_eq!(outcome.class, Class::Gone);
    assert_eq!(outcome.gone_since, Some(Moment::from_ms(1_795_000_000_000)));
    let one = phone();
    let long = Content { body: "ก".repeat(1_500), ..one.content.clone() };
    let outcome = sender.send(&Outgoing { content: long, ..one }, NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Ours, "too_long"));
}

#[tokio::test]
async fn a_token_that_apple_takes_for_old_costs_no_push() {
    let (_place, apple, sender) = begun().await;
    assert_eq!(sender.send(&phone(), NOW).await.class, Class::Accepted);
    let old = || apple.next(403, json!({ "reason": "ExpiredProviderToken" }));
    old();
    assert_eq!(sender.send(&phone(), NOW).await.class, Class::Accepted);
    let asked = apple.asked();
    let tokens: Vec<&str> = asked.iter().map(|asked| asked.header("authorization")).collect();
    assert!(tokens[0] == tokens[1] && tokens[1] != tokens[2], "another one");
    old();
    old();
    assert_eq!(sender.send(&phone(), NOW).await.class, Class::Ours, "not even a fresh one helps");
    assert_eq!(apple.asked().len(), 5, "it is tried twice and no more");
}

#[tokio::test]
async fn a_connection_at_whose_end_nobody_is_any_more_is_left_for_another() {
    let (_place, apple, sender) = begun().await;
    assert_eq!(sender.send(&phone(), NOW).await.class, Class::Accepted);
    apple.mute.send_replace(true);
    // It takes as long as an answer may, 10 s.
    let outcome = sender.send(&phone(), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Retry, "no_answer"));
    assert!(outcome.is_ambiguous, "it may have it");
    apple.mute.send_replace(false);
    assert_eq!(sender.send(&phone(), NOW).await.class, Class::Accepted);
    assert_eq!(apple.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn when_apple_goes_away_another_connection_is_made_and_nothing_is_lost() {
    let (_place, apple, sender) = begun().await;
    assert_eq!(sender.send(&phone(), NOW).await.class, Class::Accepted);
    for round in 1..=3 {
        let mut sent = tokio::task::JoinSet::new();
        for _ in 0..10 {
            let (sender, one) = (sender.clone(), phone());
            sent.spawn(async move {
                loop {
                    match sender.send(&one, NOW).await.class {
                        Class::Retry => {}
                        class => break class,
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(8)).await;
        apple.goodbye.send_replace(round);
        assert_eq!(sent.join_all().await, vec![Class::Accepted; 10]);
    }
    assert_eq!(apple.asked().len(), 31, "each was taken once");
    assert!(apple.connections.load(Ordering::Relaxed) > 1);
}

#[tokio::test]
async fn nobody_else_is_taken_for_apple_and_no_other_key_for_the_teams() {
    let (place, apple, _) = begun().await;
    let other = place.open(&settings(&place, &apple, &Pair::elliptic().pem));
    let outcome = other.send(&phone(), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Ours, "InvalidProviderToken"));
    let url = format!("https://localhost:{}", apple.address.port());
    let Settings::Apns { key_file, key_id, team_id, .. } =
        settings(&place, &apple, &Pair::elliptic().pem)
    else {
        unreachable!()
    };
    let url = Some(url);
    let trusting =
        Settings::Apns { key_file, key_id, team_id, url, ca_file: None, per_minute: None };
    let outcome = place.open(&trusting).send(&phone(), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Retry, "no_connection"));
}
