//! Groups in a shard. A group lives in the shard that its name hashes to, whatever its topics and
//! consumers. The files hold one side each: `session` (a consumer's shard), `host` (the group's
//! shard), `source` (a topic's owner), `store` (the journal), `manage` and
//! `task` (operators).

mod bundle;
mod host;
mod manage;
mod session;
mod source;
mod store;
mod task;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sampan_protocol::Topic;
use sampan_protocol::session::server;

pub use self::manage::{LetterPage, Manage, Managed, Outcome, Which};
pub(super) use self::store::Reading;
use crate::group::Group;
use crate::message::{Message, Origin};
use crate::trie::Trie;

/// Messages that wait until the shard has read what its groups were.
const WAITING_MAX: usize = 10_000;

/// The groups of one shard, and what it tells other shards' groups.
#[derive(Debug)]
pub(super) struct Groups {
    all: BTreeMap<u32, Hosted>,
    names: BTreeMap<Topic, u32>,
    /// Groups by what they read.
    patterns: Trie<Vec<u32>>,
    next: u32,
    /// Groups that something has happened to since the last pass.
    active: BTreeSet<u32>,
    /// Groups that something has happened to since the last gathering.
    unsaved: BTreeSet<u32>,
    /// What waits for the next gathering to be stored.
    answers: Vec<Answer>,
    /// The gathering on its way to the journal.
    put: Option<store::Put>,
    /// How far the reading of what was stored has come; nothing once it is over.
    loading: Option<store::Loading>,
    waiting: Vec<Message>,
    /// Groups on their way to another place.
    seeks: Vec<manage::Seeking>,
    /// What operators have asked for, the first one being worked on.
    tasks: VecDeque<task::Task>,
    /// Whether a pass is to gather, although nothing has happened to a group.
    again: bool,
    /// Groups whose stored values are being removed, and the keys that are to go next.
    wiped: BTreeSet<Topic>,
    erased: Vec<Bytes>,
    /// At owners: groups that wait until topics are open.
    awaited: Vec<source::Awaited>,
    /// At owners: how many groups of each shard read a pattern.
    follows: Trie<BTreeMap<u8, u32>>,
    /// At owners: pins that the journal has not taken.
    pins: BTreeMap<(u64, Arc<str>), Option<u64>>,
    /// Messages that were published anew, for numbering them.
    published: u64,
    /// For which deadlines timers are set.
    armed: BTreeMap<u32, Instant>,
}

/// One group here.
#[derive(Debug)]
struct Hosted {
    group: Group,
    /// Owners that have not said which topics they have for it, as bits. What another group makes
    /// them tell before that says nothing of where this one begins.
    awaited: u64,
    forming: Option<Forming>,
}

/// A group that is being made: it is stored, and hands out its first job, when every owner has
/// said which topics it has for it.
#[derive(Debug)]
struct Forming {
    start: sampan_protocol::control::Start,
    joins: Vec<(Origin, Arc<str>, Box<server::Consume>)>,
}

/// What is told when everything that led to it is stored.
#[derive(Debug)]
struct Answer {
    to: Asker,
    say: Say,
}

/// Who waits.
#[derive(Clone, Copy, Debug)]
enum Asker {
    /// A request of a session.
    Session(Origin, u64),
    /// An operator's task.
    Task(u64),
    /// The shard itself.
    Nobody,
}

/// What is said.
#[derive(Debug)]
enum Say {
    Done,
    Settled {
        late: bool,
    },
    /// To the first task: what it has changed is stored.
    Stored,
}

impl Groups {
    pub(super) fn new() -> Self {
        Groups {
            all: BTreeMap::new(),
            names: BTreeMap::new(),
            patterns: Trie::new(),
            next: 1,
            active: BTreeSet::new(),
            unsaved: BTreeSet::new(),
            answers: Vec::new(),
            put: None,
            loading: Some(store::Loading::default()),
            waiting: Vec::new(),
            seeks: Vec::new(),
            tasks: VecDeque::new(),
            again: true,
            wiped: BTreeSet::new(),
            erased: Vec::new(),
            awaited: Vec::new(),
            follows: Trie::new(),
            pins: BTreeMap::new(),
            published: 0,
            armed: BTreeMap::new(),
        }
    }

    /// Whether a pass has anything to do.
    pub(super) fn is_active(&self) -> bool {
        self.loading.is_none() && (self.again || !self.active.is_empty())
    }

    fn touch(&mut self, id: u32) -> Option<&mut Hosted> {
        let hosted = self.all.get_mut(&id)?;
        self.active.insert(id);
        Some(hosted)
    }

    fn named(&mut self, name: &Topic) -> Option<&mut Hosted> {
        let id = *self.names.get(name)?;
        self.touch(id)
    }
}
