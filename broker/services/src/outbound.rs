//! The one door to programs of other companies: requests over HTTPS, bounded in size and time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use tokio::task::spawn_blocking;
use ureq::Agent;
use ureq::http::Uri;
use ureq::http::header::RETRY_AFTER;
use ureq::tls::{RootCerts, TlsConfig};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// What somebody may be asked to wait at most.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// Asks one address and what is below it, which the operator trusts.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    agent: Agent,
    base: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status of HTTP.
    pub(crate) status: u16,
    /// How long the answerer wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Vec<u8>,
}

impl Outbound {
    /// Asks what is below `base`.
    ///
    /// # Errors
    /// If it is no address of https, nor of http on this machine.
    pub(crate) fn to(base: &str) -> Result<Self, &'static str> {
        let uri: Uri = base.parse().map_err(|_| "not a URL")?;
        let host = uri.host().ok_or("not a full URL")?;
        let is_plain = match uri.scheme_str() {
            Some("https") => false,
            Some("http") if is_loopback(host) => true,
            Some("http") => return Err("http is for this machine only; use https"),
            _ => return Err("must be https"),
        };
        if uri.authority().is_some_and(|all| all.as_str().contains('@')) || uri.query().is_some() {
            return Err("must not contain a user, a password or a query");
        }
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::WebPki)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .build();
        // Redirects stay off: the address is what the operator trusts, not where it points to.
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(ANSWER_TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")));
        if is_plain {
            // A proxy would take the request off the machine.
            config = config.proxy(None);
        }
        let base = base.trim_end_matches('/').to_owned();
        Ok(Outbound { agent: config.build().new_agent(), base })
    }

    /// Gets what is at `path` below the address. Waits 10 s at most.
    ///
    /// # Errors
    /// Why there is no answer, or none under 1 MiB; a later try may have one.
    pub(crate) async fn get(
        &self,
        path: &str,
        (header, value): (&'static str, String),
    ) -> Result<Answer, String> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.base));
        let asked = spawn_blocking(move || {
            let mut answer = agent.get(url).header(header, value).call()?;
            let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| {
                let seconds = value.to_str().ok()?.trim().parse().ok()?;
                Some(Duration::from_secs(seconds).min(WAIT_MAX))
            });
            let status = answer.status().as_u16();
            let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
            Ok(Answer { status, retry_after, body })
        });
        let told = asked.await.map_err(|error| error.to_string())?;
        told.map_err(|error: ureq::Error| error.to_string())
    }
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A text as a part of an address.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_go_to_nobody_over_plain_http() {
        for good in ["https://api.example/v2", "http://127.0.0.1:1", "http://[::1]:1/x/"] {
            assert!(Outbound::to(good).is_ok(), "{good}");
        }
        for bad in ["http://api.example", "ftp://a", "/x", "", "https://u:p@a", "https://a/?k=1"] {
            assert!(Outbound::to(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_cannot_leave_its_place_in_an_address() {
        assert_eq!(encoded("TH-1.2_~"), "TH-1.2_~");
        assert_eq!(encoded("a/../b?c&d=ö"), "a%2F..%2Fb%3Fc%26d%3D%C3%B6");
    }
}
