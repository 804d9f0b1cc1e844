//! Presence: those who are in a topic, and those who watch who is.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sampan_protocol::Topic;
use sampan_protocol::session::client::Event;

use super::{Ctx, Task};
use crate::history::What;

/// Enters a topic, and leaves it a time later if it is to.
pub(crate) struct Member {
    topic: Topic,
    stays: Option<Duration>,
    leaves_at: Option<Instant>,
    ready: bool,
}

impl Member {
    pub(crate) fn task(topic: &Topic, stays: Option<Duration>) -> Box<dyn Task> {
        Box::new(Member { topic: topic.clone(), stays, leaves_at: None, ready: false })
    }
}

impl Task for Member {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        ctx.session.enter(self.topic.clone()).expect("an entry");
        self.leaves_at = self.stays.map(|stays| ctx.now.mono + stays);
    }

    fn told(&mut self, _ctx: &mut Ctx<'_>, event: &Event) {
        self.ready |= matches!(event, Event::Ready { .. });
    }

    fn due(&self) -> Option<Instant> {
        self.leaves_at
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        if self.leaves_at.is_some_and(|at| at <= ctx.now.mono) {
            self.leaves_at = None;
            ctx.session.leave(&self.topic);
        }
    }

    fn is_done(&self) -> bool {
        self.ready && self.leaves_at.is_none()
    }
}

/// Watches a topic, and notes who is there whenever that changes.
pub(crate) struct Watcher {
    topic: Topic,
    count: u32,
    users: BTreeSet<String>,
    ready: bool,
}

impl Watcher {
    pub(crate) fn task(topic: &Topic) -> Box<dyn Task> {
        let (count, users) = (0, BTreeSet::new());
        Box::new(Watcher { topic: topic.clone(), count, users, ready: false })
    }

    fn note(&self, ctx: &mut Ctx<'_>) {
        let topic = ctx.history.topic(&self.topic);
        let users = self.users.iter().cloned().collect();
        let (seat, count) = (ctx.seat, self.count);
        ctx.history.note(What::Present { seat, topic, count, users });
    }
}

impl Task for Watcher {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        ctx.session.watch(self.topic.clone()).expect("a watch");
    }

    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event) {
        match event {
            Event::Members { members, .. } if members.topic == self.topic.as_str() => {
                self.ready = true;
                self.count = members.count;
                self.users = members.members.iter().map(|member| member.user.clone()).collect();
                self.note(ctx);
            }
            Event::MembersChanged { change, .. } if change.topic == self.topic.as_str() => {
                self.count = change.count;
                self.users.extend(change.joined.iter().map(|member| member.user.clone()));
                for user in &change.left {
                    self.users.remove(user);
                }
                self.note(ctx);
            }
            _ => {}
        }
    }

    fn is_done(&self) -> bool {
        self.ready
    }
}
