//! Each service in its own words.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::Meaning::Is;
use super::parcel::{Point, moment, read};
use super::*;
use crate::orders::model::Source;
use crate::signature::{Secret, hex};

#[test]
fn an_unknown_code_is_told_apart_from_one_that_says_nothing() {
    assert_eq!(Provider::AfterShip.meaning("Teleported"), Meaning::Unknown);
    assert_eq!(Provider::AfterShip.meaning("Pending"), Meaning::Nothing);
    assert_eq!(Provider::Shippo.meaning("transit"), Is(Status::InTransit));
    assert_eq!(Provider::EasyPost.meaning("return_to_sender"), Is(Status::Returning));
    assert_eq!(Provider::Shippo.meaning(""), Meaning::Unknown);
}

/// One parcel in the words of each, as an answer and as a webhook.
fn said() -> [(Provider, Value, Value); 3] {
    let aftership = json!({
        "slug": "kerry", "tracking_number": "TH1", "expected_delivery": "2026-11-25T00:00:00Z",
        "checkpoints": [
            { "tag": "InTransit", "checkpoint_time": "2026-11-23T08:00:00", "message": "On its way",
              "location": "Bangkok" },
            { "tag": "Delivered", "checkpoint_time": "2026-11-24T09:30:00+07:00", "message": null },
        ],
    });
    let easypost = json!({
        "carrier": "kerry", "tracking_code": "TH1", "est_delivery_date": "2026-11-25T00:00:00Z",
        "tracking_details": [
            { "status": "in_transit", "datetime": "2026-11-23T08:00:00Z", "message": "On its way",
              "tracking_location": { "city": "Bangkok", "state": null } },
            { "status": "delivered", "datetime": "2026-11-24T02:30:00Z" },
        ],
    });
    let shippo = json!({
        "carrier": "kerry", "tracking_number": "TH1", "eta": "2026-11-25T00:00:00Z",
        "tracking_history": [
            { "status": "TRANSIT", "status_date": "2026-11-23T08:00:00Z",
              "status_details": "On its way", "location": { "city": "Bangkok" } },
        ],
        "tracking_status": { "status": "DELIVERED", "status_date": "2026-11-24T02:30:00Z" },
    });
    [
        (
            Provider::AfterShip,
            json!({ "meta": { "code": 200 }, "data": { "trackings": [aftership] } }),
            json!({ "event": "tracking_update", "msg": aftership }),
        ),
        (
            Provider::EasyPost,
            json!({ "trackers": [easypost], "has_more": false }),
            json!({ "description": "tracker.updated", "result": easypost }),
        ),
        (Provider::Shippo, shippo.clone(), json!({ "event": "track_updated", "data": shippo })),
    ]
}

#[test]
fn each_service_tells_the_same_parcel_in_its_words() {
    for (provider, answer, webhook) in said() {
        for (source, body) in [(Source::Poll, answer), (Source::Webhook, webhook)] {
            let told = read(provider, source, body.to_string().as_bytes()).unwrap();
            let [parcel] = told.as_slice() else { panic!("{told:?}") };
            assert_eq!((parcel.carrier.as_str(), parcel.number.as_str()), ("kerry", "TH1"));
            let [first, second] = parcel.points.as_slice() else { panic!("{parcel:?}") };
            assert_eq!(first.status, Some(Status::InTransit), "{provider:?}");
            assert_eq!(first.notes.as_deref(), Some("On its way - Bangkok"));
            assert_eq!(first.event_time, moment("2026-11-23T08:00:00Z").unwrap());
            assert_eq!(second.status, Some(Status::Delivered));
            assert_eq!(second.event_time, moment("2026-11-24T02:30:00Z").unwrap());
            assert_eq!(second.estimated_delivery, moment("2026-11-25T00:00:00Z"));
            assert_eq!((second.source, &second.notes), (source, &None));
        }
    }
}

#[test]
fn that_a_carrier_knows_nothing_yet_is_no_checkpoint() {
    for (provider, nothing) in [
        (Provider::AfterShip, "Pending"),
        (Provider::Shippo, "UNKNOWN"),
        (Provider::EasyPost, "unknown"),
    ] {
        for (word, points) in [(nothing, 0), ("Teleported", 1)] {
            let point = Point {
                code: word.to_owned(),
                time: Some("2026-11-23T08:00:00Z".to_owned()),
                message: None,
                place: Vec::new(),
                coordinates: None,
            };
            let (carrier, number) = ("kerry".to_owned(), "TH1".to_owned());
            let parcel = Parcel { carrier, number, eta: None, points: vec![point] };
            let told = parcel.told(provider, Source::Poll);
            assert_eq!(told.points.len(), points, "{provider:?} {word}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_and_what_has_no_time_is_left_out() {
    for (provider, ..) in said() {
        for body in ["", "null", "{}", "[]", "{\"data\":1}", "{\"msg\":{}}", "\u{0}"] {
            assert!(read(provider, Source::Poll, body.as_bytes()).is_err(), "{provider:?} {body}");
        }
    }
    let bare = json!({ "trackers": [{ "carrier": "k", "tracking_code": "1",
        "tracking_details": [{ "status": "teleported", "datetime": "yesterday" }] }] });
    let told = read(Provider::EasyPost, Source::Poll, bare.to_string().as_bytes()).unwrap();
    assert_eq!(told[0].points, []);
    let none = json!({ "data": { "trackings": [] } });
    let told = read(Provider::AfterShip, Source::Poll, none.to_string().as_bytes());
    assert_eq!(told, Ok(Vec::new()), "the number is not known yet");
}

const BODY: &[u8] = br#"{"tracking_status":"TRANSIT"}"#;

fn now() -> Moment {
    Moment::from_ms(1_795_400_000_000)
}

/// The header that each service would send.
fn header(provider: Provider, secret: &str, body: &[u8]) -> String {
    let sign = |message: &[u8]| Secret::new(secret.as_bytes()).sign(message);
    match provider {
        Provider::AfterShip => STANDARD.encode(sign(body)),
        Provider::Shippo => {
            let signature = sign(&[b"1795400000.", body].concat());
            format!("t=1795400000,v1={}", hex(&signature))
        }
        Provider::EasyPost => format!("hmac-sha256-hex={}", hex(&sign(body))),
    }
}

#[test]
fn a_webhook_is_taken_from_its_service_only() {
    for provider in [Provider::AfterShip, Provider::Shippo, Provider::EasyPost] {
        let good = header(provider, "s3cret", BODY);
        let check = |secret, header: &str, body| provider.check(secret, header, body, now());
        assert_eq!(check("s3cret", &good, BODY), Ok(()), "{provider:?}");
        assert!(check("other", &good, BODY).is_err());
        assert!(check("s3cret", &good, b"{}").is_err());
        assert!(check("", &header(provider, "", BODY), BODY).is_err());
        for forged in ["", "t=,v1=", "t=1795400000,v1=00", "hmac-sha256-hex=", "AAAA", "é"] {
            assert!(check("s3cret", forged, BODY).is_err(), "{provider:?} {forged}");
        }
    }
}

#[test]
fn a_signature_with_a_time_is_good_for_five_minutes() {
    let good = header(Provider::Shippo, "s", BODY);
    let tolerance = Duration::from_secs(300);
    let at = |now| Provider::Shippo.check("s", &good, BODY, now);
    assert!(at(now().after(tolerance)).is_ok() && at(now().before(tolerance)).is_ok());
    let moment = Duration::from_millis(1);
    assert!(at(now().after(tolerance + moment)).is_err());
    assert!(at(now().before(tolerance + moment)).is_err());
}

#[test]
fn a_secret_is_the_same_in_either_form() {
    let good = header(Provider::EasyPost, "cafe\u{301}", BODY);
    assert_eq!(Provider::EasyPost.check("caf\u{e9}", &good, BODY, now()), Ok(()));
}
