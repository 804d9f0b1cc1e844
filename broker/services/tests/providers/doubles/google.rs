//! FCM HTTP v1: `projects.messages.send` and Google's OAuth 2.0 for service accounts, as documented
//! on 2026-11-23.

use serde_json::{Value, json};

use super::keys::rs256;
use super::{Answer, Asked};

const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
/// Type of a detail with a code of FCM's own.
pub(crate) const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

pub(crate) fn refusal(status: u16, name: &str, details: &Value) -> Answer {
    let error = json!({ "error": { "code": status, "status": name, "details": details,
        "message": "this text says UNREGISTERED and means nothing" } });
    (status, Vec::new(), error.to_string())
}

/// Google: gives tokens of access to those who have signed, and takes messages with one.
pub(crate) fn google(public: &[u8], asked: &Asked) -> Answer {
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
        let scopes = claims["scope"].as_str().expect("scopes");
        assert!(scopes.split(' ').any(|scope| scope == SCOPE), "{scopes}");
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
    match fault(text) {
        Some(field) => refusal(400, "INVALID_ARGUMENT", &violated(&field)),
        None => (200, Vec::new(), json!({ "name": "projects/shop-1/messages/1" }).to_string()),
    }
}

/// The details of a refusal of a field.
pub(crate) fn violated(field: &str) -> Value {
    json!([
        { "@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT" },
        { "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{ "field": field }] },
    ])
}

/// The field of a question that Google would not take: it is not known there, or not so.
fn fault(text: &str) -> Option<String> {
    let said: Value = serde_json::from_str(text).ok().unwrap_or_default();
    let odd = FIELDS.iter().find_map(|(pointer, known)| {
        let part = said.pointer(pointer)?.as_object()?;
        let odd = part.keys().find(|name| !known.contains(&name.as_str()))?;
        Some(format!("{pointer}/{odd}"))
    });
    let at = |pointer: &str| said.pointer(pointer).unwrap_or(&Value::Null);
    let is_texts =
        |value: &Value| value.as_object().is_none_or(|data| data.values().all(Value::is_string));
    let is_seconds = |value: &Value| {
        let digits = value.as_str().and_then(|text| text.strip_suffix('s'));
        value.is_null() || digits.is_some_and(|digits| digits.parse::<f64>().is_ok())
    };
    let priority = at("/message/android/priority").as_str().map(str::to_ascii_uppercase);
    let bad = [
        ("/message", at("/message").is_object()),
        ("/message/token", at("/message/token").is_string()),
        ("/message/data", is_texts(at("/message/data"))),
        ("/message/android/ttl", is_seconds(at("/message/android/ttl"))),
        (
            "/message/android/priority",
            priority.is_none_or(|text| ["NORMAL", "HIGH"].contains(&text.as_str())),
        ),
    ]
    .into_iter()
    .find_map(|(pointer, holds)| (!holds).then(|| pointer.to_owned()));
    Some(odd.or(bad)?.trim_start_matches('/').replace('/', "."))
}

/// What is known of a message's parts.
const FIELDS: [(&str, &[&str]); 4] = [
    (
        "/message",
        &[
            "name",
            "data",
            "notification",
            "android",
            "webpush",
            "apns",
            "fcm_options",
            "token",
            "topic",
            "condition",
        ],
    ),
    ("/message/notification", &["title", "body", "image"]),
    (
        "/message/android",
        &[
            "collapse_key",
            "priority",
            "ttl",
            "restricted_package_name",
            "data",
            "notification",
            "fcm_options",
            "direct_boot_ok",
            "bandwidth_constrained_ok",
            "restricted_satellite_ok",
        ],
    ),
    (
        "/message/android/notification",
        &[
            "title",
            "body",
            "icon",
            "color",
            "sound",
            "tag",
            "click_action",
            "body_loc_key",
            "body_loc_args",
            "title_loc_key",
            "title_loc_args",
            "channel_id",
            "ticker",
            "sticky",
            "event_time",
            "local_only",
            "notification_priority",
            "default_sound",
            "default_vibrate_timings",
            "default_light_settings",
            "vibrate_timings",
            "visibility",
            "notification_count",
            "light_settings",
            "image",
            "proxy",
        ],
    ),
];
