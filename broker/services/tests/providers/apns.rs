//! APNs: `POST /3/device/{token}` over HTTP/2 with a token of the team, as documented on 2026-11-23.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use sampan_services::Moment;
use sampan_services::notifications::rules::provider::Class;
use sampan_services::notifications::send::{Content, Endpoint, Outgoing, Sender, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::keys::{Pair, es256};
use super::{NOW, Place, outgoing};

/// Apple on this machine.
#[derive(Clone)]
struct Apple {
    address: SocketAddr,
    /// Certificate of who vouches for it.
    root: String,
    public: Vec<u8>,
    script: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
    connections: Arc<AtomicUsize>,
    /// Ends every connection when it changes.
    goodbye: tokio::sync::watch::Sender<u32>,
}

impl Apple {
    async fn start(public: Vec<u8>) -> Self {
        let mut root = CertificateParams::new(Vec::new()).expect("valid");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root =
            CertifiedIssuer::self_signed(root, KeyPair::generate().expect("a key")).expect("made");
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("valid");
        let own = own.signed_by(&key, &root).expect("signed");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![own.der().clone()],
                key.serialize_der().try_into().expect("a key"),
            )
            .expect("a certificate");
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let apple = Apple {
            address: listener.local_addr().expect("bound"),
            root: root.pem(),
            public,
            script: Arc::default(),
            asked: Arc::default(),
            connections: Arc::default(),
            goodbye: tokio::sync::watch::Sender::new(0),
        };
        let its = apple.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (apple, acceptor) = (its.clone(), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    apple.connections.fetch_add(1, Ordering::Relaxed);
                    apple.serve(stream).await;
                });
            }
        });
        apple
    }

    async fn serve(&self, stream: tokio_rustls::server::TlsStream<tokio::net::TcpStream>) {
        let apple = self.clone();
        let service = service_fn(move |request| {
            let apple = apple.clone();
            async move { Ok::<_, Infallible>(apple.answer(request).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.max_concurrent_streams(2);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        let mut goodbye = self.goodbye.subscribe();
        tokio::select! {
            _ = connection.as_mut() => {}
            _ = goodbye.changed() => {
                // GOAWAY, then the end when what is open has been answered.
                connection.as_mut().graceful_shutdown();
                let _ = connection.await;
            }
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("whole").to_bytes();
        let header =
            |name: &str| head.headers.get(name).map_or("", |value| value.to_str().expect("text"));
        let id = header("apns-id").to_owned();
        let bearer = header("authorization").strip_prefix("bearer ").unwrap_or_default();
        let signed = es256(bearer, &self.public);
        let scripted = self.script.lock().expect("no panic").pop_front();
        let (status, said) = match (signed, scripted) {
            (None, _) => (403, json!({ "reason": "InvalidProviderToken" })),
            (Some((header, claims)), None) => {
                assert_eq!((&header["kid"], &claims["iss"]), (&"KEY1".into(), &"TEAM1".into()));
                (200, Value::Null)
            }
            (Some(_), Some(scripted)) => scripted,
        };
        assert!(body.len() <= 4096);
        let payload = serde_json::from_slice(&body).expect("JSON");
        let asked = (head.uri.path().to_owned(), head.headers, payload);
        self.asked.lock().expect("no panic").push(asked);
        // Long enough for streams to wait for one another.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let said = if said.is_null() { String::new() } else { said.to_string() };
        let answer = Response::builder().status(status).header("apns-id", id);
        answer.body(Full::new(Bytes::from(said))).expect("an answer")
    }

    fn next(&self, status: u16, said: Value) {
        self.script.lock().expect("no panic").push_back((status, said));
    }

    fn asked(&self) -> Vec<(String, HeaderMap, Value)> {
        self.asked.lock().expect("no panic").clone()
    }
}

async fn begun() -> (Place, Apple, Arc<dyn Sender>) {
    let (place, pair) = (Place::new().await, Pair::elliptic());
    let apple = Apple::start(pair.public.clone()).await;
    let sender = place.open(&settings(&place, &apple, &pair.pem));
    (place, apple, sender)
}

fn settings(place: &Place, apple: &Apple, pem: &str) -> Settings {
    Settings::Apns {
        key_file: place.file("AuthKey.p8", pem),
        key_id: "KEY1".to_owned(),
        team_id: "TEAM1".to_owned(),
        url: Some(format!("https://localhost:{}", apple.address.port())),
        ca_file: Some(place.file("root.pem", &apple.root)),
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
    let (path, headers, payload) = apple.asked().remove(0);
    assert_eq!(path, "/3/device/a1b2");
    let expires = one.expires_at.as_ms() / 1_000;
    for (name, value) in [
        ("apns-topic", "com.example.shop"),
        ("apns-push-type", "alert"),
        ("apns-priority", "10"),
        ("apns-expiration", &expires.to_string()),
        ("apns-collapse-id", one.collapse.as_deref().expect("one")),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
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
            all.iter().map(|(_, headers, _)| headers["authorization"].clone()).collect();
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
        (403, "ExpiredProviderToken", Class::Ours),
        (405, "MethodNotAllowed", Class::Ours),
        (413, "PayloadTooLarge", Class::Ours),
        (429, "TooManyRequests", Class::Wait),
        (429, "TooManyProviderTokenUpdates", Class::Wait),
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
    let trusting = Settings::Apns { key_file, key_id, team_id, url: Some(url), ca_file: None };
    let outcome = place.open(&trusting).send(&phone(), NOW).await;
    assert_eq!((outcome.class, outcome.code.as_str()), (Class::Retry, "no_connection"));
}
