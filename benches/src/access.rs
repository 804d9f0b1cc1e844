//! Which broker is loaded, and how its clients get in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use sampan_client::{Endpoint, Options, Token, Trust};

use crate::Error;
use crate::broker::Broker;

/// Address, token and certificate of a broker.
#[derive(Clone, Debug)]
pub struct Access {
    /// Where the broker is: `quic://HOST:PORT`.
    pub url: String,
    /// Its HTTP address, `HOST:PORT`, for subscribers that come through the bridge.
    pub http: String,
    /// A token that may publish to, subscribe to and serve `bench.>`; a service's has no rate limit.
    pub token: Token,
    /// Which certificates are accepted.
    pub trust: Trust,
}

/// The broker to load.
pub enum Target {
    /// One that runs already. Its CPU and memory are not known.
    Running(Access),
    /// A child process with a data directory of its own, ended with the run.
    Own {
        /// The program that `serve` is asked of.
        program: PathBuf,
        /// Makes the access to the broker at this URL from its data directory.
        access: AccessFn,
    },
    /// Another server of Socket.IO, a child process that is ended with the run. It says where it
    /// listens in a line `listening http=HOST:PORT` on standard error, lets a client into a room
    /// by the event `order:track`, which it answers with `{ok: true}`, and sends the text of
    /// `publish` (room, text) to all in the room as the event `bench`.
    Peer {
        /// The program and its arguments.
        command: Vec<String>,
    },
}

/// From a data directory, and the URL and the HTTP address of its broker, to an access with the broker's own secret.
pub type AccessFn = Box<dyn Fn(&Path, &str, &str) -> Result<Access, Error> + Send>;

impl Target {
    /// The access to it, and the child process where it is one of the run's own.
    pub(crate) async fn open(self) -> Result<(Access, Option<Broker>), Error> {
        match self {
            Target::Running(access) => Ok((access, None)),
            Target::Own { program, access } => {
                let broker = Broker::start(&program).await?;
                let access = access(broker.data(), &broker.url, &broker.http)?;
                Ok((access, Some(broker)))
            }
            Target::Peer { command } => {
                let broker = Broker::start_peer(&command).await?;
                Ok((Access::peer(broker.http.clone()), Some(broker)))
            }
        }
    }

    /// The same for work that only a broker does.
    pub(crate) async fn open_broker(self) -> Result<(Access, Option<Broker>), Error> {
        if matches!(self, Target::Peer { .. }) {
            return Err(Error::Invalid("a peer has rooms only".to_owned()));
        }
        self.open().await
    }
}

impl Access {
    /// Client options that share a socket.
    pub(crate) fn options(&self, endpoint: &Endpoint) -> Options {
        Options {
            client: concat!("sampan-bench/", env!("CARGO_PKG_VERSION")).to_owned(),
            endpoint: Some(endpoint.clone()),
            connect_timeout: CONNECT_TIMEOUT,
            ..Options::new(self.url.clone(), self.token.clone())
        }
    }

    /// The access to a peer, which asks for no token.
    pub(crate) fn peer(http: String) -> Self {
        let token = Token::Static(String::new());
        Access { url: String::new(), http, token, trust: Trust::System }
    }

    pub(crate) fn is_peer(&self) -> bool {
        self.url.is_empty()
    }

    /// A token, for a client that is none of the SDK's.
    pub(crate) async fn bearer(&self) -> Result<String, Error> {
        Ok(match &self.token {
            Token::Static(token) => token.clone(),
            Token::Provider(provider) => provider.token().await?,
        })
    }

    /// The local address from which the broker is reached: loopback where it is there, so that no
    /// datagram costs a routing decision.
    pub(crate) fn local(&self) -> SocketAddr {
        let name = self.url.strip_prefix("quic://").unwrap_or(&self.url).trim_end_matches('/');
        let found = name.to_socket_addrs().or_else(|_| (name, 3001).to_socket_addrs());
        let address = found.ok().and_then(|mut found| found.next()).map(|address| address.ip());
        let local = match address {
            Some(address) if address.is_loopback() => address,
            Some(IpAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(local, 0)
    }
}

/// How long one of ten thousand clients may wait for its turn.
const CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_is_of_the_brokers_family() {
        let cases = [
            ("quic://127.0.0.1:3001", "127.0.0.1:0"),
            ("quic://127.0.0.1", "127.0.0.1:0"),
            ("quic://192.0.2.1:99", "0.0.0.0:0"),
            ("quic://[::1]:99", "[::1]:0"),
            ("quic://[2001:db8::1]:99", "[::]:0"),
        ];
        for (url, local) in cases {
            let access = Access {
                url: url.to_owned(),
                http: String::new(),
                token: Token::Static(String::new()),
                trust: Trust::System,
            };
            assert_eq!(access.local().to_string(), local, "{url}");
        }
    }
}
