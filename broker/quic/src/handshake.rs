//! The broker's end of a TLS handshake that is forgotten once it is over.
//!
//! quinn-proto keeps its TLS session for the life of a connection, though a server's needs nothing
//! of it after the client's Finished but the secrets of the next key update. Letting the rest go
//! saves 2.5 KiB of every idle connection.

use std::any::Any;
use std::io::Cursor;
use std::sync::Arc;

use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{
    self, ExportKeyingMaterialError, HeaderKey, KeyPair, Keys, PacketKey, UnsupportedVersion,
};
use quinn_proto::transport_parameters::TransportParameters;
use quinn_proto::{ConnectionId, Side, TransportError, TransportErrorCode};
use rustls::quic::{DirectionalKeys, KeyChange, Secrets, ServerConnection, Suite, Version};
use rustls::{AlertDescription, CipherSuite, ServerConfig};

/// Starts handshakes.
pub(crate) struct Handshakes {
    tls: Arc<ServerConfig>,
    /// Keys of first packets and tags of retries, which no session is needed for.
    stateless: QuicServerConfig,
    initial: Suite,
}

/// One handshake, and what is left of it.
struct Handshake {
    /// Until it is over.
    tls: Option<Box<ServerConnection>>,
    /// From the moment that the last keys are known.
    next: Option<Secrets>,
    initial: Suite,
}

impl Handshakes {
    /// Handshakes under `tls`; `None` if it lacks the cipher of first packets.
    pub(crate) fn new(tls: ServerConfig) -> Option<Self> {
        let suites = tls.crypto_provider().cipher_suites.iter();
        let mut first =
            suites.filter(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
        let initial = first.find_map(|suite| suite.tls13()?.quic_suite())?;
        let tls = Arc::new(tls);
        let stateless = QuicServerConfig::with_initial(Arc::clone(&tls), initial).ok()?;
        Some(Handshakes { tls, stateless, initial })
    }
}

impl crypto::ServerConfig for Handshakes {
    fn initial_keys(&self, version: u32, id: &ConnectionId) -> Result<Keys, UnsupportedVersion> {
        self.stateless.initial_keys(version, id)
    }

    fn retry_tag(&self, version: u32, id: &ConnectionId, packet: &[u8]) -> [u8; 16] {
        self.stateless.retry_tag(version, id, packet)
    }

    fn start_session(
        self: Arc<Self>,
        _version: u32,
        parameters: &TransportParameters,
    ) -> Box<dyn crypto::Session> {
        let mut bytes = Vec::new();
        parameters.write(&mut bytes);
        // The endpoint speaks version 1 only, and refuses the others before it comes here.
        let tls = ServerConnection::new(Arc::clone(&self.tls), Version::V1, bytes)
            .expect("a server configuration with TLS 1.3 serves QUIC");
        Box::new(Handshake { tls: Some(Box::new(tls)), next: None, initial: self.initial })
    }
}

impl crypto::Session for Handshake {
    fn initial_keys(&self, id: &ConnectionId, side: Side) -> Keys {
        let side = match side {
            Side::Client => rustls::Side::Client,
            Side::Server => rustls::Side::Server,
        };
        let keys = self.initial.keys(id, side, Version::V1);
        pair_up(keys.local, keys.remote)
    }

    fn handshake_data(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn peer_identity(&self) -> Option<Box<dyn Any>> {
        None
    }

    fn early_crypto(&self) -> Option<(Box<dyn HeaderKey>, Box<dyn PacketKey>)> {
        None
    }

    fn early_data_accepted(&self) -> Option<bool> {
        None
    }

    fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    fn read_handshake(&mut self, bytes: &[u8]) -> Result<bool, TransportError> {
        let Some(tls) = &mut self.tls else {
            // No message of TLS is allowed to a client after its Finished.
            return Err(failure(AlertDescription::UnexpectedMessage, "a message after Finished"));
        };
        match tls.read_hs(bytes) {
            // Nobody waits to be told of names in the handshake.
            Ok(()) => Ok(false),
            Err(error) => {
                let alert = tls.alert().unwrap_or(AlertDescription::InternalError);
                Err(failure(alert, &error.to_string()))
            }
        }
    }

    fn transport_parameters(&self) -> Result<Option<TransportParameters>, TransportError> {
        let bytes = self.tls.as_ref().and_then(|tls| tls.quic_transport_parameters());
        let read = |bytes| TransportParameters::read(Side::Server, &mut Cursor::new(bytes));
        Ok(bytes.map(read).transpose()?)
    }

    fn write_handshake(&mut self, out: &mut Vec<u8>) -> Option<Keys> {
        let tls = self.tls.as_mut()?;
        let before = out.len();
        let change = tls.write_hs(out);
        if change.is_none() && out.len() == before && !tls.is_handshaking() {
            self.tls = None;
        }
        let keys = match change? {
            KeyChange::Handshake { keys } => keys,
            KeyChange::OneRtt { keys, next } => {
                self.next = Some(next);
                keys
            }
        };
        Some(pair_up(keys.local, keys.remote))
    }

    fn next_1rtt_keys(&mut self) -> Option<KeyPair<Box<dyn PacketKey>>> {
        let keys = self.next.as_mut()?.next_packet_keys();
        Some(KeyPair { local: Box::new(keys.local), remote: Box::new(keys.remote) })
    }

    fn is_valid_retry(&self, _id: &ConnectionId, _header: &[u8], _payload: &[u8]) -> bool {
        // Only servers send retries.
        false
    }

    fn export_keying_material(
        &self,
        _out: &mut [u8],
        _label: &[u8],
        _context: &[u8],
    ) -> Result<(), ExportKeyingMaterialError> {
        Err(ExportKeyingMaterialError)
    }
}

fn pair_up(local: DirectionalKeys, remote: DirectionalKeys) -> Keys {
    Keys {
        header: KeyPair { local: Box::new(local.header), remote: Box::new(remote.header) },
        packet: KeyPair { local: Box::new(local.packet), remote: Box::new(remote.packet) },
    }
}

fn failure(alert: AlertDescription, reason: &str) -> TransportError {
    let code = TransportErrorCode::crypto(alert.into());
    TransportError { code, frame: None, reason: reason.to_owned() }
}
