//! The client's side of TLS and of the transport's limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;
use quinn_proto::crypto::rustls::QuicClientConfig;
use quinn_proto::{
    AckFrequencyConfig, ClientConfig, ConnectionId, EndpointConfig, IdleTimeout, NoneTokenStore,
    TransportConfig, VarInt,
};
use rustls::pki_types::CertificateDer;
use rustls::version::TLS13;

use crate::clock::WallClock;
use crate::id::Ids;
use crate::secret::Secret;
use crate::tls::Error;

/// Bytes of the first destination id that a client chooses.
const FIRST_ID_BYTES: usize = 16;

/// Whom a client trusts, and what it asks for. Shared by clients, with their session tickets.
#[derive(Clone)]
pub struct Tls {
    pub(super) client: Arc<QuicClientConfig>,
    pub(super) clock: Arc<WallClock>,
}

/// Windows and timers of a client.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Lanes that the broker may open.
    pub lanes: u8,
    /// Bytes that one lane may have in flight.
    pub stream_window: u32,
    /// Bytes that all lanes may have in flight.
    pub receive_window: u32,
    /// How often a silent connection is kept alive.
    pub keep_alive: Option<Duration>,
    /// How long the broker may be silent.
    pub idle_timeout: Duration,
    /// Packets received before they are acknowledged, less one; `None` leaves it to QUIC.
    pub packets_per_ack: Option<u32>,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            lanes: sampan_protocol::limits::LANES,
            stream_window: 1024 * 1024,
            receive_window: 4 * 1024 * 1024,
            keep_alive: Some(Duration::from_secs(10)),
            idle_timeout: Duration::from_secs(30),
            packets_per_ack: Some(9),
        }
    }
}

impl Tls {
    /// Trust in these root certificates, in DER.
    ///
    /// # Errors
    /// If a certificate cannot be used.
    pub fn new(roots: &[Vec<u8>], alpn: &[u8], clock: Arc<WallClock>) -> Result<Self, Error> {
        let mut store = rustls::RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from(root.clone())).map_err(Error::Certificate)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config =
            rustls::ClientConfig::builder_with_details(provider, Arc::clone(&clock) as _)
                .with_protocol_versions(&[&TLS13])
                .map_err(|_| Error::Unsupported)?
                .with_root_certificates(store)
                .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let client = QuicClientConfig::try_from(config).map_err(|_| Error::Unsupported)?;
        Ok(Tls { client: Arc::new(client), clock })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

pub(super) fn endpoint(seed: [u8; 32]) -> Arc<EndpointConfig> {
    let secret = Secret::new(&seed);
    let ids = Ids::new(secret.id_key(), seed, 0, 1);
    let mut config = EndpointConfig::new(secret.reset_key());
    config.cid_generator(move || Box::new(ids.clone())).rng_seed(Some(seed));
    Arc::new(config)
}

pub(super) fn client(tls: &Tls, tuning: &Tuning, seed: [u8; 32]) -> ClientConfig {
    let mut config = ClientConfig::new(Arc::clone(&tls.client) as _);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &seed);
    let made = AtomicU64::new(0);
    let first_id = move || {
        let tag = hmac::sign(&key, &made.fetch_add(1, Ordering::Relaxed).to_le_bytes());
        let mut id = [0; FIRST_ID_BYTES];
        for (to, from) in id.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        ConnectionId::new(&id)
    };
    config
        .transport_config(Arc::new(transport(tuning)))
        .token_store(Arc::new(NoneTokenStore))
        .initial_dst_cid_provider(Arc::new(first_id));
    config
}

fn transport(tuning: &Tuning) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(0u32.into())
        .max_concurrent_uni_streams(u32::from(tuning.lanes).into())
        .stream_receive_window(tuning.stream_window.into())
        .receive_window(tuning.receive_window.into())
        .keep_alive_interval(tuning.keep_alive)
        .max_idle_timeout(idle(tuning.idle_timeout));
    if let Some(packets) = tuning.packets_per_ack {
        let mut acks = AckFrequencyConfig::default();
        acks.ack_eliciting_threshold(packets.into());
        config.ack_frequency_config(Some(acks));
    }
    config
}

fn idle(timeout: Duration) -> Option<IdleTimeout> {
    let ms = u64::try_from(timeout.as_millis()).ok().and_then(|ms| VarInt::from_u64(ms).ok());
    ms.map(IdleTimeout::from)
}
