//! Subscribes to one topic or pattern, for good or for a while.

use std::time::{Duration, Instant};

use sampan_protocol::Pattern;
use sampan_protocol::control::Start;
use sampan_protocol::session::client::Event;

use super::{Ctx, Task};
use crate::history::{self, ReaderNumber, What};

pub(crate) struct Reader {
    pattern: Pattern,
    start: Start,
    after: Duration,
    /// How long it stays subscribed.
    stays: Option<Duration>,
    /// When it subscribes or leaves.
    next_at: Option<Instant>,
    /// Its subscription, and its number in the history.
    subscribed: Option<(u64, ReaderNumber)>,
    ready: bool,
}

impl Reader {
    /// A reader that subscribes at once and stays.
    pub(crate) fn task(pattern: &str, start: Start) -> Box<dyn Task> {
        Self::later(pattern, start, Duration::ZERO, None)
    }

    /// A reader that subscribes some time after its client was opened, and leaves a time later.
    pub(crate) fn later(
        pattern: &str,
        start: Start,
        after: Duration,
        stays: Option<Duration>,
    ) -> Box<dyn Task> {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let (next_at, subscribed) = (None, None);
        Box::new(Reader { pattern, start, after, stays, next_at, subscribed, ready: false })
    }

    fn of(&self, subscription: u64) -> Option<ReaderNumber> {
        self.subscribed.filter(|(number, _)| *number == subscription).map(|(_, reader)| reader)
    }
}

impl Task for Reader {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        self.next_at = Some(ctx.now.mono + self.after);
    }

    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event) {
        match event {
            Event::Ready { number, joined } => {
                let Some(reader) = self.of(*number) else { return };
                self.ready = true;
                let position = joined.as_ref().and_then(|joined| joined.position.as_ref());
                let position = position.map(|position| (position.epoch, position.offset));
                ctx.history.note(What::Joined { reader, position });
            }
            Event::Ended { number, failure } => {
                let Some(reader) = self.of(*number) else { return };
                self.ready = true;
                ctx.history.note(What::Ended { reader, code: failure.code });
            }
            Event::Message { subscription, message } => {
                let Some(reader) = self.of(*subscription) else { return };
                ctx.history.message(reader, message);
            }
            Event::Gap { subscription, topic, epoch, from, to, reason } => {
                let Some(reader) = self.of(*subscription) else { return };
                let topic = ctx.history.topic(topic);
                let (epoch, from, to, reason) = (*epoch, *from, *to, *reason);
                ctx.history.note(What::Gap { reader, topic, epoch, from, to, reason });
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Instant> {
        self.next_at
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        if self.next_at.is_none_or(|at| at > ctx.now.mono) {
            return;
        }
        self.next_at = None;
        if let Some((number, reader)) = self.subscribed.take() {
            ctx.session.unsubscribe(number);
            ctx.history.note(What::Left { reader });
            return;
        }
        let (pattern, start) = (self.pattern.clone(), self.start.clone());
        let Ok(number) = ctx.session.subscribe(pattern.clone(), start.clone()) else { return };
        let reader = history::Reader { seat: ctx.seat, pattern, start };
        self.subscribed = Some((number, ctx.history.reader(reader)));
        self.next_at = self.stays.map(|stays| ctx.now.mono + stays);
    }

    fn is_done(&self) -> bool {
        self.next_at.is_none() && (self.ready || self.subscribed.is_none())
    }
}
