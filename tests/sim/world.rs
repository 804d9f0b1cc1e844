//! The whole: one clock, one broker, its clients and the network between them. A step goes to the
//! next moment at which anything is due, and does all that is due then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use sampan_core::journal::Faults;
use sampan_protocol::session::client::Options;
use sampan_protocol::{ALPN, Now};
use sampan_quic::client::{self, Client, Tuning};
use sampan_quic::{Arrival, WallClock};

use crate::agenda::Agenda;
use crate::app::Task;
use crate::broker::{Broker, Plan};
use crate::chance::Chance;
use crate::check::{Rules, check};
use crate::history::{History, What};
use crate::net::{BROKER, Net, Weather};
use crate::seat::Seat;
use crate::tls;
use crate::trace::Trace;

/// Moments are whole multiples of this since the start, as a real loop serves what came while it
/// was busy in one pass.
const GRID: Duration = Duration::from_micros(100);
/// The wall clock at the start, Unix milliseconds.
const UNIX_MS: u64 = 1_700_000_000_000;
/// How long all must be quiet before nothing more is expected: longer than the time after which an
/// end gives up a silent connection. A client that moves while its path is cut may need that long,
/// since QUIC sends its challenge to the new address once.
const QUIET: Duration = Duration::from_secs(42);
/// How long after the last client has left the broker may still know of it: an idle time for those
/// whose goodbye was lost, and then three of the connection's own timeouts, in which QUIC absorbs late
/// packets. Those of a path as slow as a slow reader's are long.
const LINGER: Duration = Duration::from_secs(300);

/// Who joins, and how.
pub(crate) struct Join {
    pub(crate) user: String,
    pub(crate) role: &'static str,
    pub(crate) weather: Weather,
    /// When the client is opened, from now.
    pub(crate) after: Duration,
    pub(crate) tuning: Tuning,
    pub(crate) tasks: Vec<Box<dyn Task>>,
}

impl Join {
    /// A service in clean weather that is opened at once.
    pub(crate) fn service(tasks: Vec<Box<dyn Task>>) -> Self {
        Join {
            user: String::new(),
            role: "service",
            weather: Weather::clean(),
            after: Duration::ZERO,
            tuning: Tuning::default(),
            tasks,
        }
    }
}

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) net: Net,
    pub(crate) broker: Broker,
    pub(crate) seats: Vec<Seat>,
    pub(crate) history: History,
    /// For what a scenario decides by lot.
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    /// The largest sum of bytes that waited for sessions of one shard.
    pub(crate) outbox_bytes_max: u64,
    now: Now,
    start: Instant,
    agenda: Agenda,
    client_tls: client::Tls,
    next_look: Duration,
}

impl World {
    pub(crate) fn new(seed: u64, plan: Plan) -> Self {
        // Only differences to this moment are ever looked at.
        let start = Instant::now();
        let now = Now { mono: start, unix_ms: UNIX_MS };
        let clock = Arc::new(WallClock::new(UNIX_MS));
        let root = tls::certificate().1;
        let client_tls = client::Tls::new(&[root], ALPN, clock.clone()).expect("a root");
        let mut broker = Broker::new(plan, seed, clock);
        broker.start(now);
        World {
            seed,
            net: Net::new(seed),
            broker,
            seats: Vec::new(),
            history: History::default(),
            chance: Chance::of(seed, "scenario", 0),
            trace: Trace::off(start),
            outbox_bytes_max: 0,
            now,
            start,
            agenda: Agenda::default(),
            client_tls,
            next_look: Duration::ZERO,
        }
    }

    /// Keeps a trace from here on.
    pub(crate) fn keep_trace(&mut self) {
        self.trace = Trace::on(self.start);
        self.net.decisions = Some(Vec::new());
        self.seats.iter_mut().for_each(|seat| seat.client.record());
    }

    pub(crate) fn now(&self) -> Now {
        self.now
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.now.mono - self.start
    }

    /// A new client; its seat.
    pub(crate) fn join(&mut self, join: Join) -> u32 {
        let Join { user, role, weather, after, tuning, tasks } = join;
        let number = self.net.connect(&weather);
        let user = if user.is_empty() { format!("u{number}") } else { user };
        let mut chance = Chance::of(self.seed, "seat", u64::from(number));
        let options = Options {
            client: "sim".to_owned(),
            token: Some(format!("{user}/{role}")),
            ..Options::default()
        };
        let client = Client::new(client::Setup {
            remote: BROKER,
            server_name: tls::NAME.to_owned(),
            tls: self.client_tls.clone(),
            tuning,
            options,
            seed: chance.bytes(),
        });
        let mut seat = Seat::new(number, client, self.now.mono + after, tasks, chance);
        if self.trace.is_on() {
            seat.client.record();
        }
        self.agenda.set(number, seat.deadline());
        self.seats.push(seat);
        number
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.step(end) {}
    }

    /// Lets time pass until it is so, for this long at most; whether it became so.
    pub(crate) fn run_until(
        &mut self,
        time: Duration,
        mut so: impl FnMut(&mut World) -> bool,
    ) -> bool {
        const LOOK: Duration = Duration::from_millis(100);
        let end = self.now.mono + time;
        while self.now.mono < end {
            if so(self) {
                return true;
            }
            self.run(LOOK.min(end - self.now.mono));
        }
        so(self)
    }

    /// Runs until every client has done what it came for and nothing more happens. Panics if that
    /// takes longer: a broker that heals has to come to rest.
    pub(crate) fn quiesce(&mut self, time: Duration) {
        let (mut records, mut since) = (self.history.records.len(), self.elapsed());
        let quiet = self.run_until(time, |world| {
            let (count, elapsed) = (world.history.records.len(), world.elapsed());
            let done = world.seats.iter_mut().all(Seat::is_done) && world.agrees();
            if count != records || !done {
                (records, since) = (count, elapsed);
            }
            elapsed - since >= QUIET
        });
        let busy: Vec<u32> =
            self.seats.iter_mut().filter_map(|s| (!s.is_done()).then_some(s.number)).collect();
        let last = self.history.records.last();
        assert!(quiet, "not at rest after {time:?}; seats {busy:?} are busy; last {last:?}");
    }

    /// Whether the broker has as many live sessions as there are clients that believe to have one.
    /// An end that is gone takes the other an idle time to notice.
    fn agrees(&mut self) -> bool {
        let seats = self.seats.iter_mut();
        let believers: u64 = seats.map(|seat| u64::from(seat.client.session().is_live())).sum();
        let sessions = self.broker.process().map_or(0, |process| {
            process.shards().iter().map(|quic| quic.shard().counters().sessions_live).sum()
        });
        believers == sessions
    }

    /// A client closes in order.
    pub(crate) fn leave(&mut self, seat: u32) {
        self.seats[seat as usize].leave();
        self.work(seat);
    }

    /// Everybody leaves, and nothing of them stays behind.
    pub(crate) fn empty(&mut self) {
        for seat in 0..u32::try_from(self.seats.len()).expect("few clients") {
            self.leave(seat);
        }
        self.run_until(LINGER, |world| {
            let process = world.broker.process();
            process.is_none_or(|process| {
                process.shards().iter().all(|quic| quic.counters().connections == 0)
            })
        });
        let Some(process) = self.broker.process() else { return };
        assert!(process.is_settled(), "messages are stuck between shards");
        for quic in process.shards() {
            let (counters, below) = (quic.shard().counters(), quic.counters());
            assert_eq!(quic.shard().sessions(), [], "sessions");
            assert_eq!(counters.sessions_live, 0, "live sessions");
            assert_eq!((below.connections, below.half_open), (0, 0), "connections");
            assert_eq!(counters.outbox_bytes, 0, "bytes in outboxes");
            assert_eq!(counters.audiences, 0, "audiences");
        }
    }

    /// Checks the whole history. Panics with what is wrong.
    pub(crate) fn check(&self) {
        let plan = self.broker.plan();
        let rules = Rules { classes: plan.config.classes.clone(), best: plan.journal.best };
        let wrong = check(&self.history, &rules);
        let first: Vec<_> = wrong.iter().take(12).collect();
        assert!(wrong.is_empty(), "{} findings: {first:#?}", wrong.len());
    }

    /// The broker dies and its machine loses power.
    pub(crate) fn crash(&mut self) {
        let lost = self.broker.crash();
        self.trace.note(self.now, format_args!("crash {lost:?}"));
        let lost = lost.iter().map(|lost| (self.history.topic(&lost.topic), lost.from, lost.to));
        let what = What::Crashed { lost: lost.collect() };
        self.history.now = self.elapsed();
        self.history.note(what);
    }

    /// Plays other faults on every disk from here on.
    pub(crate) fn set_faults(&mut self, faults: &Faults) {
        if faults.fail_ppm > 0 {
            self.note_faulty();
        }
        self.broker.set_faults(faults);
    }

    /// Every disk reports a write error, and refuses what comes for a while. Then the broker ends, and
    /// starts again over what its disks hold after all.
    pub(crate) fn fence(&mut self, time: Duration) {
        self.note_faulty();
        self.broker.fence(self.now);
        self.run(time);
        self.crash();
        self.restart();
    }

    fn note_faulty(&mut self) {
        self.history.now = self.elapsed();
        self.history.note(What::Faulty);
    }

    /// The broker starts again over what its disks hold.
    pub(crate) fn restart(&mut self) {
        self.trace.note(self.now, format_args!("start"));
        self.broker.start(self.now);
    }

    /// Does all that is due next, unless that is after `end`; then it is `end`.
    fn step(&mut self, end: Instant) -> bool {
        let next = [self.net.next(), self.agenda.next(), self.broker.deadline()];
        let next = next.into_iter().flatten().min().filter(|next| *next < end);
        let moment = next.map_or(end, |next| self.on_grid(next).min(end));
        self.now = self.now_at(moment);
        self.history.now = self.elapsed();
        if next.is_none() {
            return false;
        }
        let now = self.now;
        let mut touched = BTreeSet::new();
        while let Some((packet, to)) = self.net.due(now.mono) {
            match to {
                None => self.broker.datagram(now, &packet, &mut self.net),
                Some(seat) => {
                    let payload = BytesMut::from(&packet.payload[..]);
                    let (remote, ecn) = (packet.from, packet.ecn);
                    let arrival = Arrival { remote, local_ip: None, ecn, payload };
                    self.seats[seat as usize].datagram(now, arrival);
                    touched.insert(seat);
                }
            }
        }
        while let Some(seat) = self.agenda.due(now.mono) {
            self.trace.note(now, format_args!("seat {seat} timer"));
            touched.insert(seat);
        }
        self.broker.work(now, &mut self.net, &mut self.trace);
        for seat in touched {
            self.work(seat);
        }
        self.trace_net();
        if self.elapsed() >= self.next_look {
            self.next_look = self.elapsed() + Duration::from_secs(1);
            self.look();
        }
        true
    }

    /// Lets a client work, and asks it when it wants to be called again.
    pub(crate) fn work(&mut self, number: u32) {
        let seat = &mut self.seats[number as usize];
        seat.work(self.now, &mut self.net, &mut self.history, &mut self.trace);
        // What is overdue already has had its turn in this moment.
        let soon = self.now.mono + GRID;
        let deadline = self.seats[number as usize].deadline();
        self.agenda.set(number, deadline.map(|at| at.max(soon)));
    }

    /// The same moment on both clocks. The wall clock shows whole milliseconds since the start.
    fn now_at(&self, moment: Instant) -> Now {
        let elapsed = moment - self.start;
        Now { mono: self.start, unix_ms: UNIX_MS }.after(elapsed)
    }

    fn on_grid(&self, at: Instant) -> Instant {
        let elapsed = at.saturating_duration_since(self.start);
        let steps = elapsed.as_nanos().div_ceil(GRID.as_nanos());
        let steps = u32::try_from(steps).expect("a run of less than five days");
        (self.start + GRID * steps).max(self.now.mono)
    }

    fn trace_net(&mut self) {
        for decision in self.net.decisions.iter_mut().flat_map(std::mem::take) {
            let (seat, to, bytes) = (decision.seat, decision.to, decision.bytes);
            let fate = decision.fate.since(self.start);
            self.trace.note(self.now, format_args!("net {seat} {to:?} {bytes} {fate}"));
        }
    }

    /// Looks at what must hold at every moment.
    fn look(&mut self) {
        let limits = self.broker.plan().config.limits.clone();
        let capacity = self.broker.plan().journal.capacity_bytes;
        assert!(self.broker.journal_bytes() <= capacity, "a journal holds more than it may");
        let Some(process) = self.broker.process() else { return };
        for quic in process.shards() {
            let counters = quic.shard().counters();
            let bytes = counters.outbox_bytes;
            self.outbox_bytes_max = self.outbox_bytes_max.max(bytes);
            let sessions = quic.shard().sessions().len() as u64;
            let each = limits.connection_bytes + limits.control_bytes;
            assert!(bytes <= sessions * each as u64, "{bytes} bytes wait for {sessions} sessions");
            assert!(
                counters.sessions_live <= sessions,
                "{} of {sessions} sessions are live",
                counters.sessions_live
            );
        }
    }
}
