//! Groups: competing consumers that share the messages of durable topics.
//!
//! A group is a pure state machine that lives in the shard that its name belongs to. It is told
//! where topics stand, what they hold and what its consumers say; it answers with jobs, with pages
//! that it wants, and with values to be stored. The files hold one concern each: `feed` (fetching
//! and fair handing out), `settle` (what becomes of a job), `letters` (dead letters and their
//! return), `store` and `changed` (what survives a restart), `cursor` (one topic), `tried`
//! (what is remembered of a message), `record` (stored forms).
//!
//! **What is promised.** What a stored settlement covers is not handed out again. What is not
//! settled is handed out until it is, or becomes a dead letter. With [`GroupOrder::Key`] no message
//! is handed out while an older one of its key and topic is unsettled.

mod bytes;
mod changed;
mod cursor;
mod curve;
mod feed;
pub(crate) mod key;
mod letters;
mod ranges;
pub(crate) mod record;
mod settle;
mod store;
#[cfg(test)]
mod tests;
mod tried;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::bytes::Bytes;
use sampan_protocol::control::GroupOrder;
use sampan_protocol::limits::WINDOW_MAX;
use sampan_protocol::session::server;
use sampan_protocol::{Code, Now, Topic};

pub(crate) use self::changed::Piece;
use self::cursor::{Cursor, State};
pub use self::feed::Extent;
pub(crate) use self::feed::{Begin, Page};
pub(crate) use self::letters::Back;
pub use self::letters::Seek;
pub use self::record::{Definition, Letter};
pub(crate) use self::store::{Stored, weights};
pub use self::tried::Failure;
use crate::config::Limits;
use crate::counters::GroupCounters;
use crate::directory::Entry;
use crate::journal::Start;
use crate::message::Origin;

/// How long a consumer may take for a job if nobody says otherwise.
pub const ACK_WAIT: Duration = Duration::from_secs(30);
/// How often a message is handed out at most if nobody says otherwise.
pub const ATTEMPTS_MAX: u32 = 10;
/// How often owners are told what the group still needs.
const PIN_EVERY: Duration = Duration::from_secs(1);

/// A consumer anywhere in the broker: a session, and the number that it chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Consumer {
    /// The session.
    pub origin: Origin,
    /// The number of its CONSUME.
    pub number: u64,
}

/// What the group wants done.
#[derive(Debug)]
pub(crate) enum Output {
    /// Hand this to a consumer.
    Job(Handed),
    /// Ask the topic's owner for a page.
    Page { entry: Arc<Entry>, from: Start, max_bytes: usize, asked: u32 },
    /// Ask the topic's owner to keep messages from this offset on.
    Pin { entry: Arc<Entry>, offset: u64 },
}

/// A message on its way to a consumer.
#[derive(Debug)]
pub(crate) struct Handed {
    pub(crate) to: Consumer,
    pub(crate) entry: Arc<Entry>,
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
    pub(crate) time_ms: u64,
    pub(crate) attempt: u32,
    pub(crate) attributes: Bytes,
    pub(crate) payload: Bytes,
}

/// One consumer's share.
#[derive(Debug)]
struct Member {
    user: Arc<str>,
    /// Jobs that it holds at most by itself.
    window: u32,
    /// Jobs that it has asked for beyond that.
    pulled: u64,
    /// Topic and offset of every job that it holds.
    held: BTreeSet<(u64, u64)>,
    /// Whether it is in the list of those that take jobs.
    is_listed: bool,
}

impl Member {
    fn takes(&self) -> bool {
        let held = self.held.len();
        held < self.window as usize || (self.pulled > 0 && held < WINDOW_MAX as usize)
    }
}

/// Bounds of one group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    members_max: usize,
    topics_max: usize,
    ahead_count: usize,
    ahead_bytes: usize,
    letters_max: u64,
}

impl From<&Limits> for Bounds {
    fn from(limits: &Limits) -> Self {
        Bounds {
            members_max: limits.group_members_max,
            topics_max: limits.group_topics_max,
            ahead_count: limits.group_ahead_count,
            ahead_bytes: limits.group_ahead_bytes,
            letters_max: limits.letters_max,
        }
    }
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    name: Topic,
    definition: Definition,
    bounds: Bounds,
    /// Of the curve.
    seed: u64,
    members: BTreeMap<Consumer, Member>,
    /// Members that take jobs, the next one first.
    takers: VecDeque<Consumer>,
    topics: BTreeMap<u64, Cursor>,
    /// Topics with ready jobs, and those with more to be fetched, the next one first.
    listed: VecDeque<u64>,
    hungry: VecDeque<u64>,
    /// When which job's time is over.
    deadlines: BTreeSet<(Instant, u64, u64)>,
    open_count: usize,
    open_bytes: usize,
    pages: usize,
    next_page: u32,
    /// What owners are to be told to keep, and when.
    pins: BTreeMap<u64, u64>,
    pin_at: Option<Instant>,
    changed: changed::Changed,
    outputs: VecDeque<Output>,
    /// What has been counted since it was last taken.
    pub(crate) counted: GroupCounters,
}

impl Group {
    /// A group without members that knows no topic.
    pub(crate) fn new(name: Topic, definition: Definition, bounds: Bounds, boot: u64) -> Self {
        Group {
            seed: curve::seed(boot, name.as_str()),
            name,
            definition,
            bounds,
            members: BTreeMap::new(),
            takers: VecDeque::new(),
            topics: BTreeMap::new(),
            listed: VecDeque::new(),
            hungry: VecDeque::new(),
            deadlines: BTreeSet::new(),
            open_count: 0,
            open_bytes: 0,
            pages: 0,
            next_page: 1,
            pins: BTreeMap::new(),
            pin_at: None,
            changed: changed::Changed::default(),
            outputs: VecDeque::new(),
            counted: GroupCounters::default(),
        }
    }

    /// The definition that a CONSUME asks for.
    pub(crate) fn defined_by(consume: &server::Consume, since_ms: u64) -> Definition {
        Definition {
            pattern: consume.pattern.clone(),
            order: consume.order.unwrap_or(GroupOrder::Any),
            ack_wait: consume.ack_wait.unwrap_or(ACK_WAIT),
            attempts_max: consume.attempts_max.map_or(ATTEMPTS_MAX, std::num::NonZeroU32::get),
            is_used: false,
            since_ms,
            letters: 0,
            next_letter: 1,
        }
    }

    pub(crate) fn name(&self) -> &Topic {
        &self.name
    }

    pub(crate) fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Lets a consumer take part. Ack wait and attempts follow what it asks for.
    pub(crate) fn join(
        &mut self,
        origin: Origin,
        user: Arc<str>,
        consume: &server::Consume,
    ) -> Result<(), Code> {
        let of = &mut self.definition;
        let order = consume.order.unwrap_or(of.order);
        if consume.pattern != of.pattern || (of.is_used && order != of.order) {
            return Err(Code::GROUP_DIFFERS);
        }
        if self.members.len() >= self.bounds.members_max {
            return Err(Code::TOO_MANY);
        }
        let ack_wait = consume.ack_wait.unwrap_or(of.ack_wait);
        let attempts_max = consume.attempts_max.map_or(of.attempts_max, std::num::NonZeroU32::get);
        if (ack_wait, attempts_max) != (of.ack_wait, of.attempts_max) {
            (of.ack_wait, of.attempts_max) = (ack_wait, attempts_max);
            self.changed.definition = true;
        }
        if !std::mem::replace(&mut of.is_used, true) {
            // The first consumer of a group that the configuration names says in which order.
            of.order = order;
            self.changed.definition = true;
            self.pin_all();
        }
        let consumer = Consumer { origin, number: consume.number };
        let (window, held) = (consume.window, BTreeSet::new());
        self.members.insert(consumer, Member { user, window, pulled: 0, held, is_listed: false });
        self.list(consumer);
        Ok(())
    }

    /// A consumer asks for jobs once.
    pub(crate) fn pull(&mut self, consumer: Consumer, count: u64) -> Result<(), Code> {
        let member = self.members.get_mut(&consumer).ok_or(Code::UNKNOWN_REQUEST)?;
        member.pulled = member.pulled.saturating_add(count).min(WINDOW_MAX.into());
        self.list(consumer);
        Ok(())
    }

    /// A consumer leaves: what it holds was not tried, and comes again at once. With `lost` it went
    /// without a word: what it holds may be what killed it, so each attempt has failed.
    pub(crate) fn leave(&mut self, now: Now, consumer: Consumer, lost: bool) -> Result<(), Code> {
        let member = self.members.get(&consumer).ok_or(Code::UNKNOWN_REQUEST)?;
        let (held, user) = (member.held.clone(), member.user.clone());
        for (topic_id, offset) in held {
            match lost {
                true => self.fail(now, topic_id, offset, &user, settle::LOST, None),
                false => self.release(topic_id, offset),
            }
        }
        self.members.remove(&consumer);
        Ok(())
    }

    /// Who takes part.
    pub(crate) fn consumers(&self) -> Vec<Consumer> {
        self.members.keys().copied().collect()
    }

    /// Puts a member that takes jobs at the end of the list of those.
    fn list(&mut self, consumer: Consumer) {
        if let Some(member) = self.members.get_mut(&consumer)
            && member.takes()
            && !member.is_listed
        {
            member.is_listed = true;
            self.takers.push_back(consumer);
        }
    }

    /// Handles every deadline that has come.
    pub(crate) fn time(&mut self, now: Now) {
        while let Some(&(at, topic_id, offset)) = self.deadlines.first() {
            if at > now.mono {
                break;
            }
            self.deadlines.pop_first();
            let job = self.topics.get(&topic_id).and_then(|cursor| cursor.open.get(&offset));
            match job.map(|job| job.state) {
                Some(State::Held { by, .. }) => {
                    self.counted.timed_out += 1;
                    let user = self.members.get(&by).map(|member| member.user.clone());
                    let user = user.unwrap_or_else(|| Arc::from(""));
                    self.fail(now, topic_id, offset, &user, settle::TIMED_OUT, None);
                }
                Some(State::Parked { .. }) => self.unpark(now, topic_id, offset),
                // A page may be asked for again.
                _ => self.want(topic_id),
            }
        }
        if self.pin_at.is_some_and(|at| at <= now.mono) {
            self.pin_at = None;
            for (topic_id, offset) in std::mem::take(&mut self.pins) {
                let Some(cursor) = self.topics.get_mut(&topic_id) else { continue };
                cursor.pinned = offset;
                let entry = cursor.entry.clone();
                self.outputs.push_back(Output::Pin { entry, offset });
            }
        }
    }

    /// When [`Group::time`] must be called next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(at, _, _)| *at);
        first.into_iter().chain(self.pin_at).min()
    }

    /// What is to be done next; [`Group::hand_out`] makes more of it.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How the group stands.
    pub(crate) fn status(&self) -> Status {
        let mut status = Status {
            name: self.name.clone(),
            pattern: self.definition.pattern.clone(),
            order: self.definition.order,
            members: self.members.len() as u64,
            lag: 0,
            in_flight: self.members.values().map(|member| member.held.len() as u64).sum(),
            parked: 0,
            dead: self.definition.letters,
            topics: Vec::new(),
        };
        for cursor in self.topics.values() {
            // Those that a seek has made unsettled again are counted already.
            let back = |(offset, job): &(&u64, &cursor::Job)| {
                job.returned.is_some() && cursor.is_settled(**offset)
            };
            let returned = cursor.open.iter().filter(back).count() as u64;
            status.lag += cursor.lag() + returned;
            let parked = |job: &&cursor::Job| matches!(job.state, State::Parked { .. });
            status.parked += cursor.open.values().filter(parked).count() as u64;
            status.topics.push(TopicStatus {
                topic: cursor.entry.topic.clone(),
                epoch: cursor.epoch,
                done: cursor.done,
                end: cursor.end,
                lag: cursor.lag(),
            });
        }
        status.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
        status
    }
}

/// A number that stands for a group's name.
pub(crate) fn name_hash(name: &Topic) -> u64 {
    curve::seed(0, name.as_str())
}

/// How a group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The group's name.
    pub name: Topic,
    /// What it reads.
    pub pattern: sampan_protocol::Pattern,
    /// In which order.
    pub order: GroupOrder,
    /// Consumers.
    pub members: u64,
    /// Messages that are kept and not settled.
    pub lag: u64,
    /// Messages that consumers hold.
    pub in_flight: u64,
    /// Messages that wait to come again.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
    /// The group's topics, in name order.
    pub topics: Vec<TopicStatus>,
}

/// How a group stands in one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicStatus {
    /// The topic.
    pub topic: Topic,
    /// Its epoch.
    pub epoch: u64,
    /// Everything up to this offset is settled.
    pub done: u64,
    /// The offset that the topic's next message gets.
    pub end: u64,
    /// Messages between the two that are not settled.
    pub lag: u64,
}
