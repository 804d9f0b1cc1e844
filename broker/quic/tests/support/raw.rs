//! A bare quinn-proto client that does whatever a test tells it to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    ClientConfig, Connection, ConnectionError, ConnectionHandle, DatagramEvent, EcnCodepoint,
    Endpoint, EndpointConfig, Event, TransportConfig,
};
use rustls::pki_types::CertificateDer;
use sampan_protocol::Code;
use sampan_quic::{Arrival, Outlet};

pub struct Raw {
    endpoint: Endpoint,
    handle: ConnectionHandle,
    pub connection: Connection,
    pub address: SocketAddr,
    pub connected: bool,
    pub lost: Option<ConnectionError>,
    pub lost_at: Option<Instant>,
    /// Whether it still answers and sends.
    pub awake: bool,
}

impl Raw {
    pub fn new(now: sampan_protocol::Now, root: &[u8], alpn: &[u8], address: SocketAddr) -> Self {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(root.to_vec())).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clock = Arc::new(sampan_quic::WallClock::new(now.unix_ms));
        let mut tls = rustls::ClientConfig::builder_with_details(provider, clock)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![alpn.to_vec()];
        let tls = QuicClientConfig::try_from(tls).expect("a cipher");
        let mut config = ClientConfig::new(Arc::new(tls));
        let mut transport = TransportConfig::default();
        transport.max_idle_timeout(Some(quinn_proto::VarInt::from_u32(600_000).into()));
        config.transport_config(Arc::new(transport));
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None);
        let remote = super::world::broker_address();
        let (handle, connection) =
            endpoint.connect(now.mono, config, remote, "broker.test").expect("a connection");
        Raw {
            endpoint,
            handle,
            connection,
            address,
            connected: false,
            lost: None,
            lost_at: None,
            awake: true,
        }
    }

    /// The code that the broker closed the connection with.
    pub fn code(&self) -> Option<Code> {
        match &self.lost {
            Some(ConnectionError::ApplicationClosed(close)) => {
                u16::try_from(close.error_code.into_inner()).ok().map(Code)
            }
            _ => None,
        }
    }

    pub fn datagram(&mut self, now: Instant, arrival: Arrival) {
        if !self.awake {
            return;
        }
        let Arrival { remote, local_ip, ecn, payload } = arrival;
        let ecn = ecn.and_then(EcnCodepoint::from_bits);
        let mut answer = Vec::new();
        let event = self.endpoint.handle(now, remote, local_ip, ecn, payload, &mut answer);
        if let Some(DatagramEvent::ConnectionEvent(_, event)) = event {
            self.connection.handle_event(event);
        }
    }

    pub fn time(&mut self, now: Instant) {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        while let Some(event) = self.connection.poll_endpoint_events() {
            if let Some(event) = self.endpoint.handle_event(self.handle, event) {
                self.connection.handle_event(event);
            }
        }
        while let Some(event) = self.connection.poll() {
            match event {
                Event::Connected => self.connected = true,
                Event::ConnectionLost { reason } => {
                    self.lost = Some(reason);
                    self.lost_at = Some(now);
                }
                _ => {}
            }
        }
    }

    pub fn deadline(&mut self) -> Option<Instant> {
        self.connection.poll_timeout().filter(|_| self.awake)
    }

    pub fn transmit(&mut self, now: Instant, outlet: &mut dyn Outlet) {
        while self.awake {
            let mut sent = false;
            outlet.lend(&mut |buffer| {
                let transmit = self.connection.poll_transmit(now, 1, buffer);
                sent = transmit.is_some();
                transmit.map(|transmit| sampan_quic::Envelope {
                    destination: transmit.destination,
                    ecn: None,
                    segment_size: None,
                    src_ip: None,
                })
            });
            if !sent {
                return;
            }
        }
    }
}
