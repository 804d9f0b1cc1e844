//! Who is present in the rooms of a client, which it is told as `user:online` and `user:offline`.

use std::time::Instant;

use sampan_protocol::control::{self, Members, MembersChanged, PresenceAct};
use serde_json::json;

use super::{Pending, Seat};
use crate::events::is_present;
use crate::failure::Failure;
use crate::socketio::Output;

/// The broker's clock, as far as it is known here.
#[derive(Debug, Default)]
pub(super) struct Clock {
    /// When the broker was last heard.
    pub(super) now: Option<Instant>,
    /// When it has said what time it is, and what time that was, Unix milliseconds.
    known: Option<(Instant, u64)>,
}

impl Clock {
    /// The broker says what time it is.
    pub(super) fn start(&mut self, unix_ms: u64) {
        self.known = self.now.map(|now| (now, unix_ms));
    }

    /// The time of what was heard last.
    fn unix_ms(&self) -> u64 {
        let Some((now, (then, unix_ms))) = self.now.zip(self.known) else { return 0 };
        let since = now.saturating_duration_since(then).as_millis();
        unix_ms.saturating_add(u64::try_from(since).unwrap_or(u64::MAX))
    }
}

impl Seat {
    /// Enters the presence of a room that has one, and asks to be told who comes and goes.
    pub(super) fn be_there(&mut self, topic: &str, out: &mut Output) -> Result<(), Failure> {
        if !is_present(topic) {
            return Ok(());
        }
        self.act_there(topic, PresenceAct::Enter, out)?;
        // A client that waits for too much else is not told.
        let Ok(number) = self.number(Pending::Watch(topic.to_owned())) else { return Ok(()) };
        let body = control::Presence::of(topic, PresenceAct::Watch);
        self.send(number, |session| session.request(number, &body), out)
    }

    /// Leaves the presence of a room that has one, and is told no more of it.
    pub(super) fn be_gone(&mut self, topic: &str, out: &mut Output) -> Result<(), Failure> {
        if is_present(topic) {
            self.act_there(topic, PresenceAct::Unwatch, out)?;
            self.act_there(topic, PresenceAct::Leave, out)?;
        }
        Ok(())
    }

    /// Nobody waits for the answer.
    fn act_there(
        &mut self,
        topic: &str,
        act: PresenceAct,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.number += 1;
        let frames = self.session.request(self.number, &control::Presence::of(topic, act))?;
        out.frames.extend_from_slice(&frames);
        Ok(())
    }

    /// Tells who has come and who is gone. Who has no session at this moment is not gone before the
    /// grace is over.
    pub(super) fn tell_there(&self, changed: &MembersChanged, out: &mut Output) {
        let MembersChanged { topic, joined, left, .. } = changed;
        let mut tell = |name: &str, user: &str, timestamp: u64| {
            let there = json!({ "userId": user, "timestamp": timestamp, "topic": topic });
            self.tell(name, &there.to_string(), out);
        };
        for member in joined.iter().filter(|member| member.sessions > 0) {
            tell("user:online", &member.user, member.since_ms);
        }
        let now = self.clock.unix_ms();
        left.iter().for_each(|user| tell("user:offline", user, now));
    }
}

/// Those who are there already, as if they had come now.
pub(super) fn first(members: Members) -> MembersChanged {
    let Members { topic, sequence, count, members } = members;
    MembersChanged { topic, sequence, count, joined: members, left: Vec::new() }
}
