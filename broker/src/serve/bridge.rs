//! The bridge on the HTTP listener: what it is attached to, and what the broker answers through it.

use sampan_bridge_ws::{Forward, Parameter, Settings, Web, web};
use sampan_client::admin::{
    Count, DELETE, DISCARD, DeadLetter, DiscardQuestion, GROUPS, GroupQuestion, GroupsAnswer, LIST,
    ListAnswer, Outcome, PAYLOAD, PEEK, RETRY, RetryQuestion, SEEK, SeekQuestion,
};

use sampan_quic::SECRET_BYTES;

use super::services;
use super::system::{REVOKE, RevokeReply, RevokeRequest, TOPICS, TopicsReply};
use crate::config::Config;
use crate::shard::Broker;

/// The bridge; none where it would take tokens from other machines without TLS.
pub(super) fn bridge(
    config: &Config,
    broker: &Broker,
    recovery_key: Option<[u8; SECRET_BYTES]>,
) -> Option<Web> {
    let is_local = config.http.ip().to_canonical().is_loopback();
    (is_local || config.bridge.behind_proxy).then(|| {
        web(Settings {
            broker: broker.link(),
            origins: config.bridge.origins.clone(),
            sockets_max: config.bridge.sockets_max,
            behind_proxy: config.bridge.behind_proxy,
            recovery_key,
            forwards: forwards(),
        })
    })
}

const GROUP: Parameter = Parameter::text("group", "Name of the group");
const LETTER: [Parameter; 2] =
    [GROUP.required(), Parameter::number("id", "Id of the letter").required()];
const PAGE: [Parameter; 3] = [
    GROUP.required(),
    Parameter::number("after", "Letters above this id"),
    Parameter::number("max", "How many at most").or(100),
];

/// What the broker and its services answer. Services of another process are reached by the same.
fn forwards() -> Vec<Forward> {
    let mut forwards = services::forwards();
    forwards.extend([
        Forward::get::<TopicsReply>("/v1/topics", TOPICS, "The topics in use, in name order"),
        Forward::post::<RevokeRequest, RevokeReply>(
            "/v1/revoke",
            REVOKE,
            "Ends tokens before their time",
        ),
        Forward::get::<GroupsAnswer>(
            "/v1/groups",
            GROUPS,
            "How the groups stand; one that is named, with its topics",
        )
        .with(&[GROUP]),
        Forward::post::<SeekQuestion, Count>(
            "/v1/groups/seek",
            SEEK,
            "Moves a group to another place in a topic",
        ),
        Forward::post::<GroupQuestion, Count>("/v1/groups/delete", DELETE, "Ends a group"),
        Forward::get::<ListAnswer>("/v1/dead-letters", LIST, "What a group has given up, by id")
            .with(&PAGE),
        Forward::get::<DeadLetter>("/v1/dead-letters/letter", PEEK, "One dead letter")
            .with(&LETTER),
        Forward::bytes("/v1/dead-letters/payload", PAYLOAD, "The payload of a dead letter")
            .with(&LETTER),
        Forward::post::<RetryQuestion, Outcome>(
            "/v1/dead-letters/retry",
            RETRY,
            "Puts dead letters back, or publishes them elsewhere",
        ),
        Forward::post::<DiscardQuestion, Outcome>(
            "/v1/dead-letters/discard",
            DISCARD,
            "Removes dead letters",
        ),
    ]);
    forwards
}
