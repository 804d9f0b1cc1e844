//! Presence: sessions act on the presence of a topic at its owner.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::control::{self, Members, MembersChanged, PresenceAct};
use sampan_protocol::session::server;
use sampan_protocol::{Code, Now, Topic};

use super::Shard;
use super::commands::refused;
use crate::directory::Entry;
use crate::grant::Role;
use crate::message::{Message, Origin};
use crate::presence::{Config, Presence};
use crate::session::SessionKey;
use crate::timer::Timer;

impl Shard {
    /// PRESENCE of a session of this shard, found to be allowed.
    pub(super) fn ask_presence(
        &mut self,
        key: SessionKey,
        number: u64,
        topic: &Topic,
        act: PresenceAct,
        after: String,
    ) {
        let max = self.config.limits.presence_max;
        let Ok(entry) = self.directory.resolve(topic) else {
            return self.refuse_request(key, number, Code::BUSY, Duration::from_secs(1));
        };
        let origin = self.origin(key);
        let Some(session) = self.session(key) else { return };
        let Some(identity) = session.identity.clone() else { return };
        if matches!(act, PresenceAct::Enter | PresenceAct::Watch) {
            if session.presence.len() >= max && !session.presence.contains(&entry.id) {
                return self.refuse_request(key, number, Code::TOO_MANY, Duration::ZERO);
            }
            session.presence.insert(entry.id);
        }
        let (user, role) = (identity.user, identity.role);
        self.send(entry.owner, Message::Presence { origin, number, entry, act, after, user, role });
    }

    /// At the owner: a session acts on the topic's presence.
    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn presence(
        &mut self,
        now: Now,
        origin: Origin,
        number: u64,
        entry: &Arc<Entry>,
        act: PresenceAct,
        after: &str,
        user: Arc<str>,
        role: Role,
    ) {
        let presence =
            self.presences.entry(entry.id).or_insert_with(|| Presence::new(Config::default()));
        let answer: Option<Bytes> = match act {
            PresenceAct::Enter => match presence.enter(now, origin, user, role) {
                Ok(()) => None,
                Err(_) => Some(refused(number, Code::TOO_MANY, Duration::from_secs(1))),
            },
            PresenceAct::Leave => {
                presence.leave(now, origin, false);
                None
            }
            PresenceAct::Watch | PresenceAct::Read => {
                let snapshot = match act {
                    PresenceAct::Watch => {
                        presence.watch(origin);
                        presence.snapshot()
                    }
                    _ => presence.page(after),
                };
                let members = Members {
                    topic: entry.topic.to_string(),
                    sequence: snapshot.sequence,
                    count: snapshot.count,
                    members: snapshot.members,
                };
                Some(control::encode(&members, number).unwrap_or_default())
            }
            PresenceAct::Unwatch => {
                presence.unwatch(origin);
                None
            }
        };
        let frame = answer.unwrap_or_else(|| server::done(number));
        self.send(origin.shard, Message::Control { session: origin.session, frame });
        self.tend_presence(entry.id);
    }

    /// At the owner: a session has ended; its user stays for the grace.
    pub(super) fn presence_ended(&mut self, now: Now, origin: Origin, topic_id: u64) {
        let Some(presence) = self.presences.get_mut(&topic_id) else { return };
        presence.leave(now, origin, true);
        presence.unwatch(origin);
        self.tend_presence(topic_id);
    }

    /// Tells watchers what has changed since the last time.
    pub(super) fn presence_time(&mut self, now: Now, topic_id: u64) {
        let Some(entry) = self.directory.by_id(topic_id) else { return };
        let Some(presence) = self.presences.get_mut(&topic_id) else { return };
        if let Some(change) = presence.time(now) {
            let body = MembersChanged {
                topic: entry.topic.to_string(),
                sequence: change.sequence,
                count: change.count,
                joined: change.joined,
                left: change.left,
            };
            let mut watchers: BTreeMap<u8, Vec<SessionKey>> = BTreeMap::new();
            for origin in presence.watchers() {
                watchers.entry(origin.shard).or_default().push(origin.session);
            }
            let frame = control::encode(&body, 0).unwrap_or_default();
            for (shard, sessions) in watchers {
                self.send(shard, Message::Spread { sessions, frame: frame.clone() });
            }
        }
        self.tend_presence(topic_id);
    }

    /// Drops a presence that nobody is in or watches, or sets its next deadline.
    fn tend_presence(&mut self, topic_id: u64) {
        let Some(presence) = self.presences.get(&topic_id) else { return };
        if presence.is_empty() {
            self.presences.remove(&topic_id);
        } else if let Some(deadline) = presence.deadline() {
            self.timers.set(deadline, Timer::Presence(topic_id));
        }
    }
}
