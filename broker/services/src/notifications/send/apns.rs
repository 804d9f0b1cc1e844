//! Apple Push Notification service, over HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_core::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper::header::HeaderValue;
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::super::rules::provider::{Class, Provider, priority, ttl};
use super::jws::Key;
use super::{Endpoint, Outcome, Outgoing, Sender};
use crate::moment::Moment;

/// How long a connection may take to be made, and an answer to come.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time between two looks whether Apple is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// A token is used so long: Apple wants it to be 20 to 60 minutes old at most.
const TOKEN_TTL: Duration = Duration::from_secs(40 * 60);
/// Bytes of a payload.
const PAYLOAD_BYTES_MAX: usize = 4096;
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4096;

/// Sends to Apple's devices.
pub(super) struct Apns {
    host: String,
    port: u16,
    tls: TlsConnector,
    key: Key,
    key_id: String,
    team_id: String,
    token: Mutex<Option<(String, Moment)>>,
    /// The one connection, which all attempts share, and its number.
    connection: Mutex<Option<(u64, Connection)>>,
    numbers: AtomicU64,
}

type Connection = SendRequest<Full<Bytes>>;

impl std::fmt::Debug for Apns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Apns").field("host", &self.host).finish_non_exhaustive()
    }
}

/// The refusal of an attempt.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    reason: String,
    timestamp: Option<i64>,
}

impl Apns {
    /// Sends with a key of a team, to the service at `https://HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(
        url: &str,
        key: &str,
        [key_id, team_id]: [&str; 2],
        certificate: Option<&[u8]>,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| format!("{url}: not a URL"))?;
        let (Some("https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            return Err(format!("{url}: must be https"));
        };
        let mut roots = RootCertStore::empty();
        match certificate {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(pem) => {
                for one in CertificateDer::pem_slice_iter(pem) {
                    let one = one.map_err(|error| format!("ca_file: {error}"))?;
                    roots.add(one).map_err(|error| format!("ca_file: {error}"))?;
                }
            }
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| error.to_string())?;
        let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Apns {
            host: host.to_owned(),
            port: uri.port_u16().unwrap_or(443),
            tls: TlsConnector::from(Arc::new(tls)),
            key: Key::elliptic(key).map_err(|why| format!("key: {why}"))?,
            key_id: key_id.to_owned(),
            team_id: team_id.to_owned(),
            token: Mutex::new(None),
            connection: Mutex::new(None),
            numbers: AtomicU64::new(0),
        })
    }

    /// The token of this hour. A new one is made as seldom as Apple wants.
    async fn token(&self, now: Moment) -> Result<String, Outcome> {
        let mut token = self.token.lock().await;
        if let Some((known, made)) = token.as_ref()
            && now.since(*made) < TOKEN_TTL
        {
            return Ok(known.clone());
        }
        let header = json!({ "alg": "ES256", "kid": self.key_id });
        let claims = json!({ "iss": self.team_id, "iat": now.as_ms() / 1_000 });
        let signed = self.key.sign(&header, &claims);
        let signed = signed.map_err(|why| Outcome::refused(Class::Retry, why))?;
        *token = Some((signed.clone(), now));
        Ok(signed)
    }

    /// The connection, made anew if the last one has ended or takes nothing more.
    async fn connection(&self) -> Result<(u64, Connection), String> {
        let mut connection = self.connection.lock().await;
        if let Some(known) = connection.as_ref().filter(|(_, known)| !known.is_closed()) {
            return Ok(known.clone());
        }
        let made = timeout(TIMEOUT, self.connect()).await.map_err(|_| "no connection in time")?;
        let made = (self.numbers.fetch_add(1, Ordering::Relaxed), made?);
        *connection = Some(made.clone());
        Ok(made)
    }

    /// Gives a connection up, if it is still the one that all share.
    async fn leave(&self, number: u64) {
        self.connection.lock().await.take_if(|(known, _)| *known == number);
    }

    async fn connect(&self) -> Result<Connection, String> {
        let bare = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let stream = TcpStream::connect((bare.as_str(), self.port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
        let stream = self.tls.connect(name, stream).await.map_err(|error| error.to_string())?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Err("it does not speak HTTP/2".to_owned());
        }
        let mut builder = Builder::new(TokioExecutor::new());
        // TCP alone sees after a quarter of an hour that nobody is there any more.
        builder.timer(TokioTimer::new()).keep_alive_interval(KEEP_ALIVE);
        builder.keep_alive_timeout(TIMEOUT).keep_alive_while_idle(true);
        let made = builder.handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|error| error.to_string())?;
        // It ends with the last handle, or when Apple ends it.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to APNs has ended");
            }
        });
        Ok(sender)
    }

    async fn attempt(&self, one: &Outgoing, now: Moment) -> Result<Outcome, Outcome> {
        let token = self.token(now).await?;
        let outcome = self.say(self.request(one, &token, now)?).await?;
        if outcome.code != "ExpiredProviderToken" {
            return Ok(outcome);
        }
        // It was made by a clock that was wrong: nothing is at fault that another one mends.
        self.token.lock().await.take_if(|(known, _)| *known == token);
        let token = self.token(now).await?;
        self.say(self.request(one, &token, now)?).await
    }

    async fn say(&self, request: Request<Full<Bytes>>) -> Result<Outcome, Outcome> {
        let connection = self.connection().await;
        let (number, mut connection) = connection.map_err(|why| Outcome::unsent(&why))?;
        let said = timeout(TIMEOUT, async {
            if connection.ready().await.is_err() {
                self.leave(number).await;
                return Err(Outcome::refused(Class::Retry, "going_away"));
            }
            let answer = connection.send_request(request).await;
            outcome(answer.map_err(|error| match is_untouched(&error) {
                true => Outcome::refused(Class::Retry, "going_away"),
                false => Outcome::silent(&error.to_string()),
            })?)
            .await
        });
        match said.await {
            Ok(said) => said,
            Err(_) => {
                // Nobody may be there any more, though no end of it was told.
                self.leave(number).await;
                Err(Outcome::silent("no answer in time"))
            }
        }
    }

    fn request(
        &self,
        one: &Outgoing,
        bearer: &str,
        now: Moment,
    ) -> Result<Request<Full<Bytes>>, Outcome> {
        let Endpoint::Apns { token, app } = &one.endpoint else {
            return Err(Outcome::refused(Class::Ours, "wrong_endpoint"));
        };
        let payload = payload(one).to_string();
        if payload.len() > PAYLOAD_BYTES_MAX {
            return Err(Outcome::refused(Class::Ours, "too_long"));
        }
        let uri = format!("https://{}:{}/3/device/{token}", self.host, self.port);
        let mut request = Request::post(uri)
            .header("authorization", format!("bearer {bearer}"))
            .header("apns-id", &one.delivery_id)
            .header("apns-topic", app)
            .header("apns-push-type", "alert");
        let optional = [
            ("apns-priority", priority(Provider::Apns, one.priority).map(str::to_owned)),
            ("apns-expiration", ttl(Provider::Apns, one.expires_at, now)),
            ("apns-collapse-id", one.collapse.clone().filter(|id| id.len() <= 64)),
        ];
        for (name, value) in optional {
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                request = request.header(name, value);
            }
        }
        let body = Full::new(Bytes::from(payload));
        request.body(body).map_err(|_| Outcome::refused(Class::Gone, "bad_token"))
    }
}

impl Sender for Apns {
    fn provider(&self) -> Provider {
        Provider::Apns
    }

    fn send<'a>(&'a self, one: &'a Outgoing, now: Moment) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.attempt(one, now).await.unwrap_or_else(|outcome| outcome) })
    }
}

fn payload(one: &Outgoing) -> serde_json::Value {
    let content = &one.content;
    let mut aps = json!({ "alert": { "title": content.title, "body": content.body } });
    if let Some(badge) = content.badge {
        aps["badge"] = json!(badge);
    }
    if let Some(sound) = &content.sound {
        aps["sound"] = json!(sound);
    }
    let mut payload = json!({ "aps": aps, "type": content.kind, "data": content.data });
    if let Some(url) = &content.action_url {
        payload["action_url"] = json!(url);
    }
    payload
}

async fn outcome(answer: Response<hyper::body::Incoming>) -> Result<Outcome, Outcome> {
    let status = answer.status().as_u16();
    let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let message_id = header("apns-id").map(str::to_owned);
    let retry_after = header("retry-after").and_then(|text| text.parse().ok());
    let retry_after = retry_after.map(Duration::from_secs);
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let said: Said = serde_json::from_slice(&body).unwrap_or_default();
    let outcome = Outcome::of(Provider::Apns, status, &said.reason, false);
    let gone_since = said.timestamp.filter(|_| status == 410).map(Moment::from_ms);
    Ok(Outcome { message_id, retry_after, gone_since, ..outcome })
}

/// Whether Apple has said, or we know, that it did nothing about a request: it was never on its way,
/// or came behind the last that a connection's end takes in.
fn is_untouched(error: &hyper::Error) -> bool {
    let cause =
        std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<h2::Error>());
    error.is_canceled()
        || cause.is_some_and(|cause| {
            let is_refused = cause.reason() == Some(h2::Reason::REFUSED_STREAM);
            cause.is_remote() && (cause.is_go_away() || is_refused)
        })
}
