//! The one door to programs of other companies: requests over HTTPS, bounded in size and time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use tokio::task::spawn_blocking;
use ureq::Agent;
use ureq::config::{Config, ConfigBuilder};
use ureq::http::header::{LOCATION, RETRY_AFTER};
use ureq::http::{Method, Request, Uri};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::typestate::AgentScope;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long the answer of a stranger may take, and how many bytes it may have.
const STRANGER_TIMEOUT: Duration = Duration::from_secs(5);
const STRANGER_BYTES_MAX: u64 = 4096;
/// What somebody may be asked to wait at most.
const WAIT_MAX: Duration = Duration::from_secs(86_400);

/// Asks one address and what is below it, which the operator trusts.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    agent: Agent,
    base: String,
}

/// Asks addresses that users give, and trusts none of them.
#[derive(Clone, Debug)]
pub(crate) struct Stranger {
    agent: Agent,
    reach: Reach,
}

/// How far a [`Stranger`] reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Public addresses over https.
    #[default]
    Public,
    /// Those of this machine and of the shop's own network too, also without TLS.
    Anywhere,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    pub(crate) headers: Vec<(&'static str, String)>,
    /// Sent with POST; without one it is GET.
    pub(crate) body: Option<Vec<u8>>,
}

impl Question {
    /// The same with a header.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A POST of these bytes.
    pub(crate) fn post(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let question = Question { headers: Vec::new(), body: Some(body.into()) };
        question.header("content-type", content_type)
    }
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status of HTTP.
    pub(crate) status: u16,
    /// How long the answerer wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
    /// Where what was made is, if that is said.
    pub(crate) location: Option<String>,
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
        let mut config = config(ANSWER_TIMEOUT);
        if is_plain {
            // A proxy would take the request off the machine.
            config = config.proxy(None);
        }
        let base = base.trim_end_matches('/').to_owned();
        Ok(Outbound { agent: config.build().new_agent(), base })
    }

    /// Asks at `path` below the address. Waits 10 s at most.
    ///
    /// # Errors
    /// Why there is no answer, or none under 1 MiB; a later try may have one.
    pub(crate) async fn ask(&self, path: &str, question: Question) -> Result<Answer, String> {
        self.send(path, question).await.map_err(|why| why.to_string())
    }

    /// The same for what is not to arrive twice.
    ///
    /// # Errors
    /// Why there is no answer, and whether the question was sent at all.
    pub(crate) async fn send(&self, path: &str, question: Question) -> Result<Answer, Unasked> {
        ask(self.agent.clone(), format!("{}{path}", self.base), question, ANSWER_BYTES_MAX).await
    }
}

impl Stranger {
    /// Reaches that far.
    pub(crate) fn new(reach: Reach) -> Self {
        // A proxy would look names up for itself, and connect to whatever they are there.
        let config = config(STRANGER_TIMEOUT).proxy(None).build();
        let agent = match reach {
            Reach::Anywhere => config.new_agent(),
            Reach::Public => {
                Agent::with_parts(config, DefaultConnector::default(), PublicOnly::default())
            }
        };
        Stranger { agent, reach }
    }

    /// Asks at an address. Waits 5 s at most.
    ///
    /// # Errors
    /// Why it is not asked at all, or has not answered under 4 KiB.
    pub(crate) async fn ask(&self, url: &str, question: Question) -> Result<Answer, Unasked> {
        self.reach.check(url).map_err(|_| Unasked::Refused)?;
        ask(self.agent.clone(), url.to_owned(), question, STRANGER_BYTES_MAX).await
    }
}

impl Reach {
    /// The host of an address that is within reach, in small letters. Where its name leads is seen
    /// when it is asked.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn check(self, url: &str) -> Result<String, &'static str> {
        let uri: Uri = url.parse().map_err(|_| "not a URL")?;
        let authority = uri.authority().ok_or("not a full URL")?;
        if authority.as_str().contains('@') {
            return Err("must not contain a user or a password");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let ip: Option<IpAddr> = host.parse().ok();
        let named = || Ok(host.to_ascii_lowercase());
        match (self, uri.scheme_str(), authority.port_u16()) {
            (Reach::Anywhere, Some("https" | "http"), _) => named(),
            (Reach::Public, Some("https"), None | Some(443)) => match ip.is_none_or(is_public) {
                true => named(),
                false => Err("must be a public address"),
            },
            (Reach::Public, Some("https"), _) => Err("must be at port 443"),
            _ => Err("must be https"),
        }
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Unasked {
    /// It may not be asked.
    Refused,
    /// There was no connection: nothing was sent.
    Unsent(String),
    /// It did not answer, and may have what was sent.
    Silent(String),
}

impl std::fmt::Display for Unasked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unasked::Refused => f.write_str("it may not be asked"),
            Unasked::Unsent(why) | Unasked::Silent(why) => f.write_str(why),
        }
    }
}

impl From<ureq::Error> for Unasked {
    fn from(error: ureq::Error) -> Self {
        let why = error.to_string();
        let is_unsent = match &error {
            ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
            ureq::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
            _ => false,
        };
        if is_unsent { Unasked::Unsent(why) } else { Unasked::Silent(why) }
    }
}

fn config(timeout: Duration) -> ConfigBuilder<AgentScope> {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::WebPki)
        .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
        .build();
    // Redirects stay off: the address is what somebody trusts, not where it points to.
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("sampan/", env!("CARGO_PKG_VERSION")))
}

async fn ask(
    agent: Agent,
    url: String,
    question: Question,
    bytes_max: u64,
) -> Result<Answer, Unasked> {
    let asked = spawn_blocking(move || {
        let method = if question.body.is_some() { Method::POST } else { Method::GET };
        let request = Request::builder().method(method).uri(url);
        let request = question
            .headers
            .into_iter()
            .fold(request, |request, (name, value)| request.header(name, value));
        let mut answer = match question.body {
            Some(body) => agent.run(request.body(body)?)?,
            None => agent.run(request.body(())?)?,
        };
        let header = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = header(RETRY_AFTER).and_then(|value| {
            let seconds = value.trim().parse().ok()?;
            Some(Duration::from_secs(seconds).min(WAIT_MAX))
        });
        let location = header(LOCATION).map(str::to_owned);
        let status = answer.status().as_u16();
        let body = answer.body_mut().with_config().limit(bytes_max).read_to_vec()?;
        Ok(Answer { status, retry_after, location, body })
    });
    let told: Result<Answer, ureq::Error> =
        asked.await.map_err(|error| Unasked::Silent(error.to_string()))?;
    Ok(told?)
}

/// Looks names up, and knows none that leads to a private address. The connection goes to what was
/// looked at, so that a name cannot lead elsewhere a moment later.
#[derive(Debug, Default)]
struct PublicOnly(DefaultResolver);

impl Resolver for PublicOnly {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        match found.iter().all(|address| is_public(address.ip())) {
            true => Ok(found),
            false => Err(ureq::Error::HostNotFound),
        }
    }
}

/// Whether an address is one of the public internet, whatever form it has.
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, c, _] = ip.octets();
            let is_special = ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_documentation()
                || a == 0
                || a >= 224
                || (a == 100 && (64..128).contains(&b))
                || (a == 198 && (18..20).contains(&b))
                || (a == 192 && b == 0 && c == 0)
                || (a == 192 && b == 88 && c == 99);
            !is_special
        }
        IpAddr::V6(ip) => {
            let parts = ip.segments();
            // NAT64 and 6to4 carry an address of version 4.
            let inner = match parts {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
                    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
                }
                _ => None,
            };
            if let Some(inner) = inner {
                return is_public(inner.into());
            }
            // What is left of 2000::/3 without Teredo, documentation and what serves protocols.
            parts[0] & 0xe000 == 0x2000
                && !(parts[0] == 0x2001 && parts[1] < 0x0200)
                && !(parts[0] == 0x2001 && parts[1] == 0x0db8)
                && !(parts[0] == 0x3fff && parts[1] < 0x1000)
        }
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
    fn an_address_of_a_user_leads_to_the_public_internet_or_nowhere() {
        let public =
            ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2002:808:808::1", "64:ff9b::808:808"];
        for good in public {
            assert!(is_public(good.parse().unwrap()), "{good}");
        }
        let private = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ];
        for bad in private {
            assert!(!is_public(bad.parse().unwrap()), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_stranger_is_asked_by_no_trick_at_all() {
        let stranger = Stranger::new(Reach::Public);
        let refused = [
            "http://push.example/1",
            "https://user:p@push.example/",
            "https://push.example:8443/",
            "ftp://push.example/",
            "file:///etc/passwd",
            "/1",
            "",
            "https://",
            "https://127.0.0.1/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
        ];
        for url in refused {
            let asked = stranger.ask(url, Question::default()).await;
            assert!(matches!(asked, Err(Unasked::Refused)), "{url}: {asked:?}");
        }
        let nowhere = [
            // Names that the system leads to this machine.
            "https://localhost/",
            "https://localhost./",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://0177.0.0.1/",
            "https://0/",
        ];
        for url in nowhere {
            let asked = stranger.ask(url, Question::default()).await;
            let Err(Unasked::Silent(why) | Unasked::Unsent(why)) = asked else {
                panic!("{url}: {asked:?}")
            };
            assert!(why.contains("host not found") || why.contains("io"), "{url}: {why}");
        }
    }

    #[test]
    fn a_number_cannot_leave_its_place_in_an_address() {
        assert_eq!(encoded("TH-1.2_~"), "TH-1.2_~");
        assert_eq!(encoded("a/../b?c&d=ö"), "a%2F..%2Fb%3Fc%26d%3D%C3%B6");
    }
}
