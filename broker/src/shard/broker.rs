//! A running broker: its shard threads, and what can be asked of them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use sampan_core::grant::Identity;
use sampan_core::shard::{self, SHARDS_MAX, Shard, TopicStatus};
use sampan_protocol::{Code, link};
use sampan_quic::{Certificate, Quic, Secret, Tls, WallClock};

use super::command::Note;
use super::directory::Names;
use super::drain::Drain;
use super::error::Error;
use super::link::{Inbox, Links};
use super::linked::Linked;
use super::manage::Asked;
use super::mesh;
use super::runner::{self, Runner};
use super::setup::{Setup, Store};
use crate::udp::{self, BufferSizes, Socket, Waiter, bind_group};

/// How long a question to the shards may take. They answer between two turns, so this is only
/// reached when one of them is stuck.
const ANSWER: Duration = Duration::from_secs(5);

/// What one shard has counted, at most a second ago.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Sessions, rooms, deliveries.
    pub core: sampan_core::counters::Counters,
    /// Handshakes and connections.
    pub quic: sampan_quic::Counters,
    /// Datagrams.
    pub udp: udp::Counters,
    /// Gauge: sessions in this process.
    pub linked: u64,
    /// Time that the thread has been at work since its start.
    pub busy: Duration,
}

/// A running broker. Dropping it stops it.
pub struct Broker {
    local: SocketAddr,
    buffers: BufferSizes,
    names: Arc<Names>,
    tls: Mutex<Tls>,
    shards: Vec<Handle>,
    links: Arc<Links>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The way to one shard.
struct Handle {
    inbox: Inbox,
    report: Arc<ArcSwap<Counters>>,
    attached: Arc<AtomicUsize>,
}

impl Broker {
    /// Binds the address and starts the shard threads.
    ///
    /// # Errors
    /// If the address is taken, the certificate cannot be used, or a thread cannot be started;
    /// nothing runs then.
    pub fn start(mut setup: Setup) -> Result<Self, Error> {
        let shards = setup.shards;
        if !(1..=SHARDS_MAX).contains(&shards) {
            return Err(Error::Shards(shards));
        }
        let now = runner::now();
        let seed: [u8; 32] = random()?;
        let boot = u64::from_le_bytes(random()?) & sampan_protocol::limits::NUMBER_MAX;
        let clock = Arc::new(WallClock::new(now.unix_ms));
        let tls = Tls::new(setup.certificate, &Secret::new(&setup.secret), &seed, clock)?;
        let topics_max = setup.config.limits.topics_max;
        let names = Arc::new(Names::new(setup.config.classes.clone(), shards, topics_max));
        let sockets = bind_group(setup.addr, usize::from(shards), setup.buffers)?;
        let local = sockets.first().map_or(setup.addr, Socket::local_addr);
        let buffers = sockets.first().map_or(setup.buffers, Socket::buffer_sizes);
        let waiters: Vec<_> = sockets.iter().map(Waiter::new).collect::<Result<_, _>>()?;
        let (waiters, wakers): (Vec<_>, Vec<_>) = waiters.into_iter().unzip();
        let meshes = mesh::connect(&wakers);
        let mut broker = Broker {
            local,
            buffers,
            names: names.clone(),
            tls: Mutex::new(tls.clone()),
            shards: Vec::new(),
            links: Arc::new(Links::new(Vec::new())),
            threads: Mutex::default(),
        };
        let parts = sockets.into_iter().zip(waiters).zip(meshes);
        for ((index, ((socket, waiter), mesh)), waker) in (0_u8..).zip(parts).zip(wakers) {
            let (notes, inbox) = channel();
            let handle = Handle {
                inbox: Inbox::new(notes, waker.clone()),
                report: Arc::default(),
                attached: Arc::default(),
            };
            let wake = Arc::new(move || waker.wake());
            let Store { journal, topics } = (setup.store)(index, wake).map_err(Error::Thread)?;
            let shard = Shard::new(shard::Setup {
                config: setup.config.clone(),
                shard: index,
                shards,
                boot,
                directory: names.clone(),
                journal,
                topics,
                now,
            });
            let limits = setup.limits.clone();
            let quic = sampan_quic::Setup { shard, index, shards, limits, tls: tls.clone(), seed };
            let runner = Runner {
                quic: Quic::new(quic, now),
                received: socket.recv_batch(),
                outgoing: socket.send_batch(),
                socket,
                waiter,
                mesh,
                inbox,
                linked: Linked::new(setup.limits.payload_bytes_max),
                asked: Asked::default(),
                authenticate: setup.authenticate.clone(),
                report: handle.report.clone(),
                attached: handle.attached.clone(),
                draining: None,
                blocked: false,
                more: false,
                reported: now.mono,
                busy: Duration::ZERO,
            };
            broker.shards.push(handle);
            let thread = spawn(index, runner).map_err(Error::Thread)?;
            broker.threads_mut().push(thread);
        }
        let inboxes = broker.shards.iter().map(|shard| shard.inbox.clone()).collect();
        broker.links = Arc::new(Links::new(inboxes));
        Ok(broker)
    }

    /// Where the broker listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The kernel buffers in force, smaller than asked for where the system caps them.
    #[must_use]
    pub fn buffer_sizes(&self) -> BufferSizes {
        self.buffers
    }

    /// Attaches sessions in this process, spread over the shards.
    #[must_use]
    pub fn link(&self) -> Arc<dyn link::Broker> {
        self.links.clone()
    }

    /// What each shard has counted, at most a second ago.
    #[must_use]
    pub fn counters(&self) -> Vec<Arc<Counters>> {
        self.shards.iter().map(|shard| shard.report.load_full()).collect()
    }

    /// Connections and in-process sessions at this moment; in a drain, without those that it
    /// spares.
    #[must_use]
    pub fn attached(&self) -> usize {
        self.shards.iter().map(|shard| shard.attached.load(Ordering::Relaxed)).sum()
    }

    /// Topics known to the broker.
    #[must_use]
    pub fn topics_len(&self) -> usize {
        self.names.len()
    }

    /// The topics in use, in name order, at most `max`. Blocks for a turn of the slowest shard.
    ///
    /// # Errors
    /// `Stopped` if a shard does not answer.
    pub fn topics(&self, max: usize) -> Result<Vec<TopicStatus>, Error> {
        let answers = self.ask(|answer| Note::Topics { max, answer })?;
        let mut topics: Vec<TopicStatus> = answers.into_iter().flatten().collect();
        topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        topics.truncate(max);
        Ok(topics)
    }

    /// Ends every session whose identity matches, with `code`; how many there were. Blocks for a
    /// turn of the slowest shard, after which none of them is served any more.
    ///
    /// # Errors
    /// `Stopped` if a shard does not answer.
    pub fn close_where(
        &self,
        code: Code,
        matches: impl Fn(&Identity) -> bool + Send + Sync + 'static,
    ) -> Result<usize, Error> {
        let matches: super::command::Matches = Arc::new(matches);
        let answers =
            self.ask(|answer| Note::CloseWhere { code, matches: matches.clone(), answer })?;
        Ok(answers.into_iter().sum())
    }

    /// Shows another certificate to connections that begin from here on. The others stay.
    ///
    /// # Errors
    /// If the certificate cannot be used; the one before stays.
    pub fn reload_certificate(&self, certificate: Certificate) -> Result<(), Error> {
        let mut tls = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        *tls = tls.with_certificate(certificate)?;
        self.tell_all(|| Note::Certificate(tls.clone()));
        Ok(())
    }

    /// Starts to send the clients away, but those whose identity matches, and lets no new connection
    /// in. [`Broker::attached`] tells how many are left.
    pub fn drain(&self, plan: Drain, spared: impl Fn(&Identity) -> bool + Send + Sync + 'static) {
        let spared: super::command::Matches = Arc::new(spared);
        self.tell_all(|| Note::Drain(plan, spared.clone()));
    }

    /// Closes what is left, and waits for the threads to end.
    pub fn stop(&self) {
        self.tell_all(|| Note::Stop);
        for thread in self.threads_mut().drain(..) {
            // A thread that panics takes the process with it.
            let _ = thread.join();
        }
    }

    /// Asks every shard, and waits for all answers.
    fn ask<T>(&self, note: impl Fn(Sender<T>) -> Note) -> Result<Vec<T>, Error> {
        let (answer, answers) = channel();
        self.tell_all(|| note(answer.clone()));
        drop(answer);
        (0..self.shards.len())
            .map(|_| answers.recv_timeout(ANSWER).map_err(|_| Error::Stopped))
            .collect()
    }

    /// Shard threads.
    pub(super) fn shards_len(&self) -> u8 {
        u8::try_from(self.shards.len()).unwrap_or(SHARDS_MAX)
    }

    /// Puts a note into the inbox of one shard.
    pub(super) fn tell(&self, shard: u8, note: Note) {
        if let Some(shard) = self.shards.get(usize::from(shard)) {
            shard.inbox.put(note);
        }
    }

    fn tell_all(&self, note: impl Fn() -> Note) {
        for shard in &self.shards {
            shard.inbox.put(note());
        }
    }

    fn threads_mut(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shards = self.shards.len();
        f.debug_struct("Broker").field("local", &self.local).field("shards", &shards).finish()
    }
}

fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}

fn spawn(index: u8, runner: Runner) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
        let _guard = AbortOnPanic(index);
        if let Err(error) = runner.run() {
            tracing::error!(shard = index, %error, "a shard cannot go on; the broker ends");
            std::process::abort();
        }
    })
}

/// A shard that panics leaves the others waiting for it and its clients without an end, so the
/// process ends and is started anew.
struct AbortOnPanic(u8);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(shard = self.0, "a shard has panicked; the broker ends");
            std::process::abort();
        }
    }
}
