//! Limits as quinn-proto wants them.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::{
    AckFrequencyConfig, EndpointConfig, IdleTimeout, MtuDiscoveryConfig, NoneTokenLog,
    ServerConfig, TransportConfig, ValidationTokenConfig, VarInt,
};

use crate::id::Ids;
use crate::limits::Limits;
use crate::tls::Tls;

/// QUIC version 1, the only one spoken.
const QUIC_V1: u32 = 1;
/// Packets that a client may receive before it acknowledges. More spare the broker packets to
/// read when a lane is busy; a lone packet is acknowledged after the client's own delay either way.
const PACKETS_PER_ACK: u32 = 9;
/// Bytes of first packets that may wait for admission. Admission is decided at once, so none do.
const INCOMING_BYTES: u64 = 64 * 1024;

/// What holds for the shard's endpoint.
pub(crate) fn endpoint(limits: &Limits, tls: &Tls, ids: Ids, seed: [u8; 32]) -> EndpointConfig {
    let mut config = EndpointConfig::new(tls.secret.reset_key());
    config
        .cid_generator(move || Box::new(ids.clone()))
        .supported_versions(vec![QUIC_V1])
        .grease_quic_bit(true)
        .min_reset_interval(limits.reset_interval)
        .rng_seed(Some(seed));
    config
}

/// What holds for new connections.
pub(crate) fn server(limits: &Limits, tls: &Tls) -> Arc<ServerConfig> {
    let mut config = ServerConfig::new(Arc::clone(&tls.server) as _, tls.secret.token_key());
    let mut tokens = ValidationTokenConfig::default();
    // No address tokens for later connections: an address has to prove itself only in a flood, which
    // a token that is replayed would let through. What a reconnect costs, a TLS ticket saves.
    tokens.sent(0).log(Arc::new(NoneTokenLog));
    config
        .transport_config(Arc::new(transport(limits)))
        .validation_token_config(tokens)
        .migration(true)
        .max_incoming(limits.half_open_max)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES)
        .time_source(Arc::clone(&tls.clock) as _);
    Arc::new(config)
}

fn transport(limits: &Limits) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(limits.mtu_max);
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(PACKETS_PER_ACK.into());
    let mut config = TransportConfig::default();
    config
        // What a client may do before it is known: one control stream, one small window.
        .max_concurrent_bidi_streams(1u32.into())
        .max_concurrent_uni_streams(0u32.into())
        .receive_window(limits.greeting_window.into())
        .stream_receive_window(limits.stream_window.into())
        .send_window(limits.send_window)
        .max_idle_timeout(idle(limits.idle_timeout))
        .datagram_receive_buffer_size(Some(limits.datagram_bytes))
        .datagram_send_buffer_size(limits.datagram_bytes)
        .initial_mtu(limits.mtu_initial)
        .mtu_discovery_config((limits.mtu_max > limits.mtu_initial).then_some(discovery))
        .ack_frequency_config(Some(acks))
        // The client keeps the connection alive; a broker does not pay for dead peers.
        .keep_alive_interval(None);
    config
}

fn idle(timeout: Duration) -> Option<IdleTimeout> {
    let ms = u64::try_from(timeout.as_millis()).ok().and_then(|ms| VarInt::from_u64(ms).ok());
    ms.map(IdleTimeout::from)
}
