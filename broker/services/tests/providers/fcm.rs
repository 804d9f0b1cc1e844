//! Our sender of messages of Firebase.

use std::sync::Arc;
use std::time::Duration;

use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Endpoint, Sender, Settings};
use serde_json::{Value, json};

use super::doubles::google::{FCM_ERROR, google, refusal, violated};
use super::doubles::keys::Pair;
use super::doubles::{Asked, Double};
use super::{NOW, Place, outgoing};

async fn begun() -> (Place, Double, Arc<dyn Sender>) {
    let (place, pair) = (Place::new().await, Pair::rsa());
    let public = pair.public.clone();
    let double = Double::start(move |asked: &Asked| google(&public, asked)).await;
    let account = json!({
        "type": "service_account", "project_id": "shop-1", "private_key": pair.pem,
        "client_email": "push@shop-1.iam.gserviceaccount.com",
        "token_uri": format!("{}/token", double.url()),
    });
    let account_file = place.file("firebase.json", &account.to_string());
    let sender =
        place.open(&Settings::Fcm { account_file, url: Some(double.url()), per_minute: None });
    (place, double, sender)
}

fn phone() -> Endpoint {
    Endpoint::Fcm { token: "t1".to_owned() }
}

#[tokio::test]
async fn a_message_goes_with_a_token_of_access_that_is_asked_for_once() {
    let (_place, double, sender) = begun().await;
    let one = outgoing(phone());
    for _ in 0..3 {
        let outcome = sender.send(&one, NOW).await;
        assert_eq!(outcome.class, Class::Accepted, "{outcome:?}");
        assert_eq!(outcome.message_id.as_deref(), Some("projects/shop-1/messages/1"));
    }
    let tokens = |double: &Double| double.asked().iter().filter(|one| one.path == "/token").count();
    assert_eq!(tokens(&double), 1);
    let said: Value = serde_json::from_slice(&double.last().body).expect("JSON");
    let message = &said["message"];
    assert_eq!(
        (&message["token"], &message["android"]["priority"]),
        (&"t1".into(), &"HIGH".into())
    );
    assert_eq!(
        (&message["android"]["ttl"], &message["android"]["collapse_key"]),
        (&"600s".into(), &json!(one.collapse))
    );
    assert_eq!(message["notification"]["body"], one.content.body);
    assert_eq!(message["data"]["data"], "{\"order_id\":\"o1\"}");
    let later = NOW.after(Duration::from_secs(3_301));
    assert_eq!(sender.send(&one, later).await.class, Class::Accepted);
    assert_eq!(tokens(&double), 2, "before it ends");
}

#[tokio::test]
async fn every_documented_refusal_has_its_meaning_and_no_text_has_any() {
    let (_place, double, sender) = begun().await;
    let one = outgoing(phone());
    sender.send(&one, NOW).await;
    let fcm = |code: &str| {
        json!([{
            "@type": FCM_ERROR, "errorCode": code,
        }])
    };
    for (status, name, details, class) in [
        (404, "NOT_FOUND", fcm("UNREGISTERED"), Class::Gone),
        (403, "PERMISSION_DENIED", fcm("SENDER_ID_MISMATCH"), Class::Gone),
        (400, "INVALID_ARGUMENT", violated("message.token"), Class::Gone),
        (400, "INVALID_ARGUMENT", violated("message.android.ttl"), Class::Ours),
        (404, "NOT_FOUND", json!([]), Class::Ours),
        (500, "INTERNAL", fcm("INTERNAL"), Class::Retry),
        (503, "UNAVAILABLE", fcm("UNAVAILABLE"), Class::Retry),
    ] {
        let (_, _, body) = refusal(status, name, &details);
        double.next(status, &[], body);
        let outcome = sender.send(&one, NOW).await;
        assert_eq!(outcome.class, class, "{status} {details}");
    }
    let (_, _, body) = refusal(429, "RESOURCE_EXHAUSTED", &fcm("QUOTA_EXCEEDED"));
    double.next(429, &[("retry-after", "60")], body);
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.retry_after), (Class::Quota, Some(Duration::from_secs(60))));
    double.next(200, &[], "<html>");
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted, "it says so by its status");
}

#[tokio::test]
async fn a_token_that_has_ended_early_costs_no_message() {
    let (_place, double, sender) = begun().await;
    let one = outgoing(phone());
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted);
    let ended = || {
        let (_, _, body) = refusal(401, "UNAUTHENTICATED", &json!([]));
        double.next(401, &[], body);
    };
    let paths = |double: &Double| -> Vec<String> {
        double.asked().into_iter().map(|asked| asked.path).collect()
    };
    ended();
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted);
    let sent = "/v1/projects/shop-1/messages:send";
    assert_eq!(paths(&double), ["/token", sent, sent, "/token", sent]);
    ended();
    double.next(200, &[], json!({ "access_token": "ya29.1", "expires_in": 3_600 }));
    ended();
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Ours, 401), "not even a fresh one helps");
    assert_eq!(paths(&double).len(), 8, "it is tried twice and no more");
}

#[tokio::test]
async fn an_account_of_another_gets_no_token_and_nothing_is_sent() {
    let (place, double, _) = begun().await;
    let account = json!({
        "project_id": "shop-1", "private_key": Pair::rsa().pem, "client_email": "x@y",
        "token_uri": format!("{}/token", double.url()),
    });
    let account_file = place.file("other.json", &account.to_string());
    let sender =
        place.open(&Settings::Fcm { account_file, url: Some(double.url()), per_minute: None });
    let outcome = sender.send(&outgoing(phone()), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Ours, "no_access"));
    assert!(double.asked().iter().all(|one| one.path == "/token"));
    let nowhere =
        Settings::Fcm { account_file: place.file("bad.json", "{}"), url: None, per_minute: None };
    assert!(nowhere.open(&place.database).is_err());
    let silent = json!({
        "project_id": "p", "private_key": Pair::rsa().pem, "client_email": "x@y",
        "token_uri": "http://127.0.0.1:1/token",
    });
    let account_file = place.file("silent.json", &silent.to_string());
    let sender = place.open(&Settings::Fcm { account_file, url: None, per_minute: None });
    let outcome = sender.send(&outgoing(phone()), NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Retry, 0));
}
