//! FCM HTTP v1: `projects.messages.send` and Google's OAuth 2.0 for service accounts, as documented
//! on 2026-11-23.

use std::sync::Arc;
use std::time::Duration;

use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Endpoint, Sender, Settings};
use serde_json::{Value, json};

use super::keys::{Pair, rs256};
use super::{Answer, Asked, Double, NOW, Place, outgoing};

fn refusal(status: u16, name: &str, details: &Value) -> Answer {
    let error = json!({ "error": { "code": status, "status": name, "details": details,
        "message": "this text says UNREGISTERED and means nothing" } });
    (status, Vec::new(), error.to_string())
}

/// Google: gives tokens of access to those who have signed, and takes messages with one.
fn google(public: &[u8], asked: &Asked) -> Answer {
    let text = std::str::from_utf8(&asked.body).expect("a text");
    if asked.path == "/token" {
        let assertion = text.split("assertion=").nth(1).expect("an assertion");
        assert!(
            text.starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&")
        );
        let Some((header, claims)) = rs256(assertion, public) else {
            return (401, Vec::new(), json!({ "error": "invalid_grant" }).to_string());
        };
        assert_eq!(header["alg"], "RS256");
        assert_eq!(claims["scope"], "https://www.googleapis.com/auth/firebase.messaging");
        assert!(claims["aud"].as_str().expect("an audience").ends_with("/token"));
        let lasts = claims["exp"].as_i64().expect("exp") - claims["iat"].as_i64().expect("iat");
        assert!((1..=3_600).contains(&lasts), "{lasts}");
        let token =
            json!({ "access_token": "ya29.1", "expires_in": 3_600, "token_type": "Bearer" });
        return (200, Vec::new(), token.to_string());
    }
    if asked.header("authorization") != "Bearer ya29.1" {
        return refusal(401, "UNAUTHENTICATED", &json!([]));
    }
    assert_eq!(asked.path, "/v1/projects/shop-1/messages:send");
    let said: Value = serde_json::from_str(text).expect("JSON");
    let message = said["message"].as_object().expect("a message");
    let known = ["token", "notification", "data", "android"];
    assert!(message.keys().all(|name| known.contains(&name.as_str())), "{message:?}");
    let data = message["data"].as_object().expect("data");
    assert!(data.values().all(Value::is_string), "the values of data are texts");
    (200, Vec::new(), json!({ "name": "projects/shop-1/messages/1" }).to_string())
}

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
    let sender = place.open(&Settings::Fcm { account_file, url: Some(double.url()) });
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
            "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code,
        }])
    };
    let field = |name: &str| {
        json!([
            { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "INVALID_ARGUMENT" },
            { "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{ "field": name }] },
        ])
    };
    for (status, name, details, class) in [
        (404, "NOT_FOUND", fcm("UNREGISTERED"), Class::Gone),
        (403, "PERMISSION_DENIED", fcm("SENDER_ID_MISMATCH"), Class::Gone),
        (400, "INVALID_ARGUMENT", field("message.token"), Class::Gone),
        (400, "INVALID_ARGUMENT", field("message.android.ttl"), Class::Ours),
        (404, "NOT_FOUND", json!([]), Class::Ours),
        (401, "UNAUTHENTICATED", fcm("THIRD_PARTY_AUTH_ERROR"), Class::Ours),
        (500, "INTERNAL", fcm("INTERNAL"), Class::Retry),
        (503, "UNAVAILABLE", fcm("UNAVAILABLE"), Class::Retry),
    ] {
        let (_, _, body) = refusal(status, name, &details);
        double.next(status, &[], body);
        let outcome = sender.send(&one, NOW).await;
        assert_eq!(outcome.class, class, "{status} {details}");
        if status == 401 {
            assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted, "with another token");
        }
    }
    let (_, _, body) = refusal(429, "RESOURCE_EXHAUSTED", &fcm("QUOTA_EXCEEDED"));
    double.next(429, &[("retry-after", "60")], body);
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.retry_after), (Class::Wait, Some(Duration::from_secs(60))));
    double.next(200, &[], "<html>");
    assert_eq!(sender.send(&one, NOW).await.class, Class::Accepted, "it says so by its status");
}

#[tokio::test]
async fn an_account_of_another_gets_no_token_and_nothing_is_sent() {
    let (place, double, _) = begun().await;
    let account = json!({
        "project_id": "shop-1", "private_key": Pair::rsa().pem, "client_email": "x@y",
        "token_uri": format!("{}/token", double.url()),
    });
    let account_file = place.file("other.json", &account.to_string());
    let sender = place.open(&Settings::Fcm { account_file, url: Some(double.url()) });
    let outcome = sender.send(&outgoing(phone()), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Ours, "no_access"));
    assert!(double.asked().iter().all(|one| one.path == "/token"));
    let nowhere = Settings::Fcm { account_file: place.file("bad.json", "{}"), url: None };
    assert!(nowhere.open(&place.database).is_err());
    let silent = json!({
        "project_id": "p", "private_key": Pair::rsa().pem, "client_email": "x@y",
        "token_uri": "http://127.0.0.1:1/token",
    });
    let account_file = place.file("silent.json", &silent.to_string());
    let sender = place.open(&Settings::Fcm { account_file, url: None });
    let outcome = sender.send(&outgoing(phone()), NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Retry, 0));
}
