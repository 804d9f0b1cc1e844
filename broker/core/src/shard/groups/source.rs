//! At a topic's owner: telling groups of topics and messages, and keeping what they need.

use std::collections::BTreeSet;
use std::sync::Arc;

use sampan_protocol::{Class, Now, Pattern};

use super::super::Shard;
use crate::group::Extent;
use crate::journal::{Request, Run};
use crate::message::Message;
use crate::room::Room;

/// A group that waits until topics are open.
#[derive(Debug)]
pub(super) struct Awaited {
    shard: u8,
    group: u32,
    pattern: Pattern,
    left: BTreeSet<u64>,
}

impl Shard {
    /// A group of that shard reads these topics from now on. It is told of them when the journal has
    /// opened those that it holds.
    pub(in crate::shard) fn follow(&mut self, shard: u8, group: u32, pattern: Pattern) {
        let mut left = BTreeSet::new();
        self.room_names.within(&pattern, &mut |_, id| {
            left.insert(*id);
        });
        let is_opening =
            |room: &Room| room.entry.rule.class == Class::Durable && room.opening.is_some();
        left.retain(|id| self.rooms.get(id).is_some_and(is_opening));
        let missing = self.missing.iter().filter(|(_, entry)| pattern.matches(&entry.topic));
        left.extend(missing.map(|(id, _)| *id));
        match left.is_empty() {
            true => self.begin_to_follow(shard, group, &pattern),
            false => self.groups.awaited.push(Awaited { shard, group, pattern, left }),
        }
    }

    /// Groups need not wait for this topic any longer.
    pub(in crate::shard) fn await_no_more(&mut self, topic_id: u64) {
        for mut awaited in std::mem::take(&mut self.groups.awaited) {
            awaited.left.remove(&topic_id);
            match awaited.left.is_empty() {
                true => self.begin_to_follow(awaited.shard, awaited.group, &awaited.pattern),
                false => self.groups.awaited.push(awaited),
            }
        }
    }

    fn begin_to_follow(&mut self, shard: u8, group: u32, pattern: &Pattern) {
        *self.groups.follows.insert(pattern.as_str()).entry(shard).or_default() += 1;
        let mut ids = Vec::new();
        self.room_names.within(pattern, &mut |_, id| ids.push(*id));
        let rooms = ids.iter().filter_map(|id| self.rooms.get(id));
        let topics = rooms
            .filter(|room| room.entry.rule.class == Class::Durable && room.opening.is_none())
            .map(|room| {
                let (epoch, floor, next) = (room.epoch, room.floor, room.visible);
                (room.entry.clone(), Extent { epoch, floor, next })
            })
            .collect();
        let owner = self.me;
        self.send(shard, Message::Followed { group, owner, topics });
    }

    /// A group of that shard reads these topics no longer.
    pub(in crate::shard) fn unfollow(&mut self, shard: u8, pattern: &Pattern) {
        let waits = |awaited: &Awaited| awaited.shard == shard && awaited.pattern == *pattern;
        if let Some(at) = self.groups.awaited.iter().position(waits) {
            self.groups.awaited.remove(at);
            return;
        }
        let follows = &mut self.groups.follows;
        let Some(shards) = follows.exact_mut(pattern.as_str()) else { return };
        if let Some(count) = shards.get_mut(&shard) {
            *count -= 1;
            if *count == 0 {
                shards.remove(&shard);
            }
        }
        if shards.is_empty() {
            follows.remove(pattern.as_str());
        }
    }

    /// Tells every shard with a group that reads the topic of its new messages.
    pub(in crate::shard) fn tell_groups(&mut self, topic_id: u64, run: &Arc<Run>) {
        if self.groups.follows.is_empty() {
            return;
        }
        let Some(room) = self.rooms.get(&topic_id) else { return };
        if room.entry.rule.class != Class::Durable {
            return;
        }
        let mut bits = 0_u64;
        self.groups.follows.matching(&room.entry.topic, &mut |shards| {
            bits |= shards.keys().fold(0, |bits, shard| bits | 1 << shard);
        });
        let (entry, epoch, floor) = (room.entry.clone(), room.epoch, room.floor);
        for shard in (0..self.shards).filter(|shard| bits & (1 << shard) != 0) {
            let (entry, run) = (entry.clone(), run.clone());
            self.send(shard, Message::Fresh { entry, epoch, floor, run });
        }
    }

    /// Keeps a topic's messages from an offset on for a group. What the journal does not take now is
    /// told to it again with the next pass.
    pub(in crate::shard) fn pin(
        &mut self,
        now: Now,
        topic_id: u64,
        name: Arc<str>,
        offset: Option<u64>,
    ) {
        let request = Request::Pin { topic_id, name: name.clone(), offset };
        if self.journal.submit(now, request).is_err() {
            self.groups.pins.insert((topic_id, name), offset);
        } else {
            self.groups.pins.remove(&(topic_id, name));
        }
    }

    /// Tells the journal again what it has not taken.
    pub(super) fn pin_again(&mut self, now: Now) {
        for ((topic_id, name), offset) in std::mem::take(&mut self.groups.pins) {
            self.pin(now, topic_id, name, offset);
        }
    }
}
