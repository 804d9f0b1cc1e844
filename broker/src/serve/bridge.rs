//! The bridge on the HTTP listener: what it is attached to, and what the broker answers through it.

use sampan_bridge_ws::{Forward, Settings, Web, web};

use super::system::{REVOKE, RevokeReply, RevokeRequest, TOPICS, TopicsReply};
use crate::config::Config;
use crate::shard::Broker;

/// The bridge; none where it would take tokens from other machines without TLS.
pub(super) fn bridge(config: &Config, broker: &Broker) -> Option<Web> {
    let is_local = config.http.ip().to_canonical().is_loopback();
    (is_local || config.bridge.behind_proxy).then(|| {
        web(Settings {
            broker: broker.link(),
            origins: config.bridge.origins.clone(),
            sockets_max: config.bridge.sockets_max,
            forwards: forwards(),
        })
    })
}

/// What the broker answers itself.
fn forwards() -> Vec<Forward> {
    vec![
        Forward::get::<TopicsReply>("/v1/topics", TOPICS, "The topics in use, in name order"),
        Forward::post::<RevokeRequest, RevokeReply>(
            "/v1/revoke",
            REVOKE,
            "Ends tokens before their time",
        ),
    ]
}
