//! A gateway of Twilio's kind: the `Messages` resource of its API of 2010-04-01, as documented on
//! 2026-11-23.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Endpoint, Sender, Settings};
use serde_json::json;

use super::{Asked, Double, NOW, Place, outgoing};

const CALLBACK: &str = "https://shop.example/v1/webhooks/twilio";

async fn begun(from: &str) -> (Place, Double, Arc<dyn Sender>) {
    let place = Place::new().await;
    let double = Double::start(|asked: &Asked| {
        assert_eq!(asked.path, "/2010-04-01/Accounts/AC1/Messages.json");
        let login = format!("Basic {}", STANDARD.encode("AC1:k3y"));
        if asked.header("authorization") != login {
            return (401, Vec::new(), json!({ "code": 20003, "status": 401 }).to_string());
        }
        (201, Vec::new(), json!({ "sid": "SM1", "status": "queued" }).to_string())
    })
    .await;
    let sender = place.open(&sms("k3y", from, &double));
    (place, double, sender)
}

fn sms(key: &str, from: &str, double: &Double) -> Settings {
    Settings::Sms {
        account: "AC1".to_owned(),
        key: key.to_owned(),
        from: from.to_owned(),
        url: Some(double.url()),
        callback_url: Some(CALLBACK.to_owned()),
        per_minute: None,
    }
}

fn number(number: &str) -> Endpoint {
    Endpoint::Sms { number: number.to_owned() }
}

fn fields(asked: &Asked) -> Vec<(String, String)> {
    let text = std::str::from_utf8(&asked.body).expect("a text");
    let decoded = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            let hex = |byte: u8| char::from(byte).to_digit(16).expect("a digit") as u8;
            bytes.push(match byte {
                b'%' => {
                    hex(rest.next().expect("a digit")) * 16 + hex(rest.next().expect("a digit"))
                }
                byte => byte,
            });
        }
        String::from_utf8(bytes).expect("UTF-8")
    };
    let pairs = text.split('&').map(|pair| pair.split_once('=').expect("a pair"));
    pairs.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

#[tokio::test]
async fn a_text_goes_to_its_number_as_a_form() {
    for (from, name) in [("+66200000000", "From"), ("MG1", "MessagingServiceSid")] {
        let (_place, double, sender) = begun(from).await;
        let one = outgoing(number("+66812345678"));
        let outcome = sender.send(&one, NOW).await;
        assert_eq!((outcome.class, outcome.message_id.as_deref()), (Class::Accepted, Some("SM1")));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            fields(&double.last()),
            [
                pair("To", "+66812345678"),
                pair(name, from),
                pair("Body", &one.content.body),
                pair("ValidityPeriod", "600"),
                pair("StatusCallback", CALLBACK),
            ]
        );
    }
}

#[tokio::test]
async fn every_documented_refusal_has_its_meaning() {
    let (place, double, sender) = begun("+66200000000").await;
    let one = outgoing(number("+66812345678"));
    for (status, code, class) in [
        (400, 21211, Class::Recipient),
        (400, 21610, Class::Recipient),
        (400, 21614, Class::Recipient),
        (400, 21606, Class::Ours),
        (401, 20003, Class::Ours),
        (429, 20429, Class::Quota),
        (500, 20500, Class::Retry),
        (503, 20503, Class::Retry),
    ] {
        double.next(status, &[], json!({ "code": code, "status": status, "message": "21610" }));
        let outcome = sender.send(&one, NOW).await;
        assert_eq!((outcome.class, outcome.code), (class, code.to_string()));
    }
    let asked = double.asked().len();
    let outcome = sender.send(&outgoing(number("0812345678")), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Recipient, "bad_number"));
    assert_eq!(double.asked().len(), asked, "no number, no question");
    let wrong = place.open(&sms("other", "+66200000000", &double));
    assert_eq!(wrong.send(&one, NOW).await.class, Class::Ours);
    let plain = Settings::Sms {
        account: "AC1".to_owned(),
        key: "k".to_owned(),
        from: "+1".to_owned(),
        url: Some("http://sms.example".to_owned()),
        callback_url: None,
        per_minute: None,
    };
    assert!(plain.open(&place.database).is_err(), "a key goes to nobody without TLS");
}
