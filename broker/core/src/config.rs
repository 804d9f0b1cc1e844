//! What one shard is told at start: limits, topic classes, roles.

use std::sync::Arc;
use std::time::Duration;

use sampan_protocol::{Pattern, Topic};

use crate::bucket::Rate;
use crate::grant::Role;
use crate::{class, grant};

/// Everything a shard is configured with. Shared by all shards; replaced as a whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bounds.
    pub limits: Limits,
    /// Topic patterns and their classes.
    pub classes: class::Table,
    /// What each role may do.
    pub roles: grant::Table,
    /// Groups that are made at start if there are none of their names.
    pub groups: Vec<GroupRule>,
}

/// A group that exists by configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRule {
    /// Its name.
    pub name: Topic,
    /// What it reads, from the oldest kept message on.
    pub pattern: Pattern,
}

impl GroupRule {
    /// The groups that ship.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        let shipped = [
            ("chat", "chat.conversation.*"),
            ("notifications", "notify.trigger"),
            ("inventory", "inventory.reservation"),
        ];
        let rule = |(name, pattern)| GroupRule {
            name: Topic::parse(name).expect("a name written in this file is valid"),
            pattern: Pattern::parse(pattern).expect("a pattern written in this file is valid"),
        };
        shipped.into_iter().map(rule).collect()
    }
}

impl Config {
    /// The configuration of a broker that is told nothing.
    #[must_use]
    pub fn shipped() -> Arc<Self> {
        Arc::new(Config {
            limits: Limits::default(),
            classes: class::Table::shipped(),
            roles: grant::Table::shipped(),
            groups: GroupRule::shipped(),
        })
    }
}

/// Every bound of a shard, with its unit and default.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of one payload. Default 1 MiB, which is also the protocol's most.
    pub payload_bytes_max: u32,
    /// Sessions of one shard. Default 100,000.
    pub sessions_max: usize,
    /// Topics of the whole broker. Default 1,000,000.
    pub topics_max: usize,
    /// Subscriptions of one session. Default 1,024.
    pub subscriptions_max: u32,
    /// Topics that flow to one session. Default 16,384.
    pub feeds_max: usize,
    /// Bytes of one topic that may wait for one session before its class's overflow rule applies;
    /// where none wait, more may come at once. Default 1 MiB.
    pub subscription_bytes: usize,
    /// Bytes that may wait for one session. Default 4 MiB.
    pub connection_bytes: usize,
    /// Bytes that may wait for all sessions of one shard: its part of the broker's. Once half of it
    /// is taken, clients that have stopped reading are sent away. Default 512 MiB.
    pub shard_bytes: usize,
    /// Bytes of answers and acks that may wait for one session; beyond it the session is closed,
    /// since its client has stopped reading. Default 2 MiB.
    pub control_bytes: usize,
    /// Datagrams that may wait for one session; the oldest is dropped. Default 64.
    pub datagrams_max: usize,
    /// Bytes of one page that a catch-up reader is given. Default 128 KiB.
    pub page_bytes: usize,
    /// Pages that one session may have asked for at the same time. Default 4.
    pub pages_in_flight: usize,
    /// Values that one `latest` topic keeps. Default 10,000.
    pub latest_keys_max: usize,
    /// Bytes that all `latest` topics of one shard keep. Default 256 MiB.
    pub latest_bytes_max: usize,
    /// Offers to serve of one session. Default 256.
    pub offers_max: usize,
    /// Open requests of one session. Default 1,024.
    pub calls_max: usize,
    /// Topics in whose presence one session may be or watch. Default 256.
    pub presence_max: usize,
    /// Topics whose history one pattern subscription may replay. Default 10,000.
    pub replay_topics_max: usize,
    /// Groups of one shard. Default 1,000.
    pub groups_max: usize,
    /// Consumers of one group. Default 1,000.
    pub group_members_max: usize,
    /// Topics that one group reads. Default 1,000,000.
    pub group_topics_max: usize,
    /// Unsettled messages of one group that are held ready or handed out, about. Default 10,000.
    pub group_ahead_count: usize,
    /// Bytes of these, about. Default 16 MiB.
    pub group_ahead_bytes: usize,
    /// Consumers of one session. Default 64.
    pub consumers_max: usize,
    /// Dead letters of one group. Default 100,000.
    pub letters_max: u64,
    /// How long a dead letter is kept. Default 30 days.
    pub letters_age: Duration,
    /// How long a request may wait for its answer. Default 60 s.
    pub request_timeout_max: Duration,
    /// How long an authorizer may take; then the answer is no. Default 2 s.
    pub ask_timeout: Duration,
    /// How long an authorizer's answer may be kept, whatever it says. Default 1 h.
    pub ask_ttl_max: Duration,
    /// How long a publish is remembered for dedupe. Default 5 min.
    pub dedupe_window: Duration,
    /// Publishes and requests per connection, by role. Default 50/s for customers, 500/s for
    /// agents, unlimited for services and admins.
    pub connection_rate: Rates,
    /// Publishes and requests per user and shard, by role. Default twice the connection's.
    pub user_rate: Rates,
    /// Publishes and requests per peer address and shard, by role. Default 40 times the
    /// connection's, since a shop or an office shares one address.
    pub address_rate: Rates,
    /// Other control frames per connection. Default 200/s with a burst of 4,096.
    pub control_rate: Rate,
    /// Keep-alive interval that clients are told. Default 10 s.
    pub keep_alive: Duration,
}

/// One rate per role.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// For customers.
    pub customer: Rate,
    /// For agents.
    pub agent: Rate,
    /// For admins.
    pub admin: Rate,
    /// For services.
    pub service: Rate,
}

impl Rates {
    /// The rate of this role.
    #[must_use]
    pub fn of(&self, role: Role) -> Rate {
        match role {
            Role::Customer => self.customer,
            Role::Agent => self.agent,
            Role::Admin => self.admin,
            Role::Service => self.service,
        }
    }

    fn shipped(factor: u32) -> Self {
        let rate = |per_s: u32| Rate { per_s: per_s * factor, burst: per_s * factor * 2 };
        Rates { customer: rate(50), agent: rate(500), admin: rate(0), service: rate(0) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Limits {
            payload_bytes_max: 1024 * 1024,
            sessions_max: 100_000,
            topics_max: 1_000_000,
            subscriptions_max: sampan_protocol::limits::SUBSCRIPTIONS_MAX,
            feeds_max: 16_384,
            subscription_bytes: MIB,
            connection_bytes: 4 * MIB,
            shard_bytes: 512 * MIB,
            control_bytes: 2 * MIB,
            datagrams_max: 64,
            page_bytes: 128 * 1024,
            pages_in_flight: 4,
            latest_keys_max: 10_000,
            latest_bytes_max: 256 * MIB,
            offers_max: 256,
            calls_max: 1024,
            presence_max: 256,
            replay_topics_max: 10_000,
            groups_max: 1000,
            group_members_max: 1000,
            group_topics_max: 1_000_000,
            group_ahead_count: 10_000,
            group_ahead_bytes: 16 * MIB,
            consumers_max: 64,
            letters_max: 100_000,
            letters_age: Duration::from_secs(30 * 24 * 3600),
            request_timeout_max: Duration::from_secs(60),
            ask_timeout: Duration::from_secs(2),
            ask_ttl_max: Duration::from_secs(3600),
            dedupe_window: Duration::from_secs(300),
            connection_rate: Rates::shipped(1),
            user_rate: Rates::shipped(2),
            address_rate: Rates::shipped(40),
            control_rate: Rate { per_s: 200, burst: 4096 },
            keep_alive: Duration::from_secs(10),
        }
    }
}
