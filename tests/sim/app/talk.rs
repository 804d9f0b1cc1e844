//! Requests and those who answer them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::session::client::{Answer, Event, Request};
use sampan_protocol::{Pattern, Topic};

use super::{Ctx, Task};
use crate::history::{Id, Outcome, What};
use crate::payload;

/// Bytes of a question and of its answer.
const BYTES: usize = 64;

/// What is asked, and how.
#[derive(Clone, Debug)]
pub(crate) struct Asking {
    pub(crate) topic: Topic,
    pub(crate) count: u64,
    pub(crate) every: RangeInclusive<Duration>,
    pub(crate) timeout: Duration,
    pub(crate) after: Duration,
}

pub(crate) struct Asker {
    plan: Asking,
    /// Number of the first question.
    first: u64,
    done: u64,
    next_at: Option<Instant>,
    open: BTreeMap<u64, Id>,
}

impl Asker {
    pub(crate) fn task(plan: Asking) -> Box<dyn Task> {
        Self::nth(0, plan)
    }

    /// The n-th asker of one seat.
    pub(crate) fn nth(n: u64, plan: Asking) -> Box<dyn Task> {
        let first = n * super::APART;
        Box::new(Asker { plan, first, done: 0, next_at: None, open: BTreeMap::new() })
    }
}

impl Task for Asker {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        self.next_at = Some(ctx.now.mono + self.plan.after + ctx.chance.within(&self.plan.every));
    }

    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event) {
        let Event::Answered { number, result } = event else { return };
        let Some(id) = self.open.remove(number) else { return };
        let outcome = match result {
            Ok(Answer::Reply(frame)) => {
                payload::decode(frame.body_bytes()).map_or(Outcome::Nonsense, Outcome::Answer)
            }
            Ok(_) => Outcome::Nonsense,
            Err(failure) => {
                Outcome::Failed { code: failure.code, may_have_happened: failure.may_have_happened }
            }
        };
        ctx.history.note(What::Answered { id, outcome });
    }

    fn due(&self) -> Option<Instant> {
        self.next_at.filter(|_| self.done < self.plan.count)
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(at) = self.due().filter(|at| *at <= ctx.now.mono) {
            let id = Id { seat: ctx.seat, ordinal: self.first + self.done };
            let request = Request {
                topic: self.plan.topic.clone(),
                attributes: Bytes::new(),
                payload: payload::encode(id, BYTES),
                timeout: self.plan.timeout,
            };
            let Ok(number) = ctx.session.request(ctx.now, request) else {
                self.done = self.plan.count;
                return;
            };
            ctx.history.note(What::Asked { id });
            self.open.insert(number, id);
            self.done += 1;
            self.next_at = Some(at + ctx.chance.within(&self.plan.every));
        }
    }

    fn is_done(&self) -> bool {
        self.done >= self.plan.count && self.open.is_empty()
    }
}

/// Answers every request with its own payload, after a while.
pub(crate) struct Responder {
    pattern: Pattern,
    takes: RangeInclusive<Duration>,
    /// Its offer.
    number: Option<u64>,
    ready: bool,
    /// By when they are answered.
    open: BTreeMap<(Instant, u64), (sampan_protocol::session::client::CallId, Bytes)>,
    calls: u64,
}

impl Responder {
    pub(crate) fn task(pattern: &str, takes: RangeInclusive<Duration>) -> Box<dyn Task> {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let (number, open) = (None, BTreeMap::new());
        Box::new(Responder { pattern, takes, number, ready: false, open, calls: 0 })
    }
}

impl Task for Responder {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        self.number = ctx.session.serve(self.pattern.clone()).ok();
    }

    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event) {
        match event {
            Event::Ready { number, .. } => self.ready |= self.number == Some(*number),
            Event::Call(call) if self.number == Some(call.offer) => {
                let body = call.frame.body();
                let id = payload::decode(&body).expect("requests are not damaged");
                ctx.history.note(What::Served { id });
                self.calls += 1;
                let at = ctx.now.mono + ctx.chance.within(&self.takes);
                self.open.insert((at, self.calls), (call.id, body));
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Instant> {
        self.open.keys().next().map(|(at, _)| *at)
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(first) = self.open.first_entry().filter(|e| e.key().0 <= ctx.now.mono) {
            let (call, body) = first.remove();
            // Whether the asker can still be reached is the broker's to tell it.
            ctx.session.reply(call, &[], &body).expect("a small reply");
        }
    }

    fn is_done(&self) -> bool {
        self.ready && self.open.is_empty()
    }
}
