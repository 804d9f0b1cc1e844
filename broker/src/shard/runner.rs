//! The loop of one shard thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use sampan_core::shard::Output;
use sampan_protocol::{Code, Now};
use sampan_quic::{Arrival, Quic};

use super::broker::Counters;
use super::command::Note;
use super::drain::Draining;
use super::linked::Linked;
use super::manage::Asked;
use super::mesh::Mesh;
use super::outlet::Out;
use super::setup::Authenticate;
use crate::udp::{Error, RecvBatch, SendBatch, Socket, Waiter};

/// Batches received before timers and senders have their turn.
const BATCHES_PER_TURN: usize = 4;
/// Messages of each other shard that are handled before the rest has its turn.
const MESSAGES_PER_TURN: usize = 1024;
/// Notes handled per turn.
const NOTES_PER_TURN: usize = 1024;
/// How often the counters are published.
const REPORT: Duration = Duration::from_secs(1);

/// Everything that one shard thread owns.
pub(super) struct Runner {
    pub(super) quic: Quic,
    pub(super) socket: Socket,
    pub(super) waiter: Waiter,
    pub(super) received: RecvBatch,
    pub(super) outgoing: SendBatch,
    pub(super) mesh: Mesh,
    pub(super) inbox: Receiver<Note>,
    pub(super) linked: Linked,
    pub(super) asked: Asked,
    pub(super) authenticate: Authenticate,
    pub(super) report: Arc<ArcSwap<Counters>>,
    /// Connections and in-process sessions, for whoever waits for a drain.
    pub(super) attached: Arc<AtomicUsize>,
    pub(super) draining: Option<Draining>,
    /// The socket takes nothing more until it is writable.
    pub(super) blocked: bool,
    /// A turn ended before all was taken, so the next one follows at once.
    pub(super) more: bool,
    pub(super) reported: Instant,
    /// Time spent at work.
    pub(super) busy: Duration,
}

/// Reads both clocks.
pub(super) fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix_ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
    Now { mono: Instant::now(), unix_ms }
}

impl Runner {
    /// Runs until it is told to stop.
    pub(super) fn run(mut self) -> Result<(), Error> {
        let mut woke = Instant::now();
        loop {
            let more = self.more || self.received.is_full() || self.linked.is_busy();
            let deadline = if more { Some(woke) } else { self.deadline() };
            self.more = false;
            let slept = Instant::now();
            self.busy += slept - woke;
            let ready = self.waiter.wait(deadline, slept, self.blocked)?;
            let now = now();
            woke = now.mono;
            if ready.writable {
                self.blocked = false;
            }
            if !self.take_notes(now) {
                return self.stop(now);
            }
            self.take_messages(now);
            if (ready.readable || self.received.is_full()) && !self.mesh.is_choked() {
                self.receive()?;
            }
            self.turn()?;
        }
    }

    /// Everything that follows from what has come in.
    fn turn(&mut self) -> Result<(), Error> {
        let now = now();
        self.linked.handle_mail(now, self.quic.shard_mut());
        self.linked.time(now, self.quic.shard_mut());
        self.quic.time(now);
        if let Some(draining) = &mut self.draining {
            draining.time(now, self.quic.shard_mut());
        }
        loop {
            self.quic.settle(now);
            self.carry_out(now);
            self.transmit(now)?;
            while let Some(session) = self.quic.next_linked() {
                self.linked.serve(now, self.quic.shard_mut(), session);
            }
            // Room that sending made may have let readers ask for more.
            if !self.carry_out(now) {
                break;
            }
        }
        self.mesh.flush();
        let attached = usize::try_from(self.quic.counters().connections).unwrap_or(usize::MAX);
        let spared = self.draining.as_ref().map_or(0, |draining| draining.spared);
        let attached = attached.saturating_add(self.linked.len()).saturating_sub(spared);
        self.attached.store(attached, Ordering::Relaxed);
        self.publish(now);
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        let draining = self.draining.as_ref().and_then(Draining::deadline);
        // A full ring is tried again soon: whoever empties it has no reason to wake this shard.
        let retry = self.mesh.is_spilled().then(|| Instant::now() + Duration::from_micros(200));
        let all = [
            self.quic.deadline(),
            self.linked.deadline(),
            draining,
            retry,
            Some(self.reported + REPORT),
        ];
        all.into_iter().flatten().min()
    }

    /// Takes what has arrived. The clock is read per batch, so that round trips are measured well.
    fn receive(&mut self) -> Result<(), Error> {
        for _ in 0..BATCHES_PER_TURN {
            if self.socket.recv(&mut self.received)? == 0 {
                break;
            }
            let now = now();
            let mut out = Out::new(&mut self.socket, &mut self.outgoing);
            for datagram in self.received.datagrams() {
                let arrival = Arrival {
                    remote: datagram.remote,
                    local_ip: datagram.local_ip,
                    ecn: datagram.ecn,
                    payload: BytesMut::from(datagram.payload),
                };
                self.quic.datagram(now, arrival, &mut |envelope, payload| {
                    out.respond(envelope, payload);
                });
            }
            if let Some(error) = out.failed {
                return Err(error);
            }
            if !self.received.is_full() {
                break;
            }
        }
        Ok(())
    }

    fn transmit(&mut self, now: Now) -> Result<(), Error> {
        if self.blocked {
            return Ok(());
        }
        let mut out = Out::new(&mut self.socket, &mut self.outgoing);
        let all = self.quic.transmit(now, &mut out) && out.flush();
        self.blocked = !all;
        out.failed.map_or(Ok(()), Err)
    }

    fn take_messages(&mut self, now: Now) {
        let shard = self.quic.shard_mut();
        self.more |= self.mesh.receive(MESSAGES_PER_TURN, |message| shard.message(now, message));
    }

    /// Does what the shard asks for. Whether there was anything.
    fn carry_out(&mut self, now: Now) -> bool {
        let mut any = false;
        while let Some(output) = self.quic.poll(now) {
            any = true;
            match output {
                Output::ToShard(shard, message) => self.mesh.send(shard, message),
                Output::Authenticate { key, token } => {
                    let verdict = (self.authenticate)(&token, now.unix_ms);
                    self.quic.shard_mut().verdict(now, key, verdict);
                }
                Output::Managed { id, result } => self.asked.answer(id, result),
                // An in-process session has no windows to open.
                Output::Live { .. } => {}
            }
        }
        any
    }

    /// Does what the inbox asks for. `false` once the shard is to stop.
    fn take_notes(&mut self, now: Now) -> bool {
        for _ in 0..NOTES_PER_TURN {
            let Ok(note) = self.inbox.try_recv() else { return true };
            let shard = self.quic.shard_mut();
            match note {
                Note::Attach { link, address, mailbox, sink } => {
                    self.linked.attach(now, shard, link, &address, (mailbox, sink));
                }
                Note::Mail { link } => self.linked.mail(link),
                Note::Room { link } => self.linked.room(now, shard, link),
                Note::Detach { link } => self.linked.detach(now, shard, link),
                Note::Certificate(tls) => self.quic.set_tls(&tls),
                Note::CloseWhere { code, matches, answer } => {
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(shard.close_where(now, code, &mut |who| matches(who)));
                }
                Note::Topics { max, answer } => {
                    let _ = answer.send(shard.topics(max));
                }
                Note::Manage { manage, answer } => {
                    let id = self.asked.note(answer);
                    shard.manage(now, id, manage);
                }
                Note::Drain(plan, spared) => {
                    self.draining = Some(Draining::new(plan, &spared, shard, now));
                    self.quic.shut();
                }
                Note::Stop => return false,
            }
        }
        // The wake-up is used up, and the rest would wait for the next one.
        self.more = true;
        true
    }

    fn stop(mut self, now: Now) -> Result<(), Error> {
        self.linked.close_all(now, self.quic.shard_mut(), Code::RESTARTED);
        self.quic.close_all(now, Code::RESTARTED);
        self.blocked = false;
        self.transmit(now)?;
        self.attached.store(0, Ordering::Relaxed);
        self.reported = now.mono.checked_sub(REPORT).unwrap_or(now.mono);
        self.publish(now);
        Ok(())
    }

    fn publish(&mut self, now: Now) {
        if now.mono < self.reported + REPORT {
            return;
        }
        self.reported = now.mono;
        self.report.store(Arc::new(Counters {
            core: self.quic.shard().counters(),
            quic: self.quic.counters().clone(),
            udp: *self.socket.counters(),
            linked: self.linked.len() as u64,
            busy: self.busy,
        }));
    }
}
