//! One run of the broker: its shards, the rings between them, and the datagrams steered to them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use sampan_core::directory::{Directory, owner};
use sampan_core::session::SessionKey;
use sampan_core::shard::{Output, Setup, Shard};
use sampan_protocol::Now;
use sampan_quic::{Arrival, Envelope, Quic, Tls};

use super::Plan;
use super::directory::Names;
use super::disk::Disk;
use super::mesh::Mesh;
use super::verdicts::Verdicts;
use crate::chance::Chance;
use crate::net::{BROKER, Net, Packet};
use crate::trace::Trace;

/// How a process sends its clients away, as the shell does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drain {
    /// Over which time they are told, evenly spread.
    pub(crate) over: Duration,
    pub(crate) reconnect_within: Duration,
    pub(crate) close_after: Duration,
}

struct Draining {
    drain: Drain,
    sessions: VecDeque<(u8, SessionKey)>,
    step: Duration,
    next: Instant,
}

pub(crate) struct Process {
    shards: Vec<Quic>,
    mesh: Mesh,
    verdicts: Verdicts,
    draining: Option<Draining>,
    /// Shards that something has happened to since they last worked.
    touched: BTreeSet<u8>,
    chance: Chance,
}

impl Process {
    pub(super) fn new(plan: &Plan, tls: Tls, disks: &[Disk], mut chance: Chance, now: Now) -> Self {
        let count = plan.shards;
        let names: Arc<dyn Directory> = Arc::new(Names::new(plan.config.clone(), count));
        let (boot, seed) = (chance.bits() >> 12, chance.bytes());
        let make = |(index, disk): (u8, &Disk)| {
            let topics = disk.memory().topics();
            assert!(topics.iter().all(|topic| owner(topic, count) == index), "topics move");
            let shard = Shard::new(Setup {
                config: plan.config.clone(),
                shard: index,
                shards: count,
                boot,
                directory: names.clone(),
                journal: Box::new(disk.clone()),
                topics,
                now,
            });
            let (limits, tls) = (plan.limits.clone(), tls.clone());
            Quic::new(sampan_quic::Setup { shard, index, shards: count, limits, tls, seed }, now)
        };
        Process {
            shards: (0..count).zip(disks).map(make).collect(),
            mesh: Mesh::new(count, Chance::new(chance.bits())),
            verdicts: Verdicts::new(plan.verdict.clone(), Chance::new(chance.bits())),
            draining: None,
            touched: (0..count).collect(),
            chance,
        }
    }

    pub(crate) fn shards(&self) -> &[Quic] {
        &self.shards
    }

    /// Whether no message is between shards.
    pub(crate) fn is_settled(&self) -> bool {
        self.mesh.is_empty()
    }

    /// Takes a datagram, on the shard that the first byte of its connection id names.
    pub(crate) fn datagram(&mut self, now: Now, packet: &Packet, net: &mut Net) {
        let long = packet.payload.first().is_some_and(|first| first & 0x80 != 0);
        let byte = packet.payload.get(if long { 6 } else { 1 }).copied().unwrap_or(0);
        let index = byte % u8::try_from(self.shards.len()).expect("few shards");
        self.touched.insert(index);
        let mut answers: Vec<(Envelope, Vec<u8>)> = Vec::new();
        let arrival = Arrival {
            remote: packet.from,
            local_ip: None,
            ecn: packet.ecn,
            payload: BytesMut::from(&packet.payload[..]),
        };
        self.shards[usize::from(index)].datagram(now, arrival, &mut |envelope, bytes| {
            answers.push((envelope, bytes.to_vec()));
        });
        for (envelope, payload) in answers {
            let (to, ecn) = (envelope.destination, envelope.ecn);
            net.send(now.mono, Packet { from: BROKER, to, ecn, payload });
        }
    }

    /// When [`Process::work`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let shards = self.shards.iter().filter_map(Quic::deadline);
        let draining = self.draining.as_ref().filter(|draining| !draining.sessions.is_empty());
        let others = [
            self.mesh.deadline(),
            self.verdicts.deadline(),
            draining.map(|draining| draining.next),
        ];
        shards.chain(others.into_iter().flatten()).min()
    }

    /// Does everything that is due, shard after shard in an order drawn by lot.
    pub(crate) fn work(&mut self, now: Now, net: &mut Net, trace: &mut Trace) {
        for (to, message) in self.mesh.due(now.mono) {
            trace.note(now, format_args!("shard {to} takes {message:?}"));
            self.shards[usize::from(to)].shard_mut().message(now, message);
            self.touched.insert(to);
        }
        while let Some(verdict) = self.verdicts.due(now.mono) {
            let shard = self.shards[usize::from(verdict.shard)].shard_mut();
            shard.verdict(now, verdict.key, verdict.identity);
            self.touched.insert(verdict.shard);
        }
        self.send_away(now);
        for (index, quic) in (0..).zip(&self.shards) {
            if quic.deadline().is_some_and(|at| at <= now.mono) {
                trace.note(now, format_args!("shard {index} timer"));
                self.touched.insert(index);
            }
        }
        let mut order: Vec<u8> = std::mem::take(&mut self.touched).into_iter().collect();
        self.chance.shuffle(&mut order);
        for index in order {
            self.work_shard(now, index, net);
        }
    }

    fn work_shard(&mut self, now: Now, index: u8, net: &mut Net) {
        let quic = &mut self.shards[usize::from(index)];
        quic.time(now);
        loop {
            quic.settle(now);
            let mut moved = false;
            while let Some(output) = quic.poll(now) {
                moved = true;
                match output {
                    Output::ToShard(to, message) => self.mesh.push(now.mono, index, to, message),
                    Output::Authenticate { key, token } => {
                        self.verdicts.ask(now, index, key, &token);
                    }
                    Output::Live { .. } => unreachable!("every session has a connection"),
                    Output::Managed { .. } => unreachable!("nothing is asked of groups"),
                }
            }
            assert!(quic.transmit(now, &mut net.broker_outlet(now.mono)), "the outlet has room");
            if !moved {
                return;
            }
        }
    }

    /// Begins to send every client away, and lets nobody in.
    pub(crate) fn drain(&mut self, now: Now, drain: Drain) {
        let mut sessions: VecDeque<_> = (0..)
            .zip(&self.shards)
            .flat_map(|(index, quic)| {
                quic.shard().sessions().into_iter().map(move |key| (index, key))
            })
            .collect();
        self.chance.shuffle(sessions.make_contiguous());
        let step = drain.over / u32::try_from(sessions.len().max(1)).expect("few sessions");
        self.shards.iter_mut().for_each(Quic::shut);
        self.draining = Some(Draining { drain, sessions, step, next: now.mono });
    }

    fn send_away(&mut self, now: Now) {
        let Some(draining) = &mut self.draining else { return };
        while draining.next <= now.mono {
            let Some((index, key)) = draining.sessions.pop_front() else { return };
            let Drain { reconnect_within, close_after, .. } = draining.drain;
            let shard = self.shards[usize::from(index)].shard_mut();
            shard.drain(now, key, reconnect_within, close_after);
            self.touched.insert(index);
            draining.next += draining.step;
        }
    }
}
