//! Sending clients away, a few at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sampan_core::session::SessionKey;
use sampan_core::shard::Shard;
use sampan_protocol::Now;

use super::command::Matches;

/// How a broker is emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Over which time the clients are told, evenly spread, so that they do not all arrive at
    /// another broker at once. Default 10 s.
    pub over: Duration,
    /// Each client connects again after a random time up to this. Default 2 s.
    pub reconnect_within: Duration,
    /// Each session is closed this long after it was told. Default 20 s.
    pub close_after: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain {
            over: Duration::from_secs(10),
            reconnect_within: Duration::from_secs(2),
            close_after: Duration::from_secs(20),
        }
    }
}

/// A drain under way on one shard.
pub(super) struct Draining {
    plan: Drain,
    sessions: VecDeque<SessionKey>,
    /// Sessions that stay.
    pub(super) spared: usize,
    /// Between two sessions.
    step: Duration,
    next: Instant,
}

impl Draining {
    pub(super) fn new(plan: Drain, spared: &Matches, shard: &Shard, now: Now) -> Self {
        let sessions: VecDeque<_> = shard.sessions_but(&|who| spared(who)).into();
        let count = u32::try_from(sessions.len()).unwrap_or(u32::MAX).max(1);
        let spared = shard.sessions().len() - sessions.len();
        Draining { plan, sessions, spared, step: plan.over / count, next: now.mono }
    }

    /// When the next session is told.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.sessions.is_empty()).then_some(self.next)
    }

    /// Tells every session whose turn it is.
    pub(super) fn time(&mut self, now: Now, shard: &mut Shard) {
        while self.next <= now.mono {
            let Some(key) = self.sessions.pop_front() else { return };
            shard.drain(now, key, self.plan.reconnect_within, self.plan.close_after);
            self.next += self.step;
        }
    }
}
