//! Published key sets: taking them over, rotating, and keeping the old ones when it goes wrong.
//!
//! The clock is tokio's paused one, so minutes pass at once; the HTTP server is real.

use std::future::{Future, ready};
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::{EC, ED, Fixture, HMAC, NOW, RSA, Signer, claims, new_ec};
use crate::auth::jwks::{self, Document, DocumentError};
use crate::auth::{Algorithm, Config, Refused, Verifier};

/// An HTTP server that gives everyone the same answer and notes the paths asked for.
struct Issuer {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Vec::new()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let issuer = Self { address, answer: answer.clone(), asked: asked.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                let request = lines.next().unwrap_or_default();
                let _headers = lines.by_ref().take_while(|line| !line.is_empty()).count();
                asked.lock().unwrap().push(request.split(' ').nth(1).unwrap_or("").to_owned());
                let answer = answer.lock().unwrap().clone();
                // A client that has read enough closes first.
                let _ = stream.write_all(&answer);
            }
        });
        issuer
    }

    fn answer(&self, status: &str, headers: &str, body: &str) {
        let bytes = body.len();
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {bytes}\r\nConnection: close\r\n{headers}\r\n{body}"
        )
        .into_bytes();
    }

    fn publish(&self, keys: &[Value]) {
        self.answer("200 OK", "", &json!({ "keys": keys }).to_string());
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn config(&self) -> Config {
        let url = format!("http://{}/jwks?project=1", self.address);
        Config { jwks_url: Some(url), ..Config::default() }
    }
}

/// A verifier whose keys are being followed until this is dropped or stopped.
struct Following {
    fixture: Fixture,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn follow(config: &Config) -> Following {
    let fixture = Fixture::new(tempfile::tempdir().unwrap(), config, None);
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { drop(stopped.await) };
    let task = tokio::spawn(jwks::run(fixture.verifier.clone(), shutdown));
    Following { fixture, stop, task }
}

impl Following {
    fn verifier(&self) -> &Verifier {
        &self.fixture.verifier
    }

    fn outcome(&self, signer: &Signer, kid: &str) -> &'static str {
        let token = signer.token(Some(kid), &claims());
        self.verifier().verify(&token, NOW).map_or_else(Refused::label, |_| "accepted")
    }
}

/// Lets virtual time pass until `is_true`; an hour is too long.
async fn until(what: &str, is_true: impl Fn() -> bool) {
    for _ in 0..3600 {
        if is_true() {
            return;
        }
        sleep(Duration::from_secs(1)).await;
    }
    panic!("not within an hour: {what}");
}

fn paused(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(test);
}

#[test]
fn keys_of_a_url_are_accepted_once_fetched() {
    let issuer = Issuer::start();
    issuer.publish(&[RSA.jwk("a"), EC.jwk("b"), ED.jwk("c")]);
    paused(async {
        let following = follow(&issuer.config());
        assert_eq!(following.outcome(&RSA, "a"), "unknown_key");
        assert_eq!(following.verifier().key_counts().keys, 0);
        until("fetched", || following.verifier().key_counts().keys == 3).await;
        assert_eq!(following.outcome(&RSA, "a"), "accepted");
        assert_eq!(following.outcome(&EC, "b"), "accepted");
        assert_eq!(following.outcome(&ED, "c"), "accepted");
        assert_eq!(following.outcome(&ED, "a"), "algorithm");
        assert_eq!(*issuer.asked.lock().unwrap(), ["/jwks?project=1"]);
    });
}

#[test]
fn a_rotated_key_counts_while_both_are_published_and_not_after() {
    let (old, new) = (new_ec(), new_ec());
    let issuer = Issuer::start();
    issuer.publish(&[old.jwk("old")]);
    paused(async {
        let following = follow(&issuer.config());
        until("first set", || following.outcome(&old, "old") == "accepted").await;
        issuer.publish(&[old.jwk("old"), new.jwk("new")]);
        until("overlap", || following.outcome(&new, "new") == "accepted").await;
        assert_eq!(following.outcome(&old, "old"), "accepted");
        issuer.publish(&[new.jwk("new")]);
        until("after", || following.outcome(&old, "old") == "unknown_key").await;
        assert_eq!(following.outcome(&new, "new"), "accepted");
    });
}

#[test]
fn unknown_keys_bring_a_fetch_forward_but_not_more_than_every_ten_seconds() {
    let issuer = Issuer::start();
    issuer.publish(&[EC.jwk("b")]);
    paused(async {
        let following = follow(&issuer.config());
        until("fetched", || issuer.asked() == 1).await;
        sleep(Duration::from_secs(100)).await;
        assert_eq!(issuer.asked(), 1);
        assert_eq!(following.outcome(&EC, "new"), "unknown_key");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(issuer.asked(), 2);
        for _ in 0..600 {
            assert_eq!(following.outcome(&EC, "flood"), "unknown_key");
            sleep(Duration::from_millis(100)).await;
        }
        let fetches = issuer.asked() - 2;
        assert!((5..=6).contains(&fetches), "{fetches} fetches in a minute");
    });
}

#[test]
fn the_set_is_fetched_again_every_refresh_interval() {
    let issuer = Issuer::start();
    issuer.publish(&[EC.jwk("b")]);
    paused(async {
        let config = Config { jwks_refresh_s: 60, ..issuer.config() };
        let _following = follow(&config);
        until("fetched", || issuer.asked() == 1).await;
        sleep(Duration::from_secs(605)).await;
        assert_eq!(issuer.asked(), 11);
    });
}

#[test]
fn a_failed_refresh_keeps_the_keys_and_is_counted() {
    let big = format!(r#"{{"keys":[],"pad":"{}"}}"#, "x".repeat(1 << 20));
    let many = json!({ "keys": vec![EC.jwk("b"); 33] }).to_string();
    let elsewhere = "Location: /elsewhere\r\n";
    let answers = [
        ("500 Internal Server Error", "", "{\"keys\":[]}"),
        ("204 No Content", "", ""),
        ("302 Found", elsewhere, ""),
        ("200 OK", "", "<html>"),
        ("200 OK", "", "[]"),
        ("200 OK", "", "{\"keys\":{}}"),
        ("200 OK", "", &big),
        ("200 OK", "", &many),
        ("nonsense", "", ""),
    ];
    let issuer = Issuer::start();
    issuer.publish(&[EC.jwk("b")]);
    paused(async {
        let following = follow(&issuer.config());
        let counts = || following.verifier().key_counts();
        until("fetched", || counts().refreshes == 1).await;
        for (status, headers, body) in answers {
            let before = counts().failures;
            issuer.answer(status, headers, body);
            until(status, || counts().failures > before).await;
            assert_eq!(following.outcome(&EC, "b"), "accepted", "{status}");
        }
        assert_eq!(counts().refreshes, 1);
        assert!(!issuer.asked.lock().unwrap().contains(&"/elsewhere".to_owned()));
        issuer.publish(&[]);
        until("an empty set is a set", || counts().keys == 0).await;
    });
}

#[test]
fn a_first_fetch_that_fails_is_retried_within_seconds() {
    let issuer = Issuer::start();
    paused(async {
        let following = follow(&issuer.config());
        until("failed", || following.verifier().key_counts().failures == 1).await;
        issuer.publish(&[EC.jwk("b")]);
        sleep(Duration::from_secs(11)).await;
        assert_eq!(following.outcome(&EC, "b"), "accepted");
    });
}

#[test]
fn a_changed_file_counts_within_seconds_and_a_bad_one_never() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("jwks.json");
    let publish = |text: String| {
        let draft = directory.path().join("draft");
        std::fs::write(&draft, text).unwrap();
        std::fs::rename(&draft, &file).unwrap();
    };
    let (old, new) = (new_ec(), new_ec());
    publish(json!({ "keys": [old.jwk("old")] }).to_string());
    paused(async {
        let config = Config { jwks_file: Some(file.clone()), ..Config::default() };
        let following = follow(&config);
        assert_eq!(following.outcome(&old, "old"), "accepted");
        sleep(Duration::from_secs(3)).await;
        publish(json!({ "keys": [old.jwk("old"), new.jwk("new")] }).to_string());
        sleep(Duration::from_secs(3)).await;
        assert_eq!(following.outcome(&new, "new"), "accepted");
        publish("{".to_owned());
        sleep(Duration::from_secs(30)).await;
        assert_eq!(following.verifier().key_counts().failures, 1);
        std::fs::remove_file(&file).unwrap();
        sleep(Duration::from_secs(30)).await;
        assert_eq!(following.verifier().key_counts().failures, 2);
        assert_eq!(following.outcome(&old, "old"), "accepted");
        publish(json!({ "keys": [new.jwk("new")] }).to_string());
        sleep(Duration::from_secs(3)).await;
        assert_eq!(following.outcome(&old, "old"), "unknown_key");
        assert_eq!(following.outcome(&new, "new"), "accepted");
    });
}

#[test]
fn following_ends_on_shutdown_or_when_there_is_nothing_to_follow() {
    let issuer = Issuer::start();
    issuer.publish(&[EC.jwk("b")]);
    paused(async {
        let following = follow(&issuer.config());
        until("fetched", || issuer.asked() == 1).await;
        following.stop.send(()).unwrap();
        following.task.await.unwrap();
        let alone = Fixture::with_secret(&Config::default());
        jwks::run(alone.verifier.clone(), std::future::pending()).await;
        jwks::run(following.fixture.verifier.clone(), ready(())).await;
    });
}

#[test]
fn only_keys_that_check_tokens_are_taken_from_a_set() {
    let with = |mut key: Value, name: &str, value: Value| {
        key[name] = value;
        key
    };
    let weak = {
        let mut key = RSA.jwk("weak");
        key["n"] = "AQAB".into();
        key
    };
    let keys = json!({ "keys": [
        EC.jwk("good"),
        with(ED.jwk("also good"), "alg", "Ed25519".into()),
        HMAC.jwk("shared"),
        with(RSA.jwk("for encryption"), "use", "enc".into()),
        with(EC.jwk("for signing"), "key_ops", json!(["sign"])),
        with(RSA.jwk("for PS256"), "alg", "PS256".into()),
        with(RSA.jwk("for HMAC"), "alg", "HS256".into()),
        with(EC.jwk("off the curve"), "x", EC.jwk("")["y"].clone()),
        with(EC.jwk("other curve"), "crv", "P-384".into()),
        with(ED.jwk("short"), "x", "AAAA".into()),
        with(EC.jwk("not base64"), "x", "!".into()),
        weak,
        "not a key",
    ]});
    let document = Document::parse(keys.to_string().as_bytes(), &Algorithm::ALL).unwrap();
    let ids: Vec<_> = document.keys.iter().filter_map(|key| key.id.as_deref()).collect();
    assert_eq!(ids, ["good", "also good"]);
    assert_eq!(document.skipped, 11);
    let error = Document::parse(b"{}", &Algorithm::ALL).unwrap_err();
    assert_eq!(error, DocumentError::NotAKeySet);
}
