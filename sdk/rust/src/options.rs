//! How a client is set up.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{Endpoint, Error};

/// Where the access token comes from.
#[derive(Clone)]
pub enum Token {
    /// One token for the life of the client. When it is refused or expires, the client is closed.
    Static(String),
    /// Asked for a token before the first connection, before the token expires and once after a
    /// refusal.
    Provider(Arc<dyn TokenProvider>),
}

impl Token {
    /// A provider from an async function.
    ///
    /// ```
    /// # use sampan_client::{Error, Token};
    /// let token = Token::from_fn(|| async { Ok::<_, Error>("fetched".to_owned()) });
    /// ```
    pub fn from_fn<F, R>(provider: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, Error>> + Send + 'static,
    {
        Token::Provider(Arc::new(FromFn(provider)))
    }
}

impl std::fmt::Debug for Token {
    /// Names the sort of token and never the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Token::Static(_) => "Static",
            Token::Provider(_) => "Provider",
        })
    }
}

/// A source of fresh access tokens.
pub trait TokenProvider: Send + Sync {
    /// Fetches a token that is valid from this moment on.
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send + '_>>;
}

struct FromFn<F>(F);

impl<F, R> TokenProvider for FromFn<F>
where
    F: Fn() -> R + Send + Sync,
    R: Future<Output = Result<String, Error>> + Send + 'static,
{
    fn token(&self) -> Pin<Box<dyn Future<Output = Result<String, Error>> + Send + '_>> {
        Box::pin((self.0)())
    }
}

/// Which certificates the client accepts.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The certificate authorities of the operating system.
    System,
    /// Only these certificates, as PEM: authorities, or the broker's own certificate.
    Pem(Vec<u8>),
}

/// Everything a client is told at its start.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the broker is: `quic://HOST:PORT`; the port may be left out and is 3001 then. Not used
    /// by an in-process client.
    pub url: String,
    /// The access token or its source.
    pub token: Token,
    /// Which certificates are accepted. Default: those of the system. Not used with `endpoint`.
    pub trust: Trust,
    /// Name and version of the application, at most 128 bytes; it appears in the broker's logs.
    pub client: String,
    /// Socket and TLS state to share with other clients. Default: one of its own.
    pub endpoint: Option<Endpoint>,
    /// How long `connect` tries before it fails. Default 10 s.
    pub connect_timeout: Duration,
    /// Publishes that may wait for their ack. Default 4,096.
    pub pending_max: usize,
    /// Bytes of publishes that may wait for their ack. Default 8 MiB.
    pub pending_bytes_max: usize,
    /// Messages that may wait in each subscription for its reader. Default 4,096. When they do, the
    /// lane of the topic stops, which the broker sees as a slow reader.
    pub queue_max: usize,
    /// Seed of the jitter and the producer id, for tests that repeat. Default: random.
    pub seed: Option<u64>,
}

impl Options {
    /// Options with all defaults for the broker at `url`.
    #[must_use]
    pub fn new(url: impl Into<String>, token: Token) -> Self {
        Options {
            url: url.into(),
            token,
            trust: Trust::System,
            client: concat!("sampan-client/", env!("CARGO_PKG_VERSION")).to_owned(),
            endpoint: None,
            connect_timeout: Duration::from_secs(10),
            pending_max: 4096,
            pending_bytes_max: 8 * 1024 * 1024,
            queue_max: 4096,
            seed: None,
        }
    }
}
