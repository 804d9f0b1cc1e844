//! The life of a broker: start, serve, drain, stop.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_quic::{Certificate, Limits};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{interval, sleep, timeout};
use tracing::{info, warn};

use super::answers::{ASIDES, Answers};
use super::banner::{self, Bound};
use super::bridge::bridge;
use super::clock::{now, unix_ms};
use super::error::Error;
use super::journals::{Fences, Journals, Monitors};
use super::log;
use super::own::Own;
use super::services;
use super::signals::{Signals, Told};
use super::tokens::Tokens;
use crate::auth::{Revocations, Verifier, jwks};
use crate::config::Config;
use crate::data_dir::{self, DataDir, Lock};
use crate::http::{self, Health, Latencies, Metrics, Phase, Reading};
use crate::scaling::Watch;
use crate::shard::{Broker, Drain, Setup};
use crate::udp::BufferSizes;

/// Threads of the runtime beside the shards; nothing on it is on a message's way.
const RUNTIME_THREADS: usize = 2;

/// How long the start waits for the broker's own session.
const OWN_SESSION: Duration = Duration::from_secs(5);

/// How long a broker whose journal has failed goes on answering, and then waits for its threads.
const LAST_WORDS: Duration = Duration::from_millis(400);

/// Everything of a broker that is up.
struct Running {
    config: Config,
    data: DataDir,
    lock: Lock,
    broker: Arc<Broker>,
    health: Arc<Health>,
    tokens: Arc<Tokens>,
    /// What keeps published keys up to date.
    follower: JoinHandle<()>,
}

/// Runs a broker until it is told to stop.
///
/// # Errors
/// [`Error`] from the start, and [`Error::Fenced`] when the journal has failed; with anything else
/// that happens the broker lives.
pub fn run(config: Config) -> Result<(), Error> {
    log::start(&config.log);
    let runtime = Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("aside")
        .enable_all()
        .build()?;
    let done = runtime.block_on(serve(config));
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn serve(config: Config) -> Result<(), Error> {
    // From here on a signal is heeded instead of killing the process, also during the start.
    let mut signals = Signals::listen()?;
    let started = Instant::now();
    let data = DataDir::new(&config.data_dir);
    data.create()?;
    let lock = data.lock()?;
    let listener = TcpListener::bind(config.http).await;
    let listener = listener.map_err(|error| Error::Http(config.http, error))?;
    let http = listener.local_addr()?;

    let revocations =
        Revocations::open(data.revocations_path(), config.revocation_memory, unix_ms());
    let revocations = Arc::new(revocations.map_err(Error::Revocations)?);
    let verifier = verifier(&config, &data, revocations.clone())?;
    let follows_keys = config.auth.jwks_file.is_some() || config.auth.jwks_url.is_some();
    let tokens = Tokens::new(verifier.clone(), follows_keys);
    let tokens = Arc::new(tokens.ok_or(data_dir::Error::Crypto)?);
    let (journals, mut fences) = {
        let (config, data) = (config.clone(), data.clone());
        // It reads what there is, which may take a moment.
        let opened = spawn_blocking(move || Journals::open(&config, &data, now())).await;
        opened.map_err(io::Error::other)??
    };
    let (shards, monitors) = (journals.shards(), journals.monitors());
    let broker = Arc::new(start(&config, &data, &lock, tokens.clone(), journals)?);
    warn_of_small_buffers(&config, &broker);

    let offered = services::open(&config).await?;
    let health = Arc::new(Health::starting());
    if let Some(services) = offered.clone() {
        health.look_at_services(move || services.check());
    }
    let latencies = Latencies::default();
    let recovery =
        config.bridge.socketio_recovery.then(|| data.recovery_or_new(&lock)).transpose()?;
    let bridge = bridge(&config, &broker, recovery);
    if bridge.is_none() {
        warn!(
            "other machines would reach the bridge without TLS: it is off; see bridge.behind_proxy"
        );
    }
    // What the services serve themselves is for clients too.
    let served = offered.as_ref().filter(|_| bridge.is_some()).map(|services| services.routes());
    let refusals = Arc::new(http::Refusals::default());
    let (clients, counters) = bridge.map(|web| (web.router, web.counters)).unzip();
    let scaling = Watch::default();
    let metrics = {
        let watched = scaling.clone();
        let (broker, tokens, services) = (broker.clone(), tokens.clone(), offered.clone());
        let refusals = refusals.clone();
        Metrics::new(&latencies, move || {
            let bridge = counters.iter().flat_map(|counters| counters.all());
            let own = services.iter().flat_map(|services| services.counters().all());
            let up = services.as_ref().map(|services| u64::from(services.check().is_ok()));
            let beside = bridge.chain(own).chain(refusals.all()).collect();
            let scaling = watched.standing();
            Reading { beside, services_up: up, scaling, ..reading(&broker, &tokens, &monitors) }
        })
    };
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let asked = health.clone();
    let routes =
        http::router(move || asked.ready(Instant::now()), Arc::new(metrics), scaling.clone());
    let scaling = {
        let broker = broker.clone();
        tokio::spawn(
            scaling
                .run(move || broker.counters().iter().map(|shard| shard.core.sessions_live).sum()),
        )
    };
    let routes = routes.merge(clients.unwrap_or_default()).merge(served.unwrap_or_default());
    let mut limits = http::Limits::default();
    // A stream of events holds its connection.
    limits.connections += config.bridge.sockets_max;
    let http_side = tokio::spawn(http::serve(listener, routes, limits, refusals, async {
        // Dropping the other end means the same.
        let _ = http_stopped.await;
    }));
    let answers = Answers {
        broker: broker.clone(),
        tokens: tokens.clone(),
        revocations,
        health: health.clone(),
        started,
        asides: Arc::new(Semaphore::new(ASIDES)),
        begun: Notify::new(),
    };
    let answers = Arc::new(answers);
    let own = Own {
        broker: broker.clone(),
        tokens: tokens.clone(),
        health: health.clone(),
        latencies,
        answers: answers.clone(),
        shards: shards.get(),
    };
    let own = tokio::spawn(own.run());
    let services = offered.map(|offered| services::start(offered, &broker, tokens.clone()));
    // Whoever reads that the broker serves may ask it something next.
    if timeout(OWN_SESSION, answers.begun.notified()).await.is_err() {
        warn!("the broker does not answer questions about itself yet");
    }
    health.enter(Phase::Serving);
    let bound = Bound { quic: broker.local_addr(), http };
    banner::print(&config, bound);
    info!(quic = %bound.quic, http = %bound.http, shards, "serving");

    let follower = follow_keys(verifier);
    let mut running = Running { config, data, lock, broker, health, tokens, follower };
    let ended = loop {
        tokio::select! {
            told = signals.next() => match told {
                Told::Reload => running.reload(),
                Told::Stop => break running.drain(&mut signals, &mut fences).await,
            },
            Some(why) = fences.recv() => break Err(Error::Fenced(why)),
        }
    };
    own.abort();
    scaling.abort();
    if let Err(error) = ended {
        running.give_up().await;
        return Err(error);
    }
    if let Some(services) = services {
        services.stop().await;
    }
    running.stop().await;
    drop(stop_http);
    // It has its own time limit, and nothing is lost with it.
    let _ = http_side.await;
    info!("stopped");
    Ok(())
}

fn verifier(
    config: &Config,
    data: &DataDir,
    revocations: Arc<Revocations>,
) -> Result<Arc<Verifier>, Error> {
    let secret = match &config.jwt_secret {
        Some(secret) => Some(secret.clone()),
        None if config.auth.has_keys() => None,
        None => Some(data.secret_or_new()?),
    };
    Verifier::new(&config.auth, secret, revocations).map(Arc::new).map_err(Error::Auth)
}

/// Keeps published keys up to date.
fn follow_keys(verifier: Arc<Verifier>) -> JoinHandle<()> {
    tokio::spawn(jwks::run(verifier, std::future::pending()))
}

/// Replaces the verifier; one whose keys come from a URL waits for them, so that nobody is refused
/// meanwhile, but not for ever.
async fn put_in_force(tokens: Arc<Tokens>, verifier: Arc<Verifier>, has_url: bool) {
    let fetched = async {
        while has_url && verifier.key_counts().refreshes == 0 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    if timeout(Duration::from_secs(10), fetched).await.is_err() {
        warn!("the key set was not fetched; secret and keys stay as they were");
        return;
    }
    tokens.replace(verifier);
    info!("secret and keys read again");
}

fn start(
    config: &Config,
    data: &DataDir,
    lock: &Lock,
    tokens: Arc<Tokens>,
    journals: Journals,
) -> Result<Broker, Error> {
    let shards = journals.shards().get();
    let buffers =
        BufferSizes { recv: config.socket_buffer_bytes, send: config.socket_buffer_bytes };
    let core = config.of_each(journals.shards());
    let limits = &core.limits;
    let payload_bytes_max = usize::try_from(limits.payload_bytes_max).unwrap_or(usize::MAX);
    let connections_max = limits.sessions_max;
    let partial_bytes_max = limits.shard_bytes as u64 / 4;
    Ok(Broker::start(Setup {
        addr: config.quic,
        shards,
        buffers,
        config: core,
        limits: Limits {
            payload_bytes_max,
            connections_max,
            partial_bytes_max,
            ..Limits::default()
        },
        certificate: certificate(config, data, lock)?,
        secret: data.transport_or_new(lock)?,
        authenticate: Arc::new(move |token, now_ms| tokens.judge(token, now_ms)),
        store: journals.store(),
    })?)
}

fn certificate(
    config: &Config,
    data: &DataDir,
    lock: &Lock,
) -> Result<Certificate, data_dir::Error> {
    match &config.certificate {
        Some(files) => data_dir::load_certificate(&files.certificate, &files.key),
        None => data.certificate_or_new(lock),
    }
}

/// With small buffers a burst to thousands of clients loses datagrams, which QUIC has to send again.
fn warn_of_small_buffers(config: &Config, broker: &Broker) {
    let BufferSizes { recv, send } = broker.buffer_sizes();
    let wanted = config.socket_buffer_bytes;
    if recv < wanted {
        warn!(wanted, had = recv, "the system caps receive buffers: raise net.core.rmem_max");
    }
    if send < wanted {
        warn!(wanted, had = send, "the system caps send buffers: raise net.core.wmem_max");
    }
}

fn reading(broker: &Broker, tokens: &Tokens, monitors: &Monitors) -> Reading {
    let verifier = tokens.verifier();
    let keys = verifier.key_counts();
    let (tokens_accepted, tokens_refused) = tokens.counts();
    Reading {
        shards: broker.counters(),
        journals: monitors.reports(),
        topics: broker.topics_len() as u64,
        tokens_accepted,
        tokens_refused,
        auth_keys: keys.keys as u64,
        auth_key_failures: keys.failures,
        revocations: verifier.revocations().count() as u64,
        ..Reading::default()
    }
}

impl Running {
    /// Reads the files of certificate, secret and keys again. They count for new connections; those
    /// that are open stay. What cannot be used stays as it was.
    fn reload(&mut self) {
        let reloaded = certificate(&self.config, &self.data, &self.lock)
            .map_err(Error::from)
            .and_then(|certificate| Ok(self.broker.reload_certificate(certificate)?));
        match reloaded {
            Ok(()) => info!("certificate read again"),
            Err(error) => warn!(%error, "the certificate stays as it was"),
        }
        let revocations = self.tokens.verifier().revocations().clone();
        match verifier(&self.config, &self.data, revocations) {
            Ok(verifier) => {
                self.follower.abort();
                self.follower = follow_keys(verifier.clone());
                let has_url = self.config.auth.jwks_url.is_some();
                tokio::spawn(put_in_force(self.tokens.clone(), verifier, has_url));
            }
            Err(error) => warn!(%error, "secret and keys stay as they were"),
        }
    }

    /// Sends the clients away over a while, and waits until they are gone or their time is up. A
    /// second signal ends the wait, and so does a journal that fails.
    async fn drain(&self, signals: &mut Signals, fences: &mut Fences) -> Result<(), Error> {
        self.health.enter(Phase::Draining);
        let drain = self.config.drain;
        let plan = Drain {
            over: drain.spread,
            reconnect_within: Drain::default().reconnect_within.min(drain.linger),
            close_after: drain.linger,
        };
        info!(sessions = self.broker.attached(), over = ?plan.over, "draining");
        self.broker.drain(plan, self.tokens.is_own());
        let empty = async {
            let mut looks = interval(Duration::from_millis(20));
            while self.broker.attached() > 0 {
                looks.tick().await;
            }
        };
        let again = async { while signals.next().await == Told::Reload {} };
        tokio::select! {
            () = empty => {}
            () = sleep(plan.over + plan.close_after + Duration::from_secs(1)) => {}
            () = again => info!("told again: stopping at once"),
            Some(why) = fences.recv() => return Err(Error::Fenced(why)),
        }
        Ok(())
    }

    /// Ends without a journal: publishers hear that their messages are not stored, and clients that
    /// the broker starts again. A disk that hangs does not hold it up.
    async fn give_up(self) {
        self.health.enter(Phase::Failed);
        sleep(LAST_WORDS).await;
        if timeout(LAST_WORDS, self.stop()).await.is_err() {
            warn!("the shards did not stop in time");
        }
    }

    /// Closes what is left. Waits for the shard threads, which may take a turn.
    async fn stop(self) {
        let broker = self.broker;
        let stopped = spawn_blocking(move || broker.stop()).await;
        if let Err(error) = stopped {
            warn!(%error, "the shards did not stop cleanly");
        }
        drop(self.lock);
    }
}
