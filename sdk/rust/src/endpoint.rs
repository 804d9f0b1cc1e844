//! The UDP socket and TLS state of clients, and the settings of their QUIC connections.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::limits::LANES;
use protocol::session::client::Lost;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::{Error, Trust};

/// Socket buffers asked for; the system may give less.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that the broker may send on one lane ahead of its reader.
const LANE_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes that the broker may send on all streams ahead of their readers.
const RECEIVE_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Bytes sent and not acknowledged by the broker's transport.
const SEND_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of datagrams received and not yet read; the oldest are dropped.
const DATAGRAM_BYTES: usize = 256 * 1024;
/// Silence after which a packet keeps the path open.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// Silence after which the connection is given up.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// A UDP socket and TLS state (with its session tickets) that many clients may share.
///
/// Ten thousand clients on one endpoint cost one socket. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Endpoint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: quinn::ClientConfig,
    /// Made at the first connection if no address was given.
    socket: Mutex<Option<quinn::Endpoint>>,
    bound: bool,
}

impl Endpoint {
    /// Binds a socket, with port 0 for any, whose clients accept the certificates of `trust`.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// `Invalid` if the address cannot be bound or no certificate can be read.
    pub fn bind(local: SocketAddr, trust: &Trust) -> Result<Self, Error> {
        let socket = Mutex::new(Some(open(local)?));
        Ok(Endpoint(Arc::new(Inner { config: config(trust)?, socket, bound: true })))
    }

    /// An endpoint that binds a socket of the broker's address family when it is known.
    pub(crate) fn unbound(trust: &Trust) -> Result<Self, Error> {
        let socket = Mutex::new(None);
        Ok(Endpoint(Arc::new(Inner { config: config(trust)?, socket, bound: false })))
    }

    /// The socket's address.
    ///
    /// # Errors
    /// `Invalid` if there is no socket yet or the system does not say.
    pub fn local_address(&self) -> Result<SocketAddr, Error> {
        let socket = self.socket();
        let socket = socket.as_ref().ok_or_else(|| Error::Invalid("no socket yet".to_owned()))?;
        socket.local_addr().map_err(|error| Error::Invalid(error.to_string()))
    }

    /// Moves to a fresh socket bound to `local`; all clients migrate without a loss.
    ///
    /// # Errors
    /// `Invalid` if the address cannot be bound or there is no socket yet.
    pub fn rebind(&self, local: SocketAddr) -> Result<(), Error> {
        let socket = self.socket();
        let endpoint = socket.as_ref().ok_or_else(|| Error::Invalid("no socket yet".to_owned()))?;
        let rebound = udp(local).and_then(|fresh| endpoint.rebind(fresh));
        rebound.map_err(|error| Error::Invalid(format!("cannot rebind to {local}: {error}")))
    }

    fn socket(&self) -> MutexGuard<'_, Option<quinn::Endpoint>> {
        self.0.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to the first address of `host` that answers.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<quinn::Connection, Lost> {
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|error| plain(format!("cannot resolve {host}: {error}")))?;
        let mut last = plain(format!("{host} has no address"));
        for address in addresses {
            match self.connect_to(address, host).await {
                Ok(connection) => return Ok(connection),
                Err(lost) => last = lost,
            }
        }
        Err(last)
    }

    async fn connect_to(&self, address: SocketAddr, host: &str) -> Result<quinn::Connection, Lost> {
        let endpoint = self.endpoint_for(address)?;
        let connecting = endpoint.connect_with(self.0.config.clone(), address, host);
        let connecting = connecting.map_err(|error| plain(format!("{address}: {error}")))?;
        connecting.await.map_err(|error| {
            let lost = crate::quic::ended(&error);
            Lost { reason: format!("{address}: {}", lost.reason), ..lost }
        })
    }

    fn endpoint_for(&self, remote: SocketAddr) -> Result<quinn::Endpoint, Lost> {
        let mut socket = self.socket();
        if let Some(endpoint) = socket.as_ref() {
            let local = endpoint.local_addr().map_err(|error| plain(error.to_string()))?;
            if self.0.bound || local.is_ipv4() == remote.is_ipv4() {
                return Ok(endpoint.clone());
            }
        }
        let any: SocketAddr = match remote {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let endpoint = open(any).map_err(|error| plain(error.to_string()))?;
        *socket = Some(endpoint.clone());
        Ok(endpoint)
    }
}

fn plain(reason: String) -> Lost {
    Lost { reason, ..Lost::default() }
}

fn open(local: SocketAddr) -> Result<quinn::Endpoint, Error> {
    let opened = udp(local).and_then(|socket| {
        let runtime = Arc::new(quinn::TokioRuntime);
        quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, runtime)
    });
    opened.map_err(|error| Error::Invalid(format!("cannot bind {local}: {error}")))
}

/// A UDP socket with buffers for many connections.
fn udp(local: SocketAddr) -> std::io::Result<UdpSocket> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    // The system caps these without an error; smaller buffers cost speed, not correctness.
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&local.into())?;
    Ok(socket.into())
}

fn config(trust: &Trust) -> Result<quinn::ClientConfig, Error> {
    let invalid = |what: &str| Error::Invalid(format!("certificates: {what}"));
    let mut roots = rustls::RootCertStore::empty();
    match trust {
        Trust::System => {
            let (added, _) =
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err(invalid("the system has no certificate authorities"));
            }
        }
        Trust::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| invalid(&error.to_string()))?;
                roots.add(certificate).map_err(|error| invalid(&error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(invalid("there is none in the PEM text"));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| invalid(&error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![protocol::ALPN.to_vec()];
    let tls = QuicClientConfig::try_from(tls).map_err(|error| invalid(&error.to_string()))?;
    let mut config = quinn::ClientConfig::new(Arc::new(tls));
    config.transport_config(Arc::new(transport()?));
    Ok(config)
}

/// QUIC settings: every window and stream limit is set, since quinn's defaults cost far more
/// memory per connection.
fn transport() -> Result<quinn::TransportConfig, Error> {
    let idle = IDLE_TIMEOUT.try_into();
    let idle = idle.map_err(|_| Error::Invalid("the idle timeout".to_owned()))?;
    let mut transport = quinn::TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(0u8.into())
        .max_concurrent_uni_streams((2 * LANES).into())
        .stream_receive_window(LANE_WINDOW_BYTES.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into())
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(DATAGRAM_BYTES))
        .datagram_send_buffer_size(0)
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(idle));
    Ok(transport)
}
