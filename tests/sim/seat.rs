//! One client at its place in the network: connection, session, and what it does with them.

use std::time::Instant;

use sampan_protocol::session::client::Event;
use sampan_protocol::{Code, Now};
use sampan_quic::Arrival;
use sampan_quic::client::{Client, Passed, Told};

use crate::app::{Ctx, Task};
use crate::chance::Chance;
use crate::history::{History, What};
use crate::net::Net;
use crate::trace::Trace;

pub(crate) struct Seat {
    pub(crate) number: u32,
    pub(crate) client: Client,
    tasks: Vec<Box<dyn Task>>,
    chance: Chance,
    /// When it is opened, until it is.
    opens_at: Option<Instant>,
    /// Whether it has left for good.
    gone: bool,
}

impl Seat {
    pub(crate) fn new(
        number: u32,
        client: Client,
        opens_at: Instant,
        tasks: Vec<Box<dyn Task>>,
        chance: Chance,
    ) -> Self {
        Seat { number, client, tasks, chance, opens_at: Some(opens_at), gone: false }
    }

    pub(crate) fn datagram(&mut self, now: Now, arrival: Arrival) {
        self.client.datagram(now, arrival);
    }

    /// When [`Seat::work`] must be called next.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        if self.opens_at.is_some() {
            return self.opens_at;
        }
        let tasks = self.tasks.iter().filter_map(|task| task.due()).filter(|_| !self.gone);
        let tasks = tasks.min();
        self.client.deadline().into_iter().chain(tasks).min()
    }

    /// Whether it has a session and nothing left to do, or has left.
    pub(crate) fn is_done(&mut self) -> bool {
        let idle = self.tasks.iter().all(|task| task.is_done());
        self.gone || (idle && self.opens_at.is_none() && self.client.session().is_live())
    }

    /// Closes the client in order.
    pub(crate) fn leave(&mut self) {
        self.client.session().close();
        (self.gone, self.opens_at) = (true, None);
    }

    /// Does everything that is due, and what follows from what has arrived.
    pub(crate) fn work(
        &mut self,
        now: Now,
        net: &mut Net,
        history: &mut History,
        trace: &mut Trace,
    ) {
        if self.opens_at.is_some_and(|at| at <= now.mono) {
            self.opens_at = None;
            self.client.session().open(now);
            self.each(now, history, |task, ctx| task.open(ctx));
        }
        self.client.time(now);
        loop {
            let act = |task: &mut dyn Task, ctx: &mut Ctx<'_>| {
                if task.due().is_some_and(|at| at <= now.mono) {
                    task.act(ctx);
                }
            };
            if !self.gone && self.opens_at.is_none() {
                self.each(now, history, act);
            }
            self.client.drive(now);
            let mut moved = false;
            while let Some(told) = self.client.poll() {
                moved = true;
                if let Told::Event(event) = told {
                    self.told(now, history, &event);
                }
            }
            self.trace(now, trace);
            if !moved {
                break;
            }
        }
        let mut outlet = net.client_outlet(now.mono, self.number);
        assert!(self.client.transmit(now, &mut outlet), "the outlet has room");
    }

    fn told(&mut self, now: Now, history: &mut History, event: &Event) {
        let seat = self.number;
        match event {
            Event::Live(_) => history.note(What::Live { seat }),
            Event::Waiting { cause, .. } => {
                history.note(What::Away { seat, why: cause.reason.clone() });
            }
            Event::Draining { .. } => history.note(What::Draining { seat }),
            Event::Closed(failure) => history.note(What::Closed { seat, code: failure.code }),
            _ => {}
        }
        if matches!(event, Event::Closed(failure) if failure.code != Code::CLOSED) {
            self.gone = true;
        }
        self.each(now, history, |task, ctx| task.told(ctx, event));
    }

    fn each(
        &mut self,
        now: Now,
        history: &mut History,
        mut act: impl FnMut(&mut dyn Task, &mut Ctx<'_>),
    ) {
        let Seat { number, client, tasks, chance, .. } = self;
        for task in tasks {
            let session = client.session();
            let mut ctx = Ctx { now, seat: *number, session, history, chance };
            act(task.as_mut(), &mut ctx);
        }
    }

    fn trace(&mut self, now: Now, trace: &mut Trace) {
        while let Some(passed) = self.client.poll_record() {
            let seat = self.number;
            match passed {
                Passed::Sent(channel, bytes) => {
                    let (length, sum) = (bytes.len(), sum(&bytes));
                    let what = format_args!("seat {seat} sends {channel:?} {length} {sum:016x}");
                    trace.note(now, what);
                }
                Passed::Received(channel, frame) => {
                    let (header, sum) = (frame.header, sum(&frame.to_bytes()));
                    let what = format_args!("seat {seat} gets {channel:?} {header:?} {sum:016x}");
                    trace.note(now, what);
                }
            }
        }
    }
}

/// FNV-1a.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
