//! Dead letters: their way back to the group, their end, and moving a group to another place.

use std::sync::Arc;

use ::bytes::Bytes;
use sampan_protocol::{Code, Now};

use super::cursor::{Job, State};
use super::record::{BLOCK, Letter};
use super::{Group, key};
use crate::directory::Entry;

/// Where a group is to read on in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    /// With this offset.
    Offset(u64),
    /// With the first message at or after this time, Unix milliseconds.
    Since(u64),
}

/// What became of a dead letter that was to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    /// It is with the group again.
    Here,
    /// Its history has ended, or the group does not read its topic: it has to be published anew.
    Elsewhere,
    /// The group has no room for it now.
    Full,
}

impl Group {
    /// Puts a dead letter back: its message is due at once, with all its attempts before it. The
    /// letter ends with the same storing.
    pub(crate) fn put_back(&mut self, entry: &Arc<Entry>, id: u64, letter: &Letter) -> Back {
        let Some(cursor) = self.topics.get_mut(&entry.id) else { return Back::Elsewhere };
        if cursor.epoch != letter.epoch || !cursor.is_known {
            return Back::Elsewhere;
        }
        let offset = letter.offset;
        // One that the group has yet to get, after a seek, may be gone from the journal by then.
        if !cursor.open.contains_key(&offset) {
            // A group that is behind has as much room again for these.
            let has_room = self.open_count < 2 * self.bounds.ahead_count
                && self.open_bytes < 2 * self.bounds.ahead_bytes;
            if !has_room || self.changed.is_full() {
                return Back::Full;
            }
            cursor.forget(offset);
            let bytes = cursor.block_bytes(offset / BLOCK);
            self.changed.topics.insert(entry.id);
            self.restore_return(entry, id, letter);
            let back = (key::returned(&self.name, id), Some(letter.encode()));
            self.end_letter(id, Some(back));
            // What was remembered of its attempts is forgotten with it.
            self.changed.settle_with(entry.id, offset / BLOCK, bytes);
        } else {
            self.discard(id);
        }
        Back::Here
    }

    /// Takes over a message that was on its way back when the broker stopped.
    pub(crate) fn restore_return(&mut self, entry: &Arc<Entry>, id: u64, letter: &Letter) {
        let Some(cursor) = self.topics.get_mut(&entry.id) else { return };
        if cursor.epoch != letter.epoch {
            let reason = Arc::from(super::feed::ENDED);
            return self.add_letter(&Letter { reason, ..letter.clone() }, Some(id));
        }
        let by_key = self.definition.order == sampan_protocol::control::GroupOrder::Key;
        let (attributes, payload) = (letter.attributes.clone(), letter.payload.clone());
        let key = by_key.then(|| super::feed::key(&attributes)).flatten();
        let (time_ms, state, returned) = (letter.time_ms, State::Ready, Some(id));
        let job = Job { time_ms, attributes, payload, key, state, returned };
        self.open_count += 1;
        self.open_bytes += job.bytes();
        cursor.add(letter.offset, job);
        self.show(entry.id);
    }

    /// Ends a dead letter.
    pub(crate) fn discard(&mut self, id: u64) {
        self.end_letter(id, None);
    }

    /// Ends a dead letter, in one piece with what comes of it.
    fn end_letter(&mut self, id: u64, back: Option<(Bytes, Option<Bytes>)>) {
        self.definition.letters = self.definition.letters.saturating_sub(1);
        let mut values = vec![(key::letter(&self.name, id), None)];
        values.extend(back);
        self.changed.act(values, &self.definition);
    }

    /// Reads a topic from another place on. What consumers hold of it comes again.
    pub(crate) fn seek(&mut self, now: Now, topic_id: u64, to: Seek) -> Result<(), Code> {
        let cursor = self.topics.get(&topic_id).filter(|cursor| cursor.is_known);
        let cursor = cursor.ok_or(Code::UNKNOWN_TOPIC)?;
        let (epoch, done, end) = (cursor.epoch, cursor.done, cursor.end);
        match to {
            Seek::Offset(offset) => self.restart(now, topic_id, epoch, offset.clamp(1, end) - 1),
            Seek::Since(ms) => {
                self.restart(now, topic_id, epoch, done);
                if let Some(cursor) = self.topics.get_mut(&topic_id) {
                    cursor.since_ms = Some(ms);
                }
                // Where that is must be known and stored although nobody may consume at the moment.
                self.ask(topic_id, 1);
                self.want(topic_id);
            }
        }
        Ok(())
    }

    /// Whether it is not yet known where the group reads on in a topic.
    pub(crate) fn is_seeking(&self, topic_id: u64) -> bool {
        self.topics.get(&topic_id).is_some_and(|cursor| cursor.since_ms.is_some())
    }

    /// Whether what happens to dead letters has to wait until what has happened is stored.
    pub(crate) fn is_full(&self) -> bool {
        self.changed.is_full()
    }

    /// The topics that the group reads, and what its owners were asked to keep for it.
    pub(crate) fn topics(&self) -> Vec<Arc<Entry>> {
        self.topics.values().map(|cursor| cursor.entry.clone()).collect()
    }
}
