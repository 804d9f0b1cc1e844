//! What a group puts into the journal, and how it comes back from there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ::bytes::Bytes;
use sampan_protocol::{Now, Topic};

use super::cursor::Cursor;
use super::record::{Block, Definition, Letter, Place};
use super::{Bounds, Group, key};
use crate::directory::Entry;

/// Bytes of dead letters that wait to be stored at the same time, but for the last of them: they are
/// stored in one piece, which has to fit into the smallest segment.
const LETTER_BYTES: usize = 512 * 1024;

/// What differs from what is stored.
#[derive(Debug, Default)]
pub(super) struct Changed {
    pub(super) definition: bool,
    /// Topics whose cursor may differ.
    pub(super) topics: BTreeSet<u64>,
    /// Dead letters and messages on their way back, by key.
    letters: BTreeMap<Bytes, Option<Bytes>>,
    letter_bytes: usize,
    /// Messages that are back and settled.
    returned: Vec<u64>,
}

impl Changed {
    /// Whether no more dead letters may wait.
    pub(super) fn is_full(&self) -> bool {
        self.letter_bytes >= LETTER_BYTES
    }

    pub(super) fn add_letter(&mut self, group: &Topic, id: u64, letter: &Letter) {
        let value = letter.encode();
        self.letter_bytes += value.len();
        self.letters.insert(key::letter(group, id), Some(value));
        self.definition = true;
    }

    pub(super) fn remove_letter(&mut self, group: &Topic, id: u64) {
        self.letters.insert(key::letter(group, id), None);
        self.definition = true;
    }

    pub(super) fn add_return(&mut self, group: &Topic, id: u64, letter: &Letter) {
        let value = letter.encode();
        self.letter_bytes += value.len();
        self.letters.insert(key::returned(group, id), Some(value));
    }

    pub(super) fn remove_return(&mut self, id: u64) {
        self.returned.push(id);
    }
}

/// What one gathering has handed over, to be given back when it is stored or has failed.
#[derive(Debug)]
pub(crate) struct Stored {
    /// How far each topic is settled with it.
    done: Vec<(u64, u64)>,
}

impl Group {
    /// A group as it was stored.
    pub(crate) fn restored(name: Topic, value: &[u8], bounds: Bounds, boot: u64) -> Option<Group> {
        Some(Group::new(name, Definition::decode(value)?, bounds, boot))
    }

    /// Marks a new group to be stored as a whole.
    pub(crate) fn found(&mut self) {
        self.changed.definition = true;
    }

    /// Takes over a stored cursor; `false` if it cannot be read.
    pub(crate) fn restore_place(&mut self, entry: &Arc<Entry>, value: &[u8]) -> bool {
        let Some(place) = Place::decode(value) else { return false };
        let cursor = self.topics.entry(entry.id).or_insert_with(|| Cursor::new(entry.clone()));
        cursor.restore_place(place);
        true
    }

    /// Takes over a stored block, after the cursors; `false` if it cannot be read. Without a cursor
    /// of its own, a topic has settled nothing from its start on.
    pub(crate) fn restore_block(&mut self, entry: &Arc<Entry>, number: u64, value: &[u8]) -> bool {
        let Some(block) = Block::decode(number, value) else { return false };
        let Some(cursor) = self.topics.get_mut(&entry.id) else { return false };
        cursor.restore(block);
        self.changed.topics.insert(entry.id);
        true
    }

    /// Whether anything differs from what is stored.
    pub(crate) fn has_changed(&self) -> bool {
        let Changed { definition, topics, letters, returned, .. } = &self.changed;
        *definition || !topics.is_empty() || !letters.is_empty() || !returned.is_empty()
    }

    /// Everything that differs from what is stored, which is then taken as stored.
    pub(crate) fn gather(&mut self, values: &mut Vec<(Bytes, Option<Bytes>)>) -> Stored {
        let changed = std::mem::take(&mut self.changed);
        if changed.definition {
            values.push((key::group(&self.name), Some(self.definition.encode())));
        }
        let mut done = Vec::new();
        for topic_id in changed.topics {
            let Some(cursor) = self.topics.get_mut(&topic_id) else { continue };
            let topic = &cursor.entry.topic;
            let numbers = std::mem::take(&mut cursor.changed);
            // A block means nothing without the epoch of its cursor.
            if std::mem::take(&mut cursor.moved) || !numbers.is_empty() {
                let place = cursor.place().encode();
                values.push((key::cursor(&self.name, topic), Some(place)));
                done.push((topic_id, cursor.done));
            }
            for number in numbers {
                let block = Block::of(number, &cursor.settled, &cursor.tried);
                let value = (!block.is_empty()).then(|| block.encode(number));
                values.push((key::block(&self.name, topic, number), value));
            }
        }
        values.extend(changed.letters);
        values.extend(changed.returned.iter().map(|id| (key::returned(&self.name, *id), None)));
        Stored { done }
    }

    /// What was gathered is stored.
    pub(crate) fn stored(&mut self, now: Now, stored: Stored) {
        for (topic_id, done) in stored.done {
            self.pin(now, topic_id, done + 1);
        }
    }
}
