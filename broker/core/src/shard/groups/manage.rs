//! What operators ask of groups: lists, places, and what becomes of dead letters.
//!
//! Tasks that read stored values are worked on one after the other, each until what it has changed
//! is stored: two of them never see the same letter.

use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::{Code, Now, Topic};

use super::super::{Output, Shard};
use super::store::EXPIRE_EVERY;
use super::task::{Act, task};
use super::{Asker, Say};
use crate::group::{Letter, Seek, Status, key};
use crate::message::Message;
use crate::timer::Timer;

/// Tasks that may wait.
const TASKS_MAX: usize = 1024;

/// What an operator may ask of the groups of one shard. A group's own shard is
/// [`crate::directory::owner`] of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manage {
    /// How the shard's groups stand, or this one.
    Groups(Option<Topic>),
    /// Read a topic from another place on.
    Seek {
        /// The group.
        group: Topic,
        /// The topic.
        topic: Topic,
        /// Where to.
        to: Seek,
    },
    /// End a group: its consumers, its places, its dead letters.
    Delete(Topic),
    /// Dead letters above an id, by id.
    Letters {
        /// The group.
        group: Topic,
        /// The id.
        after: Option<u64>,
        /// At most so many, and as many as 64 KiB hold.
        max: usize,
    },
    /// Put dead letters back to the group, or publish them to another topic.
    Retry {
        /// The group.
        group: Topic,
        /// Which ones.
        which: Which,
        /// The topic, if it is another one.
        target: Option<Topic>,
    },
    /// Remove dead letters.
    Discard {
        /// The group.
        group: Topic,
        /// Which ones.
        which: Which,
    },
}

/// A group that is on its way to another place, and the task that waits for that.
#[derive(Debug)]
pub(super) struct Seeking {
    id: u64,
    group: Topic,
    topic_id: u64,
}

/// Which dead letters are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with these ids.
    Ids(Vec<u64>),
    /// All that there are.
    All,
}

/// What has become of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Managed {
    /// How groups stand.
    Groups(Vec<Status>),
    /// It is done and stored, for so many.
    Done(u64),
    /// It is done and stored for some dead letters, and was refused for others.
    Each(Outcome),
    /// A page of dead letters.
    Letters(LetterPage),
}

/// What has become of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// For how many it was done.
    pub count: u64,
    /// The ids for which it was not, and why.
    pub failed: Vec<(u64, Code)>,
    /// How many more those are.
    pub more_failed: u64,
}

/// Dead letters by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LetterPage {
    /// The letters with their ids.
    pub letters: Vec<(u64, Letter)>,
    /// Ids of those whose stored form cannot be read.
    pub unreadable: Vec<u64>,
    /// The highest id that the page accounts for.
    pub through: Option<u64>,
    /// Whether there are more above it.
    pub more: bool,
}

/// Failures that an outcome names.
const FAILED_MAX: usize = 1000;

impl Outcome {
    pub(super) fn fail(&mut self, id: u64, code: Code) {
        if self.failed.len() < FAILED_MAX {
            self.failed.push((id, code));
        } else {
            self.more_failed += 1;
        }
    }
}

impl Shard {
    /// Asks something of the groups of this shard; [`Output::Managed`] repeats `id`.
    pub fn manage(&mut self, now: Now, id: u64, manage: Manage) {
        let result = match manage {
            _ if self.groups.loading.is_some() => Err(Code::BUSY),
            Manage::Groups(name) => self.statuses(name.as_ref()),
            Manage::Seek { group, topic, to } => match self.seek(now, &group, &topic, to) {
                Ok(topic_id) => return self.groups.seeks.push(Seeking { id, group, topic_id }),
                Err(code) => Err(code),
            },
            Manage::Delete(group) => match self.delete(&group) {
                Ok(()) => return self.wipe(now, Asker::Task(id), group),
                Err(code) => Err(code),
            },
            Manage::Letters { group, after, max } => {
                let after = after.map(|id| key::letter(&group, id));
                return self.add_task(now, Asker::Task(id), Act::List { max }, group, None, after);
            }
            Manage::Retry { group, which, target } => {
                let act = Act::Retry { target };
                return self.add_task(now, Asker::Task(id), act, group, which.ids(), None);
            }
            Manage::Discard { group, which } => {
                let ids = which.ids();
                return self.add_task(now, Asker::Task(id), Act::Discard, group, ids, None);
            }
        };
        self.outputs.push_back(Output::Managed { id, result });
    }

    fn statuses(&self, name: Option<&Topic>) -> Result<Managed, Code> {
        let groups = self.groups.all.values().filter(|hosted| hosted.forming.is_none());
        let wanted = groups.filter(|hosted| name.is_none_or(|name| name == hosted.group.name()));
        let mut list: Vec<Status> = wanted.map(|hosted| hosted.group.status()).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        match name {
            Some(_) if list.is_empty() => Err(Code::UNKNOWN_GROUP),
            _ => Ok(Managed::Groups(list)),
        }
    }

    fn seek(&mut self, now: Now, group: &Topic, topic: &Topic, to: Seek) -> Result<u64, Code> {
        if self.groups.seeks.len() >= TASKS_MAX {
            return Err(Code::BUSY);
        }
        let entry = self.directory.find(topic).ok_or(Code::UNKNOWN_TOPIC)?;
        let hosted = self.groups.named(group).filter(|hosted| hosted.forming.is_none());
        hosted.ok_or(Code::UNKNOWN_GROUP)?.group.seek(now, entry.id, to)?;
        Ok(entry.id)
    }

    /// Has those answered with the next gathering whose new place is known by now. Where a time is, an
    /// owner has to say first.
    pub(super) fn answer_seeks(&mut self) {
        for seek in std::mem::take(&mut self.groups.seeks) {
            let id = self.groups.names.get(&seek.group);
            let hosted = id.and_then(|id| self.groups.all.get(id));
            match hosted.map(|hosted| hosted.group.is_seeking(seek.topic_id)) {
                Some(true) => self.groups.seeks.push(seek),
                Some(false) => self.answer_later(Asker::Task(seek.id), Say::Done),
                None => self.tell_asker(Asker::Task(seek.id), Err(Code::UNKNOWN_GROUP)),
            }
        }
    }

    /// Ends a group in this shard; its stored values are another matter.
    fn delete(&mut self, name: &Topic) -> Result<(), Code> {
        let id = *self.groups.names.get(name).ok_or(Code::UNKNOWN_GROUP)?;
        if self.groups.all.get(&id).is_some_and(|hosted| hosted.forming.is_some()) {
            return Err(Code::BUSY);
        }
        self.groups.names.remove(name);
        let Some(hosted) = self.groups.all.remove(&id) else { return Err(Code::UNKNOWN_GROUP) };
        let (group, shard) = (hosted.group, self.me);
        let pattern = group.definition().pattern.clone();
        if let Some(list) = self.groups.patterns.exact_mut(pattern.as_str()) {
            list.retain(|other| *other != id);
            if list.is_empty() {
                self.groups.patterns.remove(pattern.as_str());
            }
        }
        self.send_to_all(|| Message::Unfollow { shard, pattern: pattern.clone() });
        for entry in group.topics() {
            let (topic_id, name) = (entry.id, name.as_str().into());
            self.send(entry.owner, Message::Pin { topic_id, name, offset: None });
        }
        for consumer in group.consumers() {
            let (to, number) = (consumer.origin, consumer.number);
            self.end_consumer(to, number, Code::UNKNOWN_GROUP, Duration::ZERO);
        }
        self.groups.wiped.insert(name.clone());
        Ok(())
    }

    /// Removes what is stored of a group, its definition last: a wipe that a crash cuts short leaves
    /// a group that can be deleted again.
    fn wipe(&mut self, now: Now, asker: Asker, group: Topic) {
        let of = |prefix: &str| Bytes::from(format!("{prefix}{group}/"));
        let prefixes = [key::CURSORS, key::BLOCKS, key::RETURNS, key::LETTERS].map(of).into();
        let act = Act::Wipe { prefixes, is_begun: false };
        let task = task(asker, act, group, None, None);
        self.groups.tasks.push_back(task);
        self.work(now);
    }

    fn add_task(
        &mut self,
        now: Now,
        asker: Asker,
        act: Act,
        group: Topic,
        ids: Option<Vec<u64>>,
        after: Option<Bytes>,
    ) {
        let code = match self.groups.names.contains_key(&group) {
            false => Some(Code::UNKNOWN_GROUP),
            true if self.groups.tasks.len() >= TASKS_MAX => Some(Code::BUSY),
            true => None,
        };
        match code {
            Some(code) => self.tell_asker(asker, Err(code)),
            None => {
                self.groups.tasks.push_back(task(asker, act, group, ids, after));
                self.work(now);
            }
        }
    }

    pub(super) fn tell_asker(&mut self, asker: Asker, result: Result<Managed, Code>) {
        if let Asker::Task(id) = asker {
            self.outputs.push_back(Output::Managed { id, result });
        }
    }

    /// Dead letters that are too old are to be removed.
    pub(in crate::shard) fn expire_letters(&mut self, now: Now) {
        self.timers.set(now.mono + EXPIRE_EVERY, Timer::Letters);
        let with = |hosted: &&super::Hosted| hosted.group.definition().letters > 0;
        let names: Vec<Topic> =
            self.groups.all.values().filter(with).map(|h| h.group.name().clone()).collect();
        for name in names {
            self.add_task(now, Asker::Nobody, Act::Expire, name, None, None);
        }
    }
}

impl Which {
    /// The ids, the next one last.
    fn ids(self) -> Option<Vec<u64>> {
        match self {
            Which::Ids(mut ids) => {
                ids.reverse();
                Some(ids)
            }
            Which::All => None,
        }
    }
}
