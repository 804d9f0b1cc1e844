//! Tokens over a real connection: those that are not accepted are refused alike, counted by their
//! reason, and never written to the log; those that are do what their role may.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan::auth::Role;
use sampan_protocol::control::Refused;
use sampan_protocol::frame::Header;
use sampan_protocol::{Code, Kind, control};
use serde_json::{Value, json};

use crate::harness::{Broker, Raw, hello};

const CONFIG: &str = "[auth]\nissuer = 'https://shop.example'\naudience = ['sampan']\n";

/// Makes tokens as an issuer does that has the broker's secret.
struct Issuer(Vec<u8>);

impl Issuer {
    fn of(broker: &Broker) -> Self {
        let secret = std::fs::read_to_string(broker.data_dir().path().join("jwt-secret"));
        Issuer(secret.expect("the broker has made it").trim().as_bytes().to_vec())
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = sign(&Key::new(HMAC_SHA256, &self.0), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

fn claims_with(changes: Value) -> Value {
    let mut claims = json!({
        "sub": "ann", "role": "service", "iss": "https://shop.example", "aud": "sampan",
        "exp": now_s() + 3600, "iat": now_s(),
    });
    let changes = changes.as_object().expect("an object").clone();
    claims.as_object_mut().expect("an object").extend(changes);
    claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_told_no_reason_and_has_its_counter() {
    let broker = Broker::configured(CONFIG);
    let issuer = Issuer::of(&broker);
    let hs256 = json!({"alg": "HS256"});
    let with = |changes: Value| issuer.token(&hs256, &claims_with(changes));
    let headed = |header: Value| issuer.token(&header, &claims_with(json!({})));
    let good = with(json!({}));
    let mut bystander = Raw::connect(&broker).await;
    bystander.say(&hello(&good), 0).await;
    assert_eq!(bystander.hear().await.expect("answered").header.kind, Kind::Welcome);

    let stranger = Issuer(vec![7; 32]).token(&hs256, &claims_with(json!({})));
    let far = now_s() + 600;
    let cases: &[(&str, &[String])] = &[
        ("missing", &[String::new()]),
        ("malformed", &["garbage".into(), "a.b.c".into(), format!("{good}.x")]),
        ("signature", &[stranger, good[..good.len() - 4].into()]),
        ("algorithm", &[headed(json!({"alg": "none"})), headed(json!({"alg": "HS384"}))]),
        (
            "header",
            &[
                headed(json!({"alg": "HS256", "jku": "https://evil.example/keys"})),
                headed(json!({"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}})),
            ],
        ),
        ("unknown_key", &[headed(json!({"alg": "HS256", "kid": "../../dev/null"}))]),
        (
            "claims",
            &[
                with(json!({"exp": "9999999999"})),
                with(json!({"exp": -1})),
                with(json!({"exp": 1e300})),
                with(json!({"exp": null})),
                with(json!({"sub": 7})),
            ],
        ),
        ("expired", &[with(json!({"exp": now_s() - 3600}))]),
        ("not_yet_valid", &[with(json!({"nbf": far})), with(json!({"iat": far}))]),
        ("issuer", &[with(json!({"iss": "https://other.example"}))]),
        ("audience", &[with(json!({"aud": ["other"]})), with(json!({"aud": null}))]),
        ("role", &[with(json!({"role": "king"}))]),
    ];
    for (reason, tokens) in cases {
        for token in *tokens {
            let mut raw = Raw::connect(&broker).await;
            raw.say(&hello(token), 0).await;
            // A token that has only expired is worth a fresh one; any other is not told apart.
            let code = if *reason == "expired" { Code::TOKEN_EXPIRED } else { Code::BAD_TOKEN };
            assert_eq!(raw.closed().await, code, "{reason}: {token}");
        }
        let counter = format!("sampan_tokens_refused_total{{reason=\"{reason}\"}}");
        broker.metric_reaches(&counter, tokens.len() as f64).await;
    }
    // Longer than the protocol carries, so that it does not even reach the judge.
    let mut long = Raw::connect(&broker).await;
    long.send(&Header::new(Kind::Hello).to_frame(&[], &[b'x'; 64 * 1024]).expect("a frame")).await;
    assert_eq!(long.closed().await, Code::PROTOCOL);

    let log = broker.log();
    let parts = cases.iter().flat_map(|(_, tokens)| *tokens).flat_map(|token| token.split('.'));
    for part in parts.filter(|part| part.len() > 20) {
        assert!(!log.contains(part), "{log}");
    }
    // A token is a bearer's: a second connection may use it, and the first is still there.
    let mut second = Raw::connect(&broker).await;
    second.say(&hello(&good), 0).await;
    assert_eq!(second.hear().await.expect("answered").header.kind, Kind::Welcome);
    for raw in [&mut bystander, &mut second] {
        let pattern = "order.1".to_owned();
        raw.say(&control::Subscribe { pattern, start: control::Start::Now }, 1).await;
        assert_eq!(raw.hear().await.expect("answered").header.kind, Kind::Subscribed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_does_what_its_role_may_and_nothing_else() {
    let broker = Broker::start();
    let mut raw = Raw::greeted(&broker, "ann", Role::Customer).await;
    let wider = ["user.bob", "user.*", "user.>", "*.ann", ">", "order.*", "sys.>"];
    for (pattern, number) in wider.iter().zip(1..) {
        let body = control::Subscribe { pattern: (*pattern).into(), start: control::Start::Now };
        raw.say(&body, number).await;
        let answer = raw.hear().await.expect("answered");
        let refused: Refused = control::decode(&answer).expect("refused");
        let code = Code(refused.code);
        assert!(matches!(code, Code::NOT_GRANTED | Code::NOT_AUTHORIZED), "{pattern}: {code}");
    }
    broker.metric_reaches("sampan_refusals_total", wider.len() as f64).await;
}
