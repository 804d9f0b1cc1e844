//! Web Push: RFC 8030, 8188, 8291, 8292, read on 2026-11-23. The double decrypts as a browser does.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Content, Endpoint, Outgoing, Settings};
use sampan_services::notifications::store::Notifications;
use sampan_services::signature::Secret;
use serde_json::{Value, json};

use super::doubles::keys::{bytes, es256};
use super::{Asked, Double, NOW, Place, outgoing};

/// A browser that has subscribed.
struct Browser {
    own: PrivateKey,
    public: Vec<u8>,
    auth: [u8; 16],
}

impl Browser {
    fn new() -> Self {
        let own = PrivateKey::generate(&ECDH_P256).expect("a key");
        let public = own.compute_public_key().expect("a key").as_ref().to_vec();
        Browser { own, public, auth: [9; 16] }
    }

    fn endpoint(&self, url: String) -> Endpoint {
        let [p256dh, auth] =
            [&self.public[..], &self.auth].map(|part| URL_SAFE_NO_PAD.encode(part));
        Endpoint::WebPush { url, p256dh, auth }
    }

    /// What was encrypted for this browser.
    fn read(&self, sealed: &[u8]) -> Value {
        let (salt, rest) = sealed.split_at(16);
        let (size, rest) = rest.split_at(4);
        let (length, rest) = rest.split_at(1);
        let (sender, text) = rest.split_at(65);
        assert_eq!((u32::from_be_bytes(size.try_into().expect("4")), length[0]), (4096, 65));
        let peer = UnparsedPublicKey::new(&ECDH_P256, sender);
        let shared = agree(&self.own, peer, (), |secret| Ok(secret.to_vec())).expect("agreed");
        let hmac = |key: &[u8], parts: &[&[u8]]| Secret::new(key).sign(&parts.concat());
        let info = [b"WebPush: info\0", &self.public[..], sender].concat();
        let material = hmac(&hmac(&self.auth, &[&shared]), &[&info, &[1]]);
        let pseudo = hmac(salt, &[&material]);
        let key = hmac(&pseudo, &[b"Content-Encoding: aes128gcm\0", &[1]]);
        let nonce = hmac(&pseudo, &[b"Content-Encoding: nonce\0", &[1]]);
        let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key[..16]).expect("a key"));
        let nonce = Nonce::try_assume_unique_for_key(&nonce[..12]).expect("a nonce");
        let mut text = text.to_vec();
        let text = key.open_in_place(nonce, Aad::empty(), &mut text).expect("ours");
        let (last, text) = text.split_last().expect("a delimiter");
        assert_eq!(*last, 2, "the last record");
        serde_json::from_slice(text).expect("JSON")
    }
}

async fn begun() -> (Place, Double, std::sync::Arc<dyn sampan_services::notifications::send::Sender>)
{
    let place = Place::new().await;
    let double = Double::start(|_: &Asked| {
        (201, vec![("location", "https://push.example/m/1".to_owned())], String::new())
    })
    .await;
    let settings = Settings::WebPush {
        subject: "mailto:ops@shop.example".to_owned(),
        push_services: Vec::new(),
        private_addresses: true,
        per_minute: None,
    };
    let sender = place.open(&settings);
    (place, double, sender)
}

#[tokio::test]
async fn a_browser_reads_what_was_encrypted_for_it_and_its_service_knows_the_shop() {
    let (place, double, sender) = begun().await;
    let browser = Browser::new();
    let one = outgoing(browser.endpoint(format!("{}/p/1", double.url())));
    let outcome = sender.send(&one, NOW).await;
    assert_eq!((outcome.class, outcome.status), (Class::Accepted, 201));
    assert_eq!(outcome.message_id.as_deref(), Some("https://push.example/m/1"));
    let asked = double.last();
    assert_eq!((asked.path.as_str(), asked.header("content-encoding")), ("/p/1", "aes128gcm"));
    assert_eq!((asked.header("ttl"), asked.header("urgency")), ("600", "high"));
    assert_eq!(asked.header("topic"), one.collapse.as_deref().expect("one"));
    let read = browser.read(&asked.body);
    assert_eq!(
        (&read["title"], &read["body"]),
        (&json!(one.content.title), &json!(one.content.body))
    );
    assert_eq!((&read["data"], &read["id"]), (&one.content.data, &json!(one.delivery_id)));
    let key = Notifications::new(&place.database).webpush_key().await.expect("a key");
    let vapid = asked.header("authorization").strip_prefix("vapid t=").expect("VAPID");
    let (token, known) = vapid.split_once(", k=").expect("a key");
    assert_eq!(known, key);
    let (header, claims) = es256(token, &bytes(&key).expect("base64url")).expect("signed by it");
    assert_eq!(header, json!({ "typ": "JWT", "alg": "ES256" }));
    assert_eq!(
        (&claims["aud"], &claims["sub"]),
        (&json!(double.url()), &json!("mailto:ops@shop.example"))
    );
    let left = claims["exp"].as_i64().expect("a time") - NOW.as_ms() / 1_000;
    assert!((1..=86_400).contains(&left), "{left}");
    sender.send(&one, NOW).await;
    assert_ne!(double.last().body, asked.body, "a key and a salt are used once");
    assert_eq!(browser.read(&double.last().body), read);
}

#[tokio::test]
async fn every_documented_refusal_has_its_meaning() {
    let (_place, double, sender) = begun().await;
    let one = outgoing(Browser::new().endpoint(format!("{}/p/1", double.url())));
    for (status, class) in [
        (404, Class::Gone),
        (410, Class::Gone),
        (400, Class::Ours),
        (401, Class::Ours),
        (403, Class::Ours),
        (413, Class::Ours),
        (302, Class::Ours),
        (500, Class::Retry),
        (503, Class::Retry),
    ] {
        double.next(status, &[("location", "http://127.0.0.1:1/")], "");
        assert_eq!(sender.send(&one, NOW).await.class, class, "{status}");
    }
    double.next(429, &[("retry-after", "30")], "");
    let outcome = sender.send(&one, NOW).await;
    assert_eq!(
        (outcome.class, outcome.retry_after.map(|time| time.as_secs())),
        (Class::Wait, Some(30))
    );
    double.next(201, &[], "x".repeat(100_000));
    assert_eq!(sender.send(&one, NOW).await.class, Class::Retry, "more than a push service says");
}

#[tokio::test]
async fn a_subscription_that_is_none_and_a_text_that_is_too_long_are_never_sent() {
    let (place, double, sender) = begun().await;
    let good = Browser::new().endpoint(format!("{}/p/1", double.url()));
    let Endpoint::WebPush { url, p256dh, auth } = good.clone() else { unreachable!() };
    let of = |url: &str, p256dh: &str, auth: &str| Endpoint::WebPush {
        url: url.to_owned(),
        p256dh: p256dh.to_owned(),
        auth: auth.to_owned(),
    };
    let none = URL_SAFE_NO_PAD.encode([4; 65]);
    for bad in [
        of(&url, "%%%", &auth),
        of(&url, &none, &auth),
        of(&url, &p256dh, "AAAA"),
        of("ftp://push.example/1", &p256dh, &auth),
        of("nonsense", &p256dh, &auth),
    ] {
        assert_eq!(sender.send(&outgoing(bad), NOW).await.class, Class::Gone);
    }
    let long = outgoing(good.clone());
    let long =
        Outgoing { content: Content { body: "ก".repeat(1_500), ..long.content.clone() }, ..long };
    let outcome = sender.send(&long, NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Ours, "too_long"));
    assert!(double.asked().is_empty());
    let public = Settings::WebPush {
        subject: "mailto:ops@shop.example".to_owned(),
        push_services: Vec::new(),
        private_addresses: false,
        per_minute: None,
    };
    let outcome = place.open(&public).send(&outgoing(good), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Gone, "bad_endpoint"));
    assert!(double.asked().is_empty(), "a private address is not asked");
}
