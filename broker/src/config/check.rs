//! The one function that turns settings as written into settings to work with.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sampan_bridge_ws::Origins;
use sampan_core::bucket::Rate;
use sampan_core::config as core;
use sampan_core::journal::PUT_BYTES_MAX;
use sampan_core::shard::SHARDS_MAX;
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_services::store::Address;
use tracing_subscriber::EnvFilter;

use super::error::Error;
use super::file::{self, File, Journal, Limits, LogFormat, Rates};
use super::services::{Services, Variables};
use super::sources::Sources;
use super::{classes, groups, roles};
use crate::auth::{self, Secret};

/// Bytes of the smallest segment: whatever a group stores in one piece fits into it.
const SEGMENT_BYTES_MIN: u64 = 2 << 20;
const _: () = assert!(PUT_BYTES_MAX + (8 << 10) <= 2 << 20);

/// The settings of a broker. Every value is in its range.
#[derive(Clone, Debug)]
pub struct Config {
    /// UDP address for QUIC.
    pub quic: SocketAddr,
    /// TCP address for HTTP.
    pub http: SocketAddr,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The log of what is kept.
    pub journal: Journal,
    /// Shard threads; `None` for as many as there are logs.
    pub shards: Option<NonZeroU8>,
    /// Kernel buffer per socket and direction.
    pub socket_buffer_bytes: usize,
    /// What is logged.
    pub log: Log,
    /// The operator's certificate; none in development.
    pub certificate: Option<CertificateFiles>,
    /// Which tokens are accepted. `auth::Verifier::new` checks it, since that reads files.
    pub auth: auth::Config,
    /// The variable `JWT_SECRET`.
    pub jwt_secret: Option<Secret>,
    /// How long a revocation is remembered.
    pub revocation_memory: Duration,
    /// What browsers and plain HTTP may do.
    pub bridge: Bridge,
    /// The services of the process.
    pub services: Services,
    /// What a shard is told, if it is the only one; see [`Config::of_each`].
    pub core: Arc<core::Config>,
    /// How the broker stops.
    pub drain: Drain,
    /// The settings as written, for `sampan config`.
    pub written: File,
}

/// What is logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Directives that `EnvFilter` takes.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// Where a certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What browsers and plain HTTP may do.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// Where web pages may come from.
    pub origins: Origins,
    /// WebSockets and streams of events at a time.
    pub sockets_max: usize,
    /// Whether a proxy adds TLS.
    pub behind_proxy: bool,
    /// Whether Socket.IO clients that come back are recovered.
    pub socketio_recovery: bool,
}

/// How the broker stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Over how long clients are told to leave.
    pub spread: Duration,
    /// How long one has to leave after it was told.
    pub linger: Duration,
}

impl Config {
    /// Reads and checks the settings of these sources.
    ///
    /// # Errors
    /// [`Error`]; the first that is found.
    pub fn load(sources: &Sources) -> Result<Self, Error> {
        let file = sources.merge()?;
        let jwt_secret = match sources.environment.get("JWT_SECRET") {
            Some(text) => Some(Secret::from_text(text).map_err(Error::JwtSecret)?),
            None => None,
        };
        let address = |name| sources.environment.get(name).map(|text| Address::new(text));
        let databases = Variables {
            database: address("SAMPAN_DATABASE_URL"),
            chat_database: address("SAMPAN_CHAT_DATABASE_URL"),
        };
        Self::check(file, jwt_secret, databases)
    }

    fn check(file: File, jwt_secret: Option<Secret>, databases: Variables) -> Result<Self, Error> {
        let certificate = certificate(&file)?;
        let has_keys = jwt_secret.is_some() || file.auth.has_keys();
        for address in [file.listen.quic, file.listen.http] {
            refuse_public(address, certificate.is_some(), has_keys)?;
        }
        let shards = shards(file.shards.count)?;
        let core = core::Config {
            limits: limits(&file.limits, &file.rates)?,
            classes: classes::table(&file.classes)?,
            roles: roles::table(&file.roles)?,
            groups: groups::rules(&file.groups, file.services.enabled)?,
        };
        range("shards.socket_buffer_bytes", file.shards.socket_buffer_bytes, 64 << 10, 1 << 30)?;
        // It is noted every 15 s that an agent is there.
        range("services.chat.offline_grace_s", file.services.chat.offline_grace_s, 30, 86_400)?;
        range("revocation.remember_s", file.revocation.remember_s, 60, 10 * 366 * 86_400)?;
        range("journal.segment_bytes", file.journal.segment_bytes, SEGMENT_BYTES_MIN, 1 << 30)?;
        range("journal.tail_bytes", file.journal.tail_bytes, 0, 1 << 40)?;
        range("journal.queue_bytes", file.journal.queue_bytes, 1 << 20, 1 << 40)?;
        range("drain.spread_s", file.drain.spread_s, 0, 3600)?;
        range("drain.linger_s", file.drain.linger_s, 0, 3600)?;
        if let Err(error) = EnvFilter::try_new(&file.log.level) {
            return Err(value("log.level", format!("{:?}: {error}", file.log.level)));
        }
        Ok(Config {
            quic: file.listen.quic,
            http: file.listen.http,
            data_dir: file.data.dir.clone(),
            journal: file.journal.clone(),
            shards,
            socket_buffer_bytes: file.shards.socket_buffer_bytes,
            log: Log { filter: file.log.level.clone(), format: file.log.format },
            certificate,
            auth: file.auth.clone(),
            jwt_secret,
            revocation_memory: Duration::from_secs(file.revocation.remember_s),
            bridge: bridge(&file.bridge)?,
            services: Services::new(&file, databases),
            core: Arc::new(core),
            drain: Drain {
                spread: Duration::from_secs(file.drain.spread_s),
                linger: Duration::from_secs(file.drain.linger_s),
            },
            written: file,
        })
    }

    /// What each of so many shards is told: it has its part of what the whole broker may take.
    #[must_use]
    pub fn of_each(&self, shards: NonZeroU8) -> Arc<core::Config> {
        let mut core = core::Config::clone(&self.core);
        core.limits.shard_bytes /= usize::from(shards.get());
        Arc::new(core)
    }

    /// Whether the operator has given a secret or keys; if not, the data directory's secret counts.
    #[must_use]
    pub fn has_own_keys(&self) -> bool {
        self.jwt_secret.is_some() || self.auth.has_keys()
    }
}

fn value(key: &str, why: impl Into<String>) -> Error {
    Error::Value { key: key.to_owned(), why: why.into() }
}

fn range<T: PartialOrd + std::fmt::Display>(
    key: &str,
    had: T,
    min: T,
    max: T,
) -> Result<(), Error> {
    if (&min..=&max).contains(&&had) {
        return Ok(());
    }
    Err(value(key, format!("{had} is not from {min} to {max}")))
}

fn certificate(file: &File) -> Result<Option<CertificateFiles>, Error> {
    match (&file.tls.certificate_file, &file.tls.key_file) {
        (Some(certificate), Some(key)) => {
            Ok(Some(CertificateFiles { certificate: certificate.clone(), key: key.clone() }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(value("tls.key_file", "missing beside tls.certificate_file")),
        (None, Some(_)) => Err(value("tls.certificate_file", "missing beside tls.key_file")),
    }
}

/// A development certificate and a secret that lies in a work directory are for one machine.
fn refuse_public(address: SocketAddr, has_certificate: bool, has_keys: bool) -> Result<(), Error> {
    let missing = match (has_certificate, has_keys) {
        _ if address.ip().to_canonical().is_loopback() => return Ok(()),
        (true, true) => return Ok(()),
        (false, true) => "tls.certificate_file and tls.key_file",
        (true, false) => "JWT_SECRET, or a secret or keys under [auth]",
        (false, false) => {
            "tls.certificate_file and tls.key_file, and JWT_SECRET or a secret or keys under [auth]"
        }
    };
    Err(Error::Public { address, missing })
}

fn bridge(bridge: &file::Bridge) -> Result<Bridge, Error> {
    range("bridge.sockets_max", bridge.sockets_max, 0, 10_000_000)?;
    let origins = Origins::new(&bridge.allowed_origins)
        .map_err(|error| value("bridge.allowed_origins", error.to_string()))?;
    let file::Bridge { sockets_max, behind_proxy, socketio_recovery, .. } = *bridge;
    Ok(Bridge { origins, sockets_max, behind_proxy, socketio_recovery })
}

fn shards(count: u8) -> Result<Option<NonZeroU8>, Error> {
    range("shards.count", count, 0, SHARDS_MAX)?;
    Ok(NonZeroU8::new(count))
}

fn limits(limits: &Limits, rates: &Rates) -> Result<core::Limits, Error> {
    let payload_max = u32::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u32::MAX);
    range("limits.payload_bytes_max", limits.payload_bytes_max, 1, payload_max)?;
    range("limits.sessions_max", limits.sessions_max, 1, 10_000_000)?;
    range("limits.topics_max", limits.topics_max, 1, 100_000_000)?;
    range("limits.subscriptions_max", limits.subscriptions_max, 1, 65_536)?;
    range("limits.subscription_bytes", limits.subscription_bytes, 64 << 10, 1 << 30)?;
    range("limits.connection_bytes", limits.connection_bytes, 64 << 10, 1 << 30)?;
    range("limits.node_bytes", limits.node_bytes, 1 << 20, 1 << 40)?;
    range("limits.latest_keys_max", limits.latest_keys_max, 1, 10_000_000)?;
    range("limits.latest_bytes_max", limits.latest_bytes_max, 1 << 20, 1 << 40)?;
    range("limits.request_timeout_max_s", limits.request_timeout_max_s, 1, 3600)?;
    range("limits.dedupe_window_s", limits.dedupe_window_s, 1, 86_400)?;
    range("rates.user_factor", rates.user_factor, 1, 1_000_000)?;
    range("rates.address_factor", rates.address_factor, 1, 1_000_000)?;
    Ok(core::Limits {
        payload_bytes_max: limits.payload_bytes_max,
        sessions_max: limits.sessions_max,
        topics_max: limits.topics_max,
        subscriptions_max: limits.subscriptions_max,
        subscription_bytes: limits.subscription_bytes,
        connection_bytes: limits.connection_bytes,
        shard_bytes: limits.node_bytes,
        latest_keys_max: limits.latest_keys_max,
        latest_bytes_max: limits.latest_bytes_max,
        request_timeout_max: Duration::from_secs(limits.request_timeout_max_s),
        dedupe_window: Duration::from_secs(limits.dedupe_window_s),
        connection_rate: per_role(rates, 1),
        user_rate: per_role(rates, rates.user_factor),
        address_rate: per_role(rates, rates.address_factor),
        ..core::Limits::default()
    })
}

fn per_role(rates: &Rates, factor: u32) -> core::Rates {
    let rate = |per_s: u32| {
        let per_s = per_s.saturating_mul(factor);
        Rate { per_s, burst: per_s.saturating_mul(2) }
    };
    core::Rates {
        customer: rate(rates.customer_per_s),
        agent: rate(rates.agent_per_s),
        admin: rate(rates.admin_per_s),
        service: rate(rates.service_per_s),
    }
}
