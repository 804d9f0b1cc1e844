//! What happens when little room is left for what waits: clients that have stopped reading go, so
//! that those who read do not pay for them.

use std::time::Duration;

use sampan_protocol::{Code, Now};

use super::Shard;
use crate::session::{Session, SessionKey};
use crate::timer::Timer;

/// How long a client of a crowded shard may take nothing of what waits for it.
const STUCK: Duration = Duration::from_secs(10);

impl Shard {
    /// Whether so much waits that nobody who has fallen behind is given more.
    pub(super) fn is_crowded(&self) -> bool {
        self.lane_bytes >= self.config.limits.shard_bytes / 2
    }

    /// Begins to look who reads once the shard is crowded.
    pub(super) fn watch_crowd(&mut self, now: Now) {
        if self.crowd_watched || !self.is_crowded() {
            return;
        }
        self.crowd_watched = true;
        for (_, session) in &mut self.sessions {
            session.taken_before = Some(session.taken);
        }
        self.timers.set(now.mono + STUCK, Timer::Crowd);
    }

    /// Sends clients away that have taken nothing since, those for whom most waits first, until
    /// there is room. What a durable topic kept for them they find when they come back.
    pub(super) fn thin_out(&mut self, now: Now) {
        self.crowd_watched = false;
        let is_stuck = |session: &Session| {
            let taken_nothing = session.taken_before == Some(session.taken);
            taken_nothing && session.outbox.lane_bytes() > 0 && session.closing.is_none()
        };
        let stuck = self.sessions.iter().filter(|(_, session)| is_stuck(session));
        let mut stuck: Vec<(usize, SessionKey)> =
            stuck.map(|(_, session)| (session.outbox.lane_bytes(), session.key)).collect();
        stuck.sort_unstable();
        let half = self.config.limits.shard_bytes / 2;
        let mut waiting = self.lane_bytes;
        for (bytes, key) in stuck.into_iter().rev() {
            if waiting < half {
                break;
            }
            waiting -= bytes;
            self.close(now, key, Code::OVERLOADED, Duration::ZERO);
        }
        self.watch_crowd(now);
    }
}
