//! The settings as they are written down: sections, keys, units, defaults.
//!
//! `sampan config` and the sample file print the doc comments of this file (see `docs`), so they
//! are written for an operator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sampan_core::class::Table;
use sampan_core::config as core;
use sampan_services::chat::rules::due::Patience;
use sampan_services::chat::rules::queue::Ranking;
use sampan_services::chat::rules::routing::{Mode, Policy};
use sampan_services::inventory::rules::allocation::Order;
use serde::{Deserialize, Serialize};

use super::{auth_section, classes, groups, roles};
use crate::auth;
use crate::udp::BufferSizes;

/// Every setting of the broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct File {
    /// Where clients reach the broker.
    pub listen: Listen,
    /// What the broker keeps on disk.
    pub data: Data,
    /// The log of what is kept, in the data directory.
    pub journal: Journal,
    /// The threads that carry messages.
    pub shards: Shards,
    /// What is logged, on standard error.
    pub log: LogSettings,
    /// The certificate that clients see.
    pub tls: Tls,
    /// Which tokens are accepted. The files named here are read again on SIGHUP.
    #[serde(serialize_with = "auth_section::serialize")]
    pub auth: auth::Config,
    /// Tokens that are ended before their time.
    pub revocation: Revocation,
    /// Browsers and plain HTTP, under `/v1/` on the HTTP address.
    pub bridge: Bridge,
    /// Chat, orders, inventory and notifications: clients of the broker in its own process.
    pub services: Services,
    /// Bounds on what one client or one topic may take.
    pub limits: Limits,
    /// Publishes and requests per second, by the role of the token. Each may come in a burst of
    /// twice the rate. 0 is no limit.
    pub rates: Rates,
    /// How the broker stops.
    pub drain: DrainTimes,
    /// What each role may do, as lists of patterns. A list that is given replaces the one that
    /// ships; `..` in it stands for what ships, so that `["..", "shop.news.>"]` adds to it.
    /// `{user}` stands for the user of the token; a `?` after a pattern leaves the answer to the
    /// authorizer that is registered for the topic.
    #[serde(deserialize_with = "roles::over_shipped")]
    pub roles: Roles,
    /// Which class a topic has. Rules are added to those that ship, and one with the same pattern
    /// replaces it; the most specific pattern that matches a topic counts. A topic that none
    /// matches is durable.
    #[serde(deserialize_with = "classes::on_top_of_shipped")]
    pub classes: Vec<ClassRule>,
    /// Groups that exist from the start, each with the one pattern that it reads for ever. They are
    /// added to those that ship, and one with the same name replaces it. A group begins with the
    /// oldest message that is kept when its first consumer comes.
    #[serde(deserialize_with = "groups::on_top_of_shipped")]
    pub groups: Vec<Group>,
}

/// Where clients reach the broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// UDP address for QUIC; port 0 takes any free one. An address that is not loopback needs a
    /// certificate under `[tls]` and a secret or keys under `[auth]`.
    pub quic: SocketAddr,
    /// TCP address for `/healthz`, `/readyz`, `/metrics`, and for the bridge.
    pub http: SocketAddr,
}

/// What the broker keeps on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Data {
    /// Directory for the journal, keys, the development certificate and secret, and revocations.
    /// One broker at a time. The variable `SAMPAN_DATA` names it too.
    pub dir: PathBuf,
}

/// The log of what is kept, in the data directory. How long messages are kept is said under
/// `[[classes]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Bytes of a segment, one file of the log; 2 MiB to 1 GiB. Each shard prepares one ahead and
    /// keeps one in reserve for acks, so that a full disk stops only what is new.
    pub segment_bytes: u64,
    /// Bytes of memory per shard for the newest messages, from which readers that follow closely are
    /// served.
    pub tail_bytes: usize,
    /// Bytes per shard that may wait to be written; beyond that publishes are refused as busy.
    pub queue_bytes: usize,
    /// Keep the log on any file system, also on one whose promises about written data cannot be
    /// relied on, such as NFS, SMB, 9p or FUSE.
    pub any_filesystem: bool,
}

/// The threads that carry messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shards {
    /// How many, at most 64. A log is kept per shard, so the number is fixed by the first start
    /// with a data directory: 0 is as many as there are logs, or one per core in a new directory.
    pub count: u8,
    /// Bytes of kernel buffer per socket and direction. The system may cap it
    /// (`net.core.rmem_max`, `net.core.wmem_max`), which is warned of at the start.
    pub socket_buffer_bytes: usize,
}

/// What is logged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `error`, `warn`, `info`, `debug` or `trace`, also by module: `info,sampan::auth=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The certificate that clients see.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file with the certificate and its chain, leaf first; read again on SIGHUP. Without it
    /// the broker makes a development certificate for localhost, which the command line trusts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key; read again on SIGHUP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

/// Tokens that are ended before their time.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Revocation {
    /// Seconds after which a revocation is forgotten. Must be the longest life that any issuer
    /// gives a token, since a token that lives longer comes back.
    pub remember_s: u64,
}

/// Browsers and plain HTTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bridge {
    /// Origins of the web pages that may use it. With an empty list only pages of the host that
    /// they reach it by may. The variable `ALLOWED_ORIGINS` goes first, with commas between.
    pub allowed_origins: Vec<String>,
    /// WebSockets and streams of events at a time.
    pub sockets_max: usize,
    /// Whether a proxy that adds TLS stands in front, and names its clients in `X-Forwarded-For`:
    /// the last address there is the one that limits are for. Without one the bridge is off where the HTTP
    /// address is not loopback, since tokens would travel in the clear.
    pub behind_proxy: bool,
    /// Whether clients of Socket.IO, from 4.6 on, get what they have missed when they come back.
    /// Their events then carry one more argument, a text.
    pub socketio_recovery: bool,
}

/// What a shop is made of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Services {
    /// Whether they run in the broker's process. `sampan services` runs them in one of their own.
    pub enabled: bool,
    /// File with the address of their PostgreSQL database, `postgres://USER:PASSWORD@HOST/NAME`, which
    /// other users of the machine must not be able to read. Without it they use SQLite, in the data
    /// directory. The variable `SAMPAN_DATABASE_URL`, with an address, goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_file: Option<PathBuf>,
    /// File with the address of a MongoDB for chat, `mongodb://USER:PASSWORD@HOST/NAME?replicaSet=SET`,
    /// which other users of the machine must not be able to read. Without it chat is in the database
    /// of the others. The variable `SAMPAN_CHAT_DATABASE_URL`, with an address, goes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_database_file: Option<PathBuf>,
    /// Directory of the files that come with messages; `files` in the data directory if nothing is
    /// said. Several processes of services share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_dir: Option<PathBuf>,
    /// File with the tracking services that are asked about orders, those who send notifications, and
    /// their keys, which other users of the machine must not be able to read; see
    /// `spec/services.md`. Without it nobody is asked and nothing is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub providers_file: Option<PathBuf>,
    /// Which locations give stock first to those who name none: `ranked`, in the order that was set,
    /// or `most_first`, which makes the fewest parcels.
    pub allocation: Order,
    /// How chats find agents, and how long everything may take.
    pub chat: Chat,
}

/// How chats find agents, and how long everything may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Chat {
    /// Who gets a chat that waits: `least_loaded`, who has the least of their limit, `rotation`, who
    /// has waited longest for one, or `manual`, whoever picks it.
    pub mode: Mode,
    /// Whether a chat that waits again goes back to the agent who had it, if there is a free slot.
    pub sticky: bool,
    /// Seconds of waiting after which required skills are only preferred; never if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relax_skills_s: Option<u64>,
    /// Points of a VIP, in the order of those who wait.
    pub vip_points: i64,
    /// Points of each minute of waiting.
    pub minute_points: i64,
    /// Points that waiting gives at most.
    pub waiting_points_max: i64,
    /// What a customer buys for one point, in the shop's currency.
    pub value_per_point: u32,
    /// Points that purchases give at most.
    pub value_points_max: i64,
    /// Points of the priorities low, medium, high and urgent.
    pub priority_points: [i64; 4],
    /// Seconds after which who waits goes before all others, the longest first.
    pub max_wait_s: u64,
    /// Seconds that an agent may take to reply first before the chat waits again.
    pub first_reply_s: u64,
    /// Seconds that an agent may be offline and keep its chats, 30 at least.
    pub offline_grace_s: u64,
    /// Seconds after which a resolved chat is archived, but not before it can no longer be reopened.
    pub archive_s: u64,
}

/// Bounds on what one client or one topic may take.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one payload, at most 1 MiB.
    pub payload_bytes_max: u32,
    /// Sessions of one shard.
    pub sessions_max: usize,
    /// Topics of the whole broker. One that has been used is known until the broker ends.
    pub topics_max: usize,
    /// Subscriptions of one session.
    pub subscriptions_max: u32,
    /// Bytes of one topic that may wait for one session, before the rule of the topic's class for
    /// slow readers applies.
    pub subscription_bytes: usize,
    /// Bytes that may wait for one session.
    pub connection_bytes: usize,
    /// Bytes that may wait for all sessions of the broker; each shard has an equal part. Where
    /// half of a part is taken, clients that have stopped reading are sent away. A quarter as
    /// much may be messages that clients have begun and not finished sending.
    pub node_bytes: usize,
    /// Values that one topic of class latest keeps.
    pub latest_keys_max: usize,
    /// Bytes that all topics of class latest keep, per shard.
    pub latest_bytes_max: usize,
    /// Seconds that a request may wait for its answer.
    pub request_timeout_max_s: u64,
    /// Seconds for which a publish is remembered, so that sending it again does not double it.
    pub dedupe_window_s: u64,
}

/// Publishes and requests per second.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Per connection of a customer.
    pub customer_per_s: u32,
    /// Per connection of an agent.
    pub agent_per_s: u32,
    /// Per connection of an admin.
    pub admin_per_s: u32,
    /// Per connection of a service.
    pub service_per_s: u32,
    /// One user's connections together may do this many times what one may.
    pub user_factor: u32,
    /// One network address's connections together may do this many times what one may: a shop or
    /// an office shares one address.
    pub address_factor: u32,
}

/// How the broker stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DrainTimes {
    /// Seconds over which clients are told to leave, so that they do not all come back at once.
    pub spread_s: u64,
    /// Seconds that a client has to leave after it was told; then its connection is closed.
    pub linger_s: u64,
}

/// What each role may do.
#[derive(Clone, Debug, Serialize)]
pub struct Roles {
    /// End users of the shop.
    pub customer: RoleGrants,
    /// Support agents.
    pub agent: RoleGrants,
    /// Operators of the shop.
    pub admin: RoleGrants,
    /// Backend programs.
    pub service: RoleGrants,
}

/// What one role may do: patterns by action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoleGrants {
    /// Send messages and requests.
    pub publish: Vec<String>,
    /// Receive live messages.
    pub subscribe: Vec<String>,
    /// Enter, watch and read presence.
    pub presence: Vec<String>,
    /// Read kept messages.
    pub history: Vec<String>,
    /// Answer requests and authorization questions.
    pub serve: Vec<String>,
    /// Take part in groups that read these topics.
    pub consume: Vec<String>,
}

/// Which class the topics of a pattern have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassRule {
    /// Topics that the rule is for: `*` is one token, `>` the rest.
    pub pattern: String,
    /// `ephemeral`, `latest` or `durable`.
    pub class: String,
    /// Whether ephemeral messages may leave as datagrams where they fit. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub datagrams: bool,
    /// Deliveries per second, key and subscriber of a latest topic. Default no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_hz: Option<u32>,
    /// Seconds that a durable message is kept, counted while the broker runs. Default 7 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_s: Option<u64>,
    /// Bytes that are kept of all durable topics of the pattern together; each shard has an equal
    /// part of them. Default 1 GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_bytes: Option<u64>,
    /// Messages that are kept of one durable topic. Default no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_count: Option<u64>,
}

/// A group that exists from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What the group is called.
    pub name: String,
    /// Topics that it reads: `*` is one token, `>` the rest.
    pub pattern: String,
}

impl Default for File {
    fn default() -> Self {
        File {
            listen: Listen::default(),
            data: Data::default(),
            journal: Journal::default(),
            shards: Shards::default(),
            log: LogSettings::default(),
            tls: Tls::default(),
            auth: auth::Config::default(),
            revocation: Revocation::default(),
            bridge: Bridge::default(),
            services: Services::default(),
            limits: Limits::default(),
            rates: Rates::default(),
            drain: DrainTimes::default(),
            roles: roles::shipped(),
            classes: classes::shipped(),
            groups: groups::shipped(),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 3001));
        Listen { quic: loopback, http: loopback }
    }
}

impl Default for Data {
    fn default() -> Self {
        Data { dir: PathBuf::from("./sampan-data") }
    }
}

impl Default for Journal {
    fn default() -> Self {
        let options = sampan_journal::Options::new(Arc::new(Table::shipped()));
        let settings = sampan_journal::front::Settings::default();
        Journal {
            segment_bytes: options.segment_bytes,
            tail_bytes: options.tail_bytes,
            queue_bytes: settings.queue_bytes,
            any_filesystem: false,
        }
    }
}

impl Default for Shards {
    fn default() -> Self {
        Shards { count: 0, socket_buffer_bytes: BufferSizes::default().recv }
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        LogSettings { level: "info".to_owned(), format: LogFormat::default() }
    }
}

impl Default for Revocation {
    fn default() -> Self {
        Revocation { remember_s: auth::MAX_TOKEN_LIFETIME.as_secs() }
    }
}

impl Default for Bridge {
    fn default() -> Self {
        Bridge {
            allowed_origins: vec!["http://localhost:3000".to_owned()],
            sockets_max: 20_000,
            behind_proxy: false,
            socketio_recovery: true,
        }
    }
}

impl Default for Services {
    fn default() -> Self {
        Services {
            enabled: true,
            database_file: None,
            chat_database_file: None,
            files_dir: None,
            providers_file: None,
            allocation: Order::Ranked,
            chat: Chat::default(),
        }
    }
}

impl Default for Chat {
    fn default() -> Self {
        let (ranking, patience) = (Ranking::default(), Patience::default());
        let Policy { mode, is_sticky, relax_after, .. } = Policy::default();
        Chat {
            mode,
            sticky: is_sticky,
            relax_skills_s: relax_after.map(|time| time.as_secs()),
            vip_points: ranking.vip,
            minute_points: ranking.per_minute,
            waiting_points_max: ranking.waiting_max,
            value_per_point: ranking.value_per_point,
            value_points_max: ranking.value_max,
            priority_points: ranking.priority,
            max_wait_s: ranking.max_wait.as_secs(),
            first_reply_s: patience.first_reply.as_secs(),
            offline_grace_s: patience.offline.as_secs(),
            archive_s: patience.archive.as_secs(),
        }
    }
}

impl Chat {
    /// The settings of the chat service.
    pub(super) fn settings(&self) -> sampan_services::chat::service::Settings {
        let ranking = Ranking {
            vip: self.vip_points,
            per_minute: self.minute_points,
            waiting_max: self.waiting_points_max,
            // Nothing is bought for nothing.
            value_per_point: self.value_per_point.max(1),
            value_max: self.value_points_max,
            priority: self.priority_points,
            max_wait: Duration::from_secs(self.max_wait_s),
        };
        let policy = Policy {
            ranking,
            mode: self.mode,
            is_sticky: self.sticky,
            relax_after: self.relax_skills_s.map(Duration::from_secs),
        };
        let patience = Patience {
            offline: Duration::from_secs(self.offline_grace_s),
            first_reply: Duration::from_secs(self.first_reply_s),
            archive: Duration::from_secs(self.archive_s),
            ..Patience::default()
        };
        sampan_services::chat::service::Settings { policy, patience }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let core = core::Limits::default();
        Limits {
            payload_bytes_max: core.payload_bytes_max,
            sessions_max: core.sessions_max,
            topics_max: core.topics_max,
            subscriptions_max: core.subscriptions_max,
            subscription_bytes: core.subscription_bytes,
            connection_bytes: core.connection_bytes,
            node_bytes: 1 << 30,
            latest_keys_max: core.latest_keys_max,
            latest_bytes_max: core.latest_bytes_max,
            request_timeout_max_s: core.request_timeout_max.as_secs(),
            dedupe_window_s: core.dedupe_window.as_secs(),
        }
    }
}

impl Default for Rates {
    fn default() -> Self {
        let core = core::Limits::default();
        let (one, user, address) = (core.connection_rate, core.user_rate, core.address_rate);
        let factor = |many: u32| many / one.customer.per_s.max(1);
        Rates {
            customer_per_s: one.customer.per_s,
            agent_per_s: one.agent.per_s,
            admin_per_s: one.admin.per_s,
            service_per_s: one.service.per_s,
            user_factor: factor(user.customer.per_s),
            address_factor: factor(address.customer.per_s),
        }
    }
}

impl Default for DrainTimes {
    fn default() -> Self {
        DrainTimes { spread_s: 10, linger_s: 5 }
    }
}
