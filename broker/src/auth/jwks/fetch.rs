//! Fetching a key set over HTTPS: bounded in size and time, from the configured address only.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use ureq::http::Uri;
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Error};

/// Longest key set read, in bytes.
pub(super) const BODY_BYTES_MAX: u64 = 1 << 20;

const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// An address that keys may be trusted from.
#[derive(Clone, Debug)]
pub(in crate::auth) struct Endpoint(Uri);

impl Endpoint {
    /// Checks an address: https, or http where nobody is on the way.
    pub(in crate::auth) fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "not a URL")?;
        let authority = uri.authority().ok_or("not a full URL")?;
        if authority.as_str().contains('@') {
            return Err("must not contain a user or password");
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_loopback(authority.host()) => Ok(Self(uri)),
            Some("http") => Err("http is for loopback hosts only; use https"),
            _ => Err("must be https"),
        }
    }

    fn is_plain(&self) -> bool {
        self.0.scheme_str() == Some("http")
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// Fetches one address.
#[derive(Debug)]
pub(in crate::auth) struct Fetcher {
    agent: Agent,
    endpoint: Endpoint,
}

impl Fetcher {
    pub(super) fn new(endpoint: &Endpoint) -> Self {
        Self::trusting(endpoint, RootCerts::WebPki)
    }

    /// A fetcher that trusts `roots`. The shipped roots keep it from depending on the machine's.
    pub(in crate::auth) fn trusting(endpoint: &Endpoint, roots: RootCerts) -> Self {
        let tls = TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        // Redirects stay off: the address is what the operator trusts, not where it points to.
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(FETCH_TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .max_idle_connections(0)
            .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")));
        if endpoint.is_plain() {
            // A proxy would take the request off the machine.
            config = config.proxy(None);
        }
        Self { agent: config.build().new_agent(), endpoint: endpoint.clone() }
    }

    /// Fetches the key set. Waits for the network, 5 s at most.
    pub(in crate::auth) fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        let mut response = self.agent.get(&self.endpoint.0).call()?;
        if response.status() != 200 {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        Ok(response.body_mut().with_config().limit(BODY_BYTES_MAX).read_to_vec()?)
    }
}

/// Why a fetch failed. The network's or the publisher's fault; the next one may succeed.
#[derive(Debug)]
pub(in crate::auth) enum FetchError {
    /// No answer, a broken one, or one over 1 MiB.
    Http(Error),
    /// An answer other than 200, redirects included.
    Status(u16),
}

impl std::fmt::Display for FetchError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(error) => error.fmt(f),
            Self::Status(status) => write!(f, "answered with status {status}"),
        }
    }
}

impl From<Error> for FetchError {
    fn from(error: Error) -> Self {
        Self::Http(error)
    }
}
