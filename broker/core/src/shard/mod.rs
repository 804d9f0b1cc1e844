//! One shard: its sessions, the topics that it owns, and what it tells other shards.
//!
//! Inputs are the methods `open`, `frame`, `broken`, `closed`, `verdict`, `message` and `time`.
//! After a batch of them the caller calls [`Shard::settle`] once, then takes [`Shard::poll`] until
//! it is empty, then serves [`Shard::next_ready`], and calls again at [`Shard::deadline`].
//! Everything is `&mut self`: no lock, no task, no clock.
//!
//! The files of this folder hold one concern each, all as `impl Shard`:
//! `attached` (sessions), `commands` (limits and permission), `publish`, `opening` (where a topic
//! stands), `owner` (ordering) and `stored` (the journal), `subscribe` (joining), `deliver` (fan-out, slow readers), `replay`
//! (pages), `crowd` (little room), `calls` (requests and authorizers), `presence`, `groups`.

mod attached;
mod calls;
mod commands;
mod crowd;
mod deliver;
mod groups;
mod opening;
mod owner;
mod presence;
mod publish;
mod replay;
mod stored;
mod subscribe;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_protocol::session::server;
use sampan_protocol::{Code, Now, Topic};
use slab::Slab;

use crate::audience::Audience;
use crate::bucket::Buckets;
use crate::call::{Answers, Call, Offers, Question};
use crate::config::Config;
use crate::counters::Counters;
use crate::directory::{Directory, Entry};
use crate::grant::Role;
use crate::hash::{IdHash, IdMap};
use crate::journal::{self, Journal, Ticket};
use crate::message::{Message, Origin};
use crate::outbox::Channel;
use crate::presence::Presence;
use crate::room::Room;
use crate::session::{Session, SessionKey};
use crate::timer::{Timer, Timers};
use crate::trie::Trie;

pub use self::groups::{LetterPage, Manage, Managed, Outcome, Which};

/// Shards that one broker may have: interest is kept as bits of a word.
pub const SHARDS_MAX: u8 = 64;
/// How often idle rooms are looked for, and how long one must have been idle.
const SWEEP: Duration = Duration::from_secs(60);
/// How long sessions that wait for room in the shard wait before they try again.
const STARVED: Duration = Duration::from_millis(100);

/// What a shard is made of.
pub struct Setup {
    /// Limits, classes, roles.
    pub config: Arc<Config>,
    /// This shard's number, below `shards`.
    pub shard: u8,
    /// How many shards there are, 1 to [`SHARDS_MAX`].
    pub shards: u8,
    /// Random id of the broker process.
    pub boot: u64,
    /// The directory that all shards share.
    pub directory: Arc<dyn Directory>,
    /// Where topics are kept. A topic's owner follows from its name and the number of shards, so that
    /// a store with one log per shard is opened with that number for ever.
    pub journal: Box<dyn Journal + Send>,
    /// Topics that the journal holds from before, all owned by this shard.
    pub topics: Vec<Topic>,
    /// The time at which the shard is made.
    pub now: Now,
}

/// What the caller must do for the shard.
#[derive(Debug)]
pub enum Output {
    /// Pass this to another shard, in order.
    ToShard(u8, Message),
    /// Judge the token and answer with [`Shard::verdict`].
    Authenticate {
        /// The session that presented it.
        key: SessionKey,
        /// The token.
        token: String,
    },
    /// What has become of what [`Shard::manage`] asked for.
    Managed {
        /// As it was given.
        id: u64,
        /// The result.
        result: Result<Managed, Code>,
    },
    /// The session has become live; its transport may be given more room.
    Live {
        /// The session.
        key: SessionKey,
    },
}

/// One shard of the broker.
pub struct Shard {
    config: Arc<Config>,
    me: u8,
    shards: u8,
    boot: u64,
    directory: Arc<dyn Directory>,
    journal: Box<dyn Journal + Send>,

    sessions: Slab<Session>,
    nonce: u32,
    ready: VecDeque<SessionKey>,
    user_rates: [Buckets<Arc<str>>; 4],
    address_rates: [Buckets<IpAddr>; 4],

    /// Topics that flow to sessions of this shard, by id, and their ids by name.
    audiences: IdMap<Audience>,
    audience_names: Trie<u64>,
    /// Pattern subscriptions of this shard's sessions.
    patterns: Trie<Vec<(SessionKey, u64)>>,
    /// Bytes that wait on lanes of all sessions.
    lane_bytes: usize,
    /// Whether it is being looked who reads.
    crowd_watched: bool,

    /// Topics that this shard owns, by id, and their ids by name.
    rooms: IdMap<Room>,
    room_names: Trie<u64>,
    dirty: Vec<u64>,
    /// Rooms that the journal has not yet opened; pattern joins wait for them.
    opening: usize,
    deferred: Vec<Message>,
    /// Topics that the journal holds from before and has not opened yet, and those of them whose
    /// opening has failed: it is tried again.
    stored: BTreeSet<u64>,
    missing: BTreeMap<u64, Arc<Entry>>,
    /// Rooms whose opening the journal has not even taken.
    unopened: Vec<(Ticket, journal::Refused)>,
    latest_bytes: usize,
    /// Patterns of every shard's sessions: how many of each shard.
    watches: Trie<BTreeMap<u8, u32>>,
    watch_generation: u64,
    presences: IdMap<Presence<Origin>>,
    /// Journal requests that are out, by ticket.
    tickets: BTreeMap<u64, replay::Ticketed>,
    next_ticket: u64,

    requests: Offers,
    authorizers: Offers,
    answers: Answers,
    calls: BTreeMap<u64, Call>,
    /// Open questions to authorizers.
    asking: BTreeMap<Question, u64>,
    next_call: u64,

    groups: groups::Groups,

    inbox: VecDeque<Message>,
    outputs: VecDeque<Output>,
    timers: Timers,
    counters: Counters,
    /// Reused by every session, so that an idle one owns none.
    session_outputs: VecDeque<server::Output>,
    attributes: BytesMut,
}

impl Shard {
    /// A shard with no sessions.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let Setup { config, shard, shards, boot, directory, journal, topics, now } = setup;
        let limits = &config.limits;
        let roles = [Role::Customer, Role::Agent, Role::Admin, Role::Service];
        let mut new = Shard {
            me: shard,
            shards,
            boot,
            directory,
            journal,
            sessions: Slab::new(),
            nonce: 0,
            ready: VecDeque::new(),
            user_rates: roles.map(|r| Buckets::new(limits.user_rate.of(r), limits.sessions_max)),
            address_rates: roles
                .map(|r| Buckets::new(limits.address_rate.of(r), limits.sessions_max)),
            audiences: IdMap::with_hasher(IdHash),
            audience_names: Trie::new(),
            patterns: Trie::new(),
            lane_bytes: 0,
            crowd_watched: false,
            rooms: IdMap::with_hasher(IdHash),
            room_names: Trie::new(),
            dirty: Vec::new(),
            opening: 0,
            stored: BTreeSet::new(),
            missing: BTreeMap::new(),
            unopened: Vec::new(),
            deferred: Vec::new(),
            latest_bytes: 0,
            watches: Trie::new(),
            watch_generation: 1,
            presences: IdMap::with_hasher(IdHash),
            tickets: BTreeMap::new(),
            next_ticket: 1,
            requests: Offers::default(),
            authorizers: Offers::default(),
            answers: Answers::default(),
            calls: BTreeMap::new(),
            asking: BTreeMap::new(),
            next_call: 1,
            groups: groups::Groups::new(),
            inbox: VecDeque::new(),
            outputs: VecDeque::new(),
            timers: Timers::default(),
            counters: Counters::default(),
            session_outputs: VecDeque::new(),
            attributes: BytesMut::new(),
            config,
        };
        for topic in topics {
            if let Ok(entry) = new.directory.resolve(&topic) {
                new.stored.insert(entry.id);
                new.room(now, &entry);
            }
        }
        new.timers.set(now.mono + SWEEP, Timer::Sweep);
        new
    }

    /// A message from another shard.
    pub fn message(&mut self, now: Now, message: Message) {
        match message {
            Message::Publish { origin, entry, producer, frame } => {
                self.order(now, origin, entry, producer, frame);
            }
            Message::Published { session: SessionKey::GROUP, run, .. } => {
                self.republished(run.sequence - run.count + 1, run.sequence, Ok(()));
            }
            Message::PublishRefused { session: SessionKey::GROUP, sequence, code, .. } => {
                self.republished(sequence, sequence, Err(code));
            }
            Message::Published { session, topic_id, epoch, run } => {
                self.acknowledge(session, topic_id, epoch, run);
            }
            Message::PublishRefused { session, sequence, topic_id, code, retry_ms } => {
                self.refuse_publish(session, sequence, topic_id, code, retry_ms);
            }
            Message::Deliver { entry, epoch, run, hole } => {
                self.deliver(now, &entry, epoch, &run, hole);
            }
            // Subscriptions of a session take effect in the order in which they were asked for: the
            // older one may need more of a topic, and the first to come decides where it starts.
            Message::Join { origin, .. } if self.is_behind_a_watch(origin) => {
                self.deferred.push(message);
            }
            Message::Join { origin, number, entry, start } => {
                self.join(now, origin, number, entry, start);
            }
            Message::JoinRefused { session, number, topic_id, code, wait } => {
                self.join_refused(session, number, topic_id, code, wait);
            }
            Message::Joined { session, number, entry, point } => {
                self.joined(now, session, number, &entry, &point);
            }
            Message::Leave { shard, topic_id } => {
                if let Some(room) = self.rooms.get_mut(&topic_id) {
                    room.named_by &= !(1 << shard);
                }
            }
            Message::Watch { ref pattern, ref start, .. } => {
                self.revive(now, pattern, start);
                if self.opening > 0 || !self.deferred.is_empty() {
                    self.deferred.push(message);
                } else {
                    self.watch(now, message);
                }
            }
            Message::Watched { session, number, owner, topics, overflow } => {
                self.watched(now, session, number, owner, topics, overflow);
            }
            // Not ahead of the Watch that it ends.
            Message::Unwatch { .. } if !self.deferred.is_empty() => self.deferred.push(message),
            Message::Unwatch { shard, pattern } => self.unwatch(shard, &pattern),
            Message::Page { to, topic_id, epoch, from, max_bytes } => {
                self.page(now, to, topic_id, epoch, from, max_bytes);
            }
            Message::Paged { to, entry, epoch, runs, hole, next, .. }
                if to.origin.session == SessionKey::GROUP =>
            {
                self.group_paged(now, to, &entry, epoch, runs, hole, next);
            }
            Message::PageFailed { to, .. } if to.origin.session == SessionKey::GROUP => {
                self.group_page_failed(now, to);
            }
            Message::Paged { to, entry, epoch, runs, hole, next, caught_up } => {
                self.paged(now, to, &entry, epoch, &runs, hole, next, caught_up);
            }
            Message::PageFailed { to, from } => self.page_failed(now, to, from),
            Message::History { origin, number, entry, from, limit } => {
                self.history(now, origin, number, entry, from, limit);
            }
            Message::Control { session, frame } => self.tell(session, frame),
            Message::Spread { sessions, frame } => {
                for session in sessions {
                    self.tell(session, frame.clone());
                }
            }
            Message::Presence { origin, number, entry, act, after, user, role } => {
                self.presence(now, origin, number, &entry, act, &after, user, role);
            }
            Message::PresenceEnded { origin, topic_id } => {
                self.presence_ended(now, origin, topic_id);
            }
            Message::Serve { origin, number, pattern, authorizer } => {
                self.serve(origin, number, &pattern, authorizer);
            }
            Message::Served { session, number } => self.served(session, number),
            Message::Withdraw { origin, number, pattern, authorizer } => {
                self.offers(authorizer).remove(pattern.as_str(), origin, number);
            }
            Message::Call { responder, call, from, frame } => {
                self.hand_over(responder, call, from, frame);
            }
            Message::Reply { responder, frame } => self.reply(responder, frame),
            Message::Answer { responder, number, answer } => {
                self.answer(now, responder, number, &answer);
            }
            Message::ResponderGone { responder } => self.responder_gone(now, responder),
            Message::Consume { .. }
            | Message::Pull { .. }
            | Message::Settle { .. }
            | Message::LeaveGroup { .. } => self.group_message(now, message),
            Message::ConsumerEnded { session, number, code, wait } => {
                self.consumer_ended(session, number, code, wait);
            }
            Message::Jobs { session, entry, chunks, count } => {
                self.jobs(session, &entry, chunks, count);
            }
            Message::Follow { shard, group, pattern } => self.follow(shard, group, pattern),
            Message::Followed { group, owner, topics } => self.followed(now, group, owner, topics),
            Message::Unfollow { shard, pattern } => self.unfollow(shard, &pattern),
            Message::Fresh { entry, epoch, floor, run } => {
                self.fresh(now, &entry, epoch, floor, &run);
            }
            Message::Pin { topic_id, name, offset } => self.pin(now, topic_id, name, offset),
        }
    }

    /// Handles every deadline that has come.
    pub fn time(&mut self, now: Now) {
        while let Some(timer) = self.timers.due(now.mono) {
            match timer {
                Timer::Session(key) => {
                    if let Some(session) = self.session(key) {
                        session.armed = None;
                        self.input(now, key, server::Input::Time);
                    }
                }
                Timer::Starved(key) => self.pump(now, key),
                Timer::Crowd => self.thin_out(now),
                Timer::Room(topic_id) => self.unthrottle(now, topic_id),
                Timer::Missing(topic_id) => self.open_again(now, topic_id),
                Timer::Presence(topic_id) => self.presence_time(now, topic_id),
                Timer::Call(call) => self.call_timed_out(now, call),
                Timer::Standing(key) => self.standing_time(now, key),
                Timer::Group(id) => self.group_time(now, id),
                Timer::Groups => self.groups_time(),
                Timer::Letters => self.expire_letters(now),
                Timer::Sweep => {
                    self.sweep(now);
                    self.timers.set(now.mono + SWEEP, Timer::Sweep);
                }
            }
        }
    }

    /// Carries everything through that the inputs since the last call have caused: journal,
    /// fan-out, acks. Call once after a batch of inputs, so that messages of a topic coalesce.
    pub fn settle(&mut self, now: Now) {
        loop {
            while let Some(message) = self.inbox.pop_front() {
                self.message(now, message);
            }
            for topic_id in std::mem::take(&mut self.dirty) {
                self.flush(now, topic_id);
            }
            self.flush_groups(now);
            while let Some(completion) = self.journal.poll(now) {
                self.completed(now, completion);
            }
            for (ticket, refused) in std::mem::take(&mut self.unopened) {
                self.not_taken(now, ticket, refused);
            }
            // After what the journal's answers have let go.
            if self.opening == 0 && self.inbox.is_empty() {
                for message in std::mem::take(&mut self.deferred) {
                    match message {
                        Message::Watch { .. } => self.watch(now, message),
                        other => self.message(now, other),
                    }
                }
            }
            if self.inbox.is_empty() && self.dirty.is_empty() && !self.groups.is_active() {
                return self.watch_crowd(now);
            }
        }
    }

    /// Whether [`Shard::settle`] is to be called at once, as when what was sent made room for readers
    /// that had fallen behind.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// When [`Shard::time`] and [`Shard::settle`] must be called next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match (self.timers.next(), self.journal.deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The next thing that the caller must do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next session that has something to send or is to be closed; each is named once until
    /// something new is queued for it.
    pub fn next_ready(&mut self) -> Option<SessionKey> {
        while let Some(key) = self.ready.pop_front() {
            if let Some(session) = self.session(key) {
                session.ready = false;
                return Some(key);
            }
        }
        None
    }

    /// Whether the session has anything to send on this channel.
    #[must_use]
    pub fn has(&self, key: SessionKey, channel: Channel) -> bool {
        self.peek(key).is_some_and(|session| session.outbox.has(channel))
    }

    /// Hands what waits on the channel to `write`, which takes as much as it can from the front of
    /// each chunk; it is called until it leaves a rest. Room that this makes is used by readers
    /// that had fallen behind.
    pub fn transfer(
        &mut self,
        now: Now,
        key: SessionKey,
        channel: Channel,
        write: &mut dyn FnMut(&mut Bytes),
    ) {
        let Some(session) = self.session(key) else { return };
        let left = session.transfer(channel, write);
        let behind = !session.behind.is_empty();
        self.lane_bytes -= left;
        if behind {
            self.pump(now, key);
        }
    }

    /// The session's next datagram.
    pub fn pop_datagram(&mut self, key: SessionKey) -> Option<Bytes> {
        self.session(key)?.outbox.pop_datagram()
    }

    /// Why the session's transport is to be closed once its control channel is empty.
    #[must_use]
    pub fn closing(&self, key: SessionKey) -> Option<(Code, &str)> {
        let (code, reason) = self.peek(key)?.closing.as_ref()?;
        Some((*code, reason))
    }

    /// Whether the session has been admitted.
    #[must_use]
    pub fn is_live(&self, key: SessionKey) -> bool {
        self.peek(key).is_some_and(|session| session.server.is_live())
    }

    /// The sessions there are, in a fixed order.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionKey> {
        self.sessions.iter().map(|(_, session)| session.key).collect()
    }

    /// What the shard has counted, with its gauges read now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let control: usize = self.sessions.iter().map(|(_, s)| s.outbox.control_bytes()).sum();
        Counters {
            outbox_bytes: (self.lane_bytes + control) as u64,
            rooms: self.rooms.len() as u64,
            audiences: self.audiences.len() as u64,
            latest_bytes: self.latest_bytes as u64,
            ..self.counters.clone()
        }
    }

    /// The topics that this shard owns, in name order, at most `max`.
    #[must_use]
    pub fn topics(&self, max: usize) -> Vec<TopicStatus> {
        let mut all: Vec<&Room> = self.rooms.values().collect();
        all.sort_by(|a, b| a.entry.topic.cmp(&b.entry.topic));
        let status = |room: &Room| TopicStatus {
            topic: room.entry.topic.clone(),
            class: room.entry.rule.class,
            epoch: room.epoch,
            floor: room.floor,
            next: room.visible,
            shards: self.interest_of(room).count_ones(),
        };
        all.into_iter().take(max).map(status).collect()
    }

    /// Forgets ephemeral rooms that nobody has used for a while, and publishes that have left the
    /// dedupe window.
    fn sweep(&mut self, now: Now) {
        for dedupe in self.rooms.values_mut().filter_map(|room| room.dedupe.as_deref_mut()) {
            dedupe.expire(now.mono);
        }
        let idle = |room: &Room| room.is_idle() && now.mono >= room.touched + SWEEP;
        let gone: Vec<u64> =
            self.rooms.values().filter(|room| idle(room)).map(|room| room.entry.id).collect();
        for topic_id in gone {
            if let Some(room) = self.rooms.remove(&topic_id) {
                self.room_names.remove(room.entry.topic.as_str());
            }
        }
    }

    /// Sends to a shard, which may be this one.
    fn send(&mut self, shard: u8, message: Message) {
        if shard == self.me {
            self.inbox.push_back(message);
        } else {
            self.outputs.push_back(Output::ToShard(shard, message));
        }
    }

    fn send_to_all(&mut self, message: impl Fn() -> Message) {
        for shard in 0..self.shards {
            self.send(shard, message());
        }
    }

    fn origin(&self, session: SessionKey) -> Origin {
        Origin { shard: self.me, session }
    }

    fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.index as usize).filter(|session| session.key == key)
    }

    fn peek(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key.index as usize).filter(|session| session.key == key)
    }
}

/// What is known about one topic at its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// The topic's name.
    pub topic: Topic,
    /// Its class.
    pub class: sampan_protocol::Class,
    /// Its epoch.
    pub epoch: u64,
    /// First offset still kept.
    pub floor: u64,
    /// Offset that the next delivery will have.
    pub next: u64,
    /// Shards with subscribers.
    pub shards: u32,
}
