//! What the broker answers itself: requests on `sys.topics`, `sys.status` and `sys.revoke`, JSON
//! both ways. The grants that ship leave `sys.` to admins and services. What it answers about groups
//! is in the client, which has methods for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Topics that the broker knows; the question is `{}`.
pub const TOPICS: &str = "sys.topics";
/// What the broker is doing; the question is `{}`.
pub const STATUS: &str = "sys.status";
/// Ends tokens before their time.
pub const REVOKE: &str = "sys.revoke";

/// A question without contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nothing {}

/// The answer on [`TOPICS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicsReply {
    /// Topics in name order.
    pub topics: Vec<TopicLine>,
    /// How many more there are.
    pub more: u64,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicLine {
    /// Name.
    pub topic: String,
    /// `ephemeral`, `latest` or `durable`.
    pub class: String,
    /// Epoch of the offsets.
    pub epoch: u64,
    /// First offset still kept.
    pub floor: u64,
    /// Offset that the next message will get.
    pub next: u64,
}

/// The answer on [`STATUS`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// The broker's version.
    pub version: String,
    /// Whether it is ready, or why not.
    pub ready: String,
    /// Seconds since it was started.
    pub uptime_s: u64,
    /// Shard threads.
    pub shards: u64,
    /// Live sessions, those of the broker itself included.
    pub sessions: u64,
    /// QUIC connections.
    pub connections: u64,
    /// Topics with live state.
    pub rooms: u64,
    /// Messages ordered so far.
    pub published: u64,
    /// Messages handed to sessions so far.
    pub deliveries: u64,
    /// Bytes that wait for clients.
    pub outbox_bytes: u64,
    /// Revocations in force.
    pub revocations: u64,
    /// Where durable topics are kept.
    pub durable: String,
}

/// The question on [`REVOKE`]: exactly one of the three.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// The token with this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Every token that this user has so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Every token issued before this Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_before_ms: Option<u64>,
}

/// The answer on [`REVOKE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RevokeReply {
    /// Until when the revocation is remembered, Unix milliseconds.
    pub until_ms: u64,
}
