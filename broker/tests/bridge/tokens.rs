//! The token matrix on every transport: one way in, and everything else is refused in its words.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt;
use sampan::auth::Role;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::bad::status_of;
use crate::harness::{Broker, PATIENCE};

#[derive(Clone, Copy, Debug)]
enum Transport {
    Quic,
    WebSocket,
    SocketIo,
    Sse,
    Http,
}

/// Every transport, and what it says to a token that is refused.
const TRANSPORTS: [(Transport, &[&str]); 5] = [
    (Transport::Quic, &["refused"]),
    (Transport::WebSocket, &["BAD_TOKEN", "TOKEN_EXPIRED", "REVOKED", "TOO_LARGE"]),
    (Transport::SocketIo, &["Authentication failed"]),
    // A token of 64 KiB is above the limit of a request's head.
    (Transport::Sse, &["401", "431"]),
    (Transport::Http, &["401", "431"]),
];

/// What a transport says to a token; `in` if it takes it.
async fn answer(broker: &Broker, transport: Transport, token: &str) -> String {
    // Who may ask is told that the topic is not there yet.
    let taken = |status: u16| match status {
        200 | 404 => "in".to_owned(),
        other => other.to_string(),
    };
    match transport {
        Transport::Quic => match broker.try_client(token).await {
            Ok(client) => {
                client.close().await.map_or_else(|error| error.to_string(), |()| "in".to_owned())
            }
            Err(_) => "refused".to_owned(),
        },
        Transport::WebSocket => {
            let mut socket = broker.socket().await;
            socket.say(&json!({"connect": {"token": token}})).await;
            let heard = socket.hear().await;
            match &heard["close"]["name"] {
                Value::String(name) => name.clone(),
                _ => {
                    heard["welcome"].as_object().map_or_else(|| heard.to_string(), |_| "in".into())
                }
            }
        }
        Transport::SocketIo => {
            let path = "/socket.io/?EIO=4&transport=websocket";
            let mut socket = broker.upgrade_at(path, &[]).await.expect("upgraded");
            socket.send(Message::text(format!("40{}", json!({ "token": token })))).await;
            loop {
                let next = timeout(PATIENCE, socket.stream.next()).await.expect("in time");
                let packet = next.expect("open").expect("a frame").into_text().expect("a text");
                if packet.starts_with("40") {
                    return "in".to_owned();
                }
                if let Some(error) = packet.strip_prefix("44") {
                    let error: Value = serde_json::from_str(error).expect("JSON");
                    return error["message"].as_str().expect("a text").to_owned();
                }
            }
        }
        Transport::Sse => {
            let head = format!(
                "GET /v1/sse?topic=user.ann HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            taken(status_of(broker, head.as_bytes()).await)
        }
        Transport::Http => {
            let head = format!(
                "GET /v1/topics/user.ann/history HTTP/1.1\r\nhost: x\r\n\
                 authorization: Bearer {token}\r\n\r\n"
            );
            taken(status_of(broker, head.as_bytes()).await)
        }
    }
}

/// Who signs tokens.
struct Signer(Vec<u8>);

impl Signer {
    /// The token of these very texts.
    fn token_of(&self, header: &str, payload: &str) -> String {
        let message =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()).as_ref());
        format!("{message}.{signature}")
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.token_of(&header.to_string(), &claims.to_string())
    }
}

/// Tokens by what is wrong with them.
fn bad_tokens(ours: &Signer) -> Vec<(&'static str, String)> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let hs256 = || json!({"alg": "HS256", "typ": "JWT"});
    let claims = || json!({"sub": "ann", "role": "customer", "exp": now + 3600});
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        ours.token(&hs256(), &claims)
    };
    let headed = |name: &str, value: Value| {
        let mut header = hs256();
        header[name] = value;
        ours.token(&header, &claims())
    };
    let raw = |text: &str| {
        ours.token_of(&hs256().to_string(), &claims().to_string().replacen('{', text, 1))
    };
    let without = |name: &str| {
        let mut claims = claims();
        claims.as_object_mut().expect("an object").remove(name);
        ours.token(&hs256(), &claims)
    };
    let good = ours.token(&hs256(), &claims());
    let unsigned = good.rsplit_once('.').expect("three parts").0;
    vec![
        ("missing", String::new()),
        ("garbage", "garbage".to_owned()),
        ("three parts of garbage", "a.b.c".to_owned()),
        ("no signature", format!("{unsigned}.")),
        ("another's signature", Signer(vec![7; 32]).token(&hs256(), &claims())),
        ("alg none", headed("alg", "none".into())),
        ("alg HS384", headed("alg", "HS384".into())),
        ("alg RS256", headed("alg", "RS256".into())),
        ("kid unknown", headed("kid", "nobody".into())),
        ("kid path-like", headed("kid", "../../../../dev/null".into())),
        ("kid SQL-like", headed("kid", "x' UNION SELECT 'secret' --".into())),
        ("jwk", headed("jwk", json!({"kty": "oct", "k": "AA"}))),
        ("jku", headed("jku", "https://evil.example/jwks".into())),
        ("x5u", headed("x5u", "https://evil.example/cert".into())),
        ("expired", with("exp", (now - 3600).into())),
        ("exp missing", without("exp")),
        ("exp as text", with("exp", (now + 60).to_string().into())),
        ("exp with a fraction", with("exp", json!(now as f64 + 60.5))),
        ("exp negative", with("exp", (-1).into())),
        ("exp above 2^53", with("exp", 9_007_199_254_740_993_u64.into())),
        ("not yet valid", with("nbf", (now + 3600).into())),
        ("nbf as text", with("nbf", "0".into())),
        ("iat in the future", with("iat", (now + 3600).into())),
        ("sub missing", without("sub")),
        ("sub a number", with("sub", 7.into())),
        ("sub twice", raw(r#"{"sub":"bob","#)),
        ("64 KiB", with("pad", "x".repeat(48_000).into())),
    ]
}

#[tokio::test]
async fn one_token_is_let_in_and_every_other_is_refused_on_every_transport() {
    for (transport, refusals) in TRANSPORTS {
        // Each its own, or the bad tokens of one would make the address wait on the next.
        let broker = Broker::start();
        let secret = std::fs::read_to_string(broker.data().join("jwt-secret")).expect("a secret");
        let ours = Signer(secret.trim().as_bytes().to_vec());
        let good = broker.token("ann", Role::Customer);
        assert_eq!(answer(&broker, transport, &good).await, "in", "{transport:?}");
        let admin = broker.token("root", Role::Admin);
        let bob = broker.token("bob", Role::Customer);
        let reply = broker.post(&admin, "/v1/revoke", &json!({"user": "bob"})).await;
        assert!(reply.status < 300, "{reply:?}");
        let mut rows = bad_tokens(&ours);
        rows.push(("revoked", bob));
        let mut wrong = Vec::new();
        for (name, token) in &rows {
            let said = answer(&broker, transport, token).await;
            if !refusals.contains(&said.as_str()) {
                wrong.push((name, said));
            }
        }
        assert!(wrong.is_empty(), "{transport:?}: {} of {}: {wrong:?}", wrong.len(), rows.len());
        assert_eq!(answer(&broker, transport, &good).await, "in", "{transport:?} afterwards");
    }
}
