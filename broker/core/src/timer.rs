//! The shard's deadlines, soonest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use crate::session::SessionKey;

/// What a deadline is for. An entry whose subject has moved on is ignored when it fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A session's own deadline: greeting, expiry, drain.
    Session(SessionKey),
    /// A session whose behind feeds wait for room in the shard.
    Starved(SessionKey),
    /// Who has read nothing while the shard was crowded is looked for.
    Crowd,
    /// A throttled `latest` room may speak again.
    Room(u64),
    /// A topic whose opening has failed is tried again.
    Missing(u64),
    /// A topic's presence has changes to tell or graces to end.
    Presence(u64),
    /// A request or question has waited long enough.
    Call(u64),
    /// An answer is over by which subscriptions of a session stand.
    Standing(SessionKey),
    /// A job's time is over, or a message may come again.
    Group(u32),
    /// The journal is asked again for what it has not taken.
    Groups,
    /// Dead letters that are too old are looked for.
    Letters,
    /// Idle rooms are looked for.
    Sweep,
}

/// A heap of deadlines.
#[derive(Debug, Default)]
pub(crate) struct Timers(BinaryHeap<Reverse<(Instant, Timer)>>);

impl Timers {
    pub(crate) fn set(&mut self, at: Instant, timer: Timer) {
        self.0.push(Reverse((at, timer)));
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, timer))| timer)
    }
}
