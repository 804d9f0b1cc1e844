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
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::Asked;
use super::keys::{Vouched, es256};

/// Of the one key that is known, and of its team.
pub(crate) const KEY_ID: &str = "KEY1234567";
pub(crate) const TEAM_ID: &str = "TEAM123456";

/// Apple on this machine.
#[derive(Clone)]
pub(crate) struct Apple {
    pub(crate) address: SocketAddr,
    /// Certificate of who vouches for it.
    pub(crate) root: String,
    public: Vec<u8>,
    script: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Ends every connection when it changes.
    pub(crate) goodbye: tokio::sync::watch::Sender<u32>,
    /// What comes while it is true is never answered.
    pub(crate) mute: tokio::sync::watch::Sender<bool>,
}

impl Apple {
    pub(crate) async fn start(public: Vec<u8>) -> Self {
        let Vouched { certificate, key, root } = Vouched::localhost();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM");
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("a certificate");
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let apple = Apple {
            address: listener.local_addr().expect("bound"),
            root,
            public,
            script: Arc::default(),
            asked: Arc::default(),
            connections: Arc::default(),
            goodbye: tokio::sync::watch::Sender::new(0),
            mute: tokio::sync::watch::Sender::new(false),
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
        let asked = Asked { path: head.uri.path().to_owned(), headers: head.headers, body };
        let id = asked.header("apns-id").to_owned();
        let (status, said) = match self.refusal(&asked) {
            Some((status, reason)) => (status, json!({ "reason": reason })),
            None => {
                let scripted = self.script.lock().expect("no panic").pop_front();
                scripted.unwrap_or((200, Value::Null))
            }
        };
        self.asked.lock().expect("no panic").push(asked);
        if *self.mute.borrow() {
            std::future::pending::<()>().await;
        }
        // Long enough for streams to wait for one another.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let said = if said.is_null() { String::new() } else { said.to_string() };
        let answer = Response::builder().status(status).header("apns-id", id);
        answer.body(Full::new(Bytes::from(said))).expect("an answer")
    }

    /// What is wrong with a question.
    fn refusal(&self, asked: &Asked) -> Option<(u16, &'static str)> {
        let device = asked.path.strip_prefix("/3/device/").unwrap_or_default();
        let bearer = asked.header("authorization").strip_prefix("bearer ").unwrap_or_default();
        let is_known = es256(bearer, &self.public)
            .is_some_and(|(header, claims)| header["kid"] == KEY_ID && claims["iss"] == TEAM_ID);
        let is_hex = !device.is_empty() && device.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_text = |name: &str, texts: &[&str]| texts.contains(&asked.header(name));
        let expiration = asked.header("apns-expiration");
        let payload: Option<Value> = serde_json::from_slice(&asked.body).ok();
        [
            (is_known, 403, "InvalidProviderToken"),
            (is_hex, 400, "BadDeviceToken"),
            (!asked.header("apns-topic").is_empty(), 400, "MissingTopic"),
            (is_text("apns-push-type", &["", "alert", "background"]), 400, "InvalidPushType"),
            (is_text("apns-priority", &["", "1", "5", "10"]), 400, "BadPriority"),
            (expiration.bytes().all(|byte| byte.is_ascii_digit()), 400, "BadExpirationDate"),
            (asked.header("apns-collapse-id").len() <= 64, 400, "BadCollapseId"),
            (asked.body.len() <= 4096, 413, "PayloadTooLarge"),
            (payload.is_some_and(|payload| payload["aps"].is_object()), 400, "PayloadEmpty"),
        ]
        .into_iter()
        .find_map(|(holds, status, reason)| (!holds).then_some((status, reason)))
    }

    pub(crate) fn next(&self, status: u16, said: Value) {
        self.script.lock().expect("no panic").push_back((status, said));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }
}
