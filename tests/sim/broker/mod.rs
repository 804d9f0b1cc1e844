//! The broker: shards and their journals, as one process that can crash, drain and start again.

mod directory;
#[path = "../../../broker/core/src/shard/tests/disk.rs"]
mod disk;
mod mesh;
mod process;
mod verdicts;

use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_core::config::Config;
use sampan_core::journal::{self, Faults, Memory};
use sampan_protocol::{Now, Topic};
use sampan_quic::{Limits, SECRET_BYTES, Secret, Tls, WallClock};

use self::disk::Disk;
pub(crate) use self::process::{Drain, Process};
use crate::chance::Chance;
use crate::net::{Net, Packet};
use crate::tls;
use crate::trace::Trace;

/// What a broker is made with.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) shards: u8,
    pub(crate) config: Arc<Config>,
    pub(crate) limits: Limits,
    pub(crate) journal: journal::Config,
    /// How long the verifier of tokens takes.
    pub(crate) verdict: std::ops::RangeInclusive<Duration>,
}

impl Plan {
    /// Two shards on disks that sync in 1 to 4 ms per step.
    pub(crate) fn new() -> Self {
        let delay = Duration::from_millis(1)..=Duration::from_millis(4);
        let journal = journal::Config {
            best: sampan_protocol::AckLevel::Synced,
            faults: Faults { delay, fail_ppm: 0 },
            ..journal::Config::default()
        };
        Plan {
            shards: 2,
            config: Config::shipped(),
            limits: Limits::default(),
            journal,
            verdict: Duration::ZERO..=Duration::from_millis(3),
        }
    }
}

/// Offsets of a topic that a crash took.
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub(crate) topic: Topic,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// A broker, up or down.
pub(crate) struct Broker {
    plan: Plan,
    seed: u64,
    secret: Secret,
    clock: Arc<WallClock>,
    disks: Vec<Disk>,
    process: Option<Process>,
    /// Processes started so far.
    boots: u64,
}

impl Broker {
    /// A broker that is down and has never been up.
    pub(crate) fn new(plan: Plan, seed: u64, clock: Arc<WallClock>) -> Self {
        let mut chance = Chance::of(seed, "disks", 0);
        let classes = Arc::new(plan.config.classes.clone());
        let disks = (0..plan.shards).map(|_| {
            let config = journal::Config { seed: chance.bits(), ..plan.journal.clone() };
            Disk::new(Memory::new(config, classes.clone()))
        });
        let disks = disks.collect();
        let secret = Secret::new(&[42; SECRET_BYTES]);
        Broker { plan, seed, secret, clock, disks, process: None, boots: 0 }
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// When [`Broker::work`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.process.as_ref().and_then(Process::deadline)
    }

    /// Takes a datagram, if there is anybody to take it.
    pub(crate) fn datagram(&mut self, now: Now, packet: &Packet, net: &mut Net) {
        if let Some(process) = &mut self.process {
            process.datagram(now, packet, net);
        }
    }

    /// Does everything that is due.
    pub(crate) fn work(&mut self, now: Now, net: &mut Net, trace: &mut Trace) {
        if let Some(process) = &mut self.process {
            process.work(now, net, trace);
        }
    }

    /// Starts a process over what the disks hold.
    pub(crate) fn start(&mut self, now: Now) {
        self.boots += 1;
        let chance = Chance::of(self.seed, "process", self.boots);
        let tls = Tls::new(
            tls::certificate().0,
            &self.secret,
            &chance.clone().bytes(),
            self.clock.clone(),
        );
        let tls = tls.expect("a certificate");
        let process = Process::new(&self.plan, tls, &self.disks, chance, now);
        self.process = Some(process);
    }

    /// The process dies and the power is cut; what the disks lost.
    pub(crate) fn crash(&mut self) -> Vec<Lost> {
        self.process = None;
        let lost = self.disks.iter().flat_map(Disk::crash);
        let lost =
            lost.map(|lost| Lost { topic: lost.topic, from: lost.hole.from, to: lost.hole.to });
        lost.collect()
    }

    /// Plays other faults on every disk from here on.
    pub(crate) fn set_faults(&self, faults: &Faults) {
        self.disks.iter().for_each(|disk| disk.memory().set_faults(faults.clone()));
    }

    /// Every disk reports a write error, and refuses what comes until [`Broker::crash`].
    pub(crate) fn fence(&self, now: Now) {
        self.disks.iter().for_each(|disk| disk.memory().fence(now));
    }

    /// Bytes that the largest journal holds.
    pub(crate) fn journal_bytes(&self) -> usize {
        self.disks.iter().map(|disk| disk.memory().bytes()).max().unwrap_or(0)
    }
}
