//! From options to a live client.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use protocol::limits::CLIENT_BYTES_MAX;
use protocol::session::Client as Session;
use protocol::session::client;
use tokio::sync::oneshot;

use crate::handle::Handle;
use crate::publisher::gone;
use crate::shared::Shared;
use crate::transport::{Transport, drive};
use crate::{Client, Endpoint, Error, Options, Token};

/// The port of a URL that names none.
const PORT: u16 = 3001;

/// Host and port of `quic://HOST:PORT`.
pub(crate) fn address(url: &str) -> Result<(Arc<str>, u16), Error> {
    let invalid = || Error::Invalid(format!("`{url}` is not of the form quic://HOST:PORT"));
    let rest = url.strip_prefix("quic://").ok_or_else(invalid)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    // Colons within brackets belong to an IPv6 address.
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().map_err(|_| invalid())?),
        _ => (rest, PORT),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let plain = !host.contains([':', '[', ']']);
    let host = bare.or(plain.then_some(host)).ok_or_else(invalid)?;
    let odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | '@' | '?' | '#');
    if host.is_empty() || host.contains(odd) {
        return Err(invalid());
    }
    Ok((host.into(), port))
}

/// Opens a session and waits until it is live.
pub(crate) async fn start(
    options: Options,
    transport: Transport,
    endpoint: Option<Endpoint>,
) -> Result<Client, Error> {
    if options.client.len() > CLIENT_BYTES_MAX || options.client.chars().any(char::is_control) {
        return Err(Error::Invalid("the client name is too long or not valid".to_owned()));
    }
    let (token, renewable) = match &options.token {
        Token::Static(token) => (Some(token.clone()), false),
        Token::Provider(_) => (None, true),
    };
    let session = client::Options {
        client: options.client,
        token,
        renewable,
        pending_max: options.pending_max,
        pending_bytes_max: options.pending_bytes_max,
    };
    let session = Session::new(session, options.seed.unwrap_or_else(random));
    let (first, live) = oneshot::channel();
    let shared = Shared::new(session, first);
    let client = Client::new(Handle {
        shared: shared.clone(),
        endpoint,
        queue_max: options.queue_max,
        pending_max: options.pending_max,
    });
    shared.with(|core, now| core.session.open(now));
    tokio::spawn(drive(shared.clone(), transport, options.token));
    match tokio::time::timeout(options.connect_timeout, live).await {
        Ok(first) => first.unwrap_or_else(|_| Err(gone())).map(|()| client),
        Err(_) => {
            let cause = shared.lock().last_cause();
            let reason = cause.map_or_else(|| "no answer".to_owned(), |cause| cause.to_string());
            Err(Error::Unreachable { reason })
        }
    }
}

/// A seed that differs between clients and processes; the hasher's keys come from the system.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_give_host_and_port_or_an_error() {
        let cases = [
            ("quic://broker.example:4000", Some(("broker.example", 4000))),
            ("quic://broker.example", Some(("broker.example", 3001))),
            ("quic://127.0.0.1:1/", Some(("127.0.0.1", 1))),
            ("quic://[::1]:4000", Some(("::1", 4000))),
            ("quic://[::1]", Some(("::1", 3001))),
            ("quic://::1", None),
            ("quic://", None),
            ("quic://a:b", None),
            ("quic://a:99999", None),
            ("quic://a/b", None),
            ("quic://user@a", None),
            ("http://a", None),
        ];
        for (url, expected) in cases {
            let got = address(url).ok();
            let got = got.as_ref().map(|(host, port)| (&**host, *port));
            assert_eq!(got, expected, "{url}");
        }
    }
}
