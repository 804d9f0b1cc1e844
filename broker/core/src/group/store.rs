//! What a group puts into the journal, and how it comes back from there.

use std::sync::Arc;

use ::bytes::Bytes;
use sampan_protocol::{Now, Topic};

use super::changed::{Piece, weight};
use super::cursor::Cursor;
use super::record::{Block, Definition, Place};
use super::{Bounds, Group, key};
use crate::directory::Entry;

/// Bytes of what goes with dead letters from which on its blocks are stored without failures.
const WITH_BYTES: usize = 128 * 1024;

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
        (self.changed.definition, self.changed.is_new) = (true, true);
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
        !self.changed.is_empty()
    }

    /// Everything that differs from what is stored, which is then taken as stored: one piece, or
    /// several that are to be stored in this order if it is more than so many bytes. None of them is
    /// above [`PUT_BYTES_MAX`](crate::journal::PUT_BYTES_MAX).
    pub(crate) fn gather(&mut self, piece_bytes: usize) -> (Vec<Piece>, Stored) {
        let mut changed = std::mem::take(&mut self.changed);
        let (mut removals, mut with) = (Vec::new(), Piece::new());
        let (mut pieces, mut rest) = (Vec::new(), Vec::new());
        let mut done = Vec::new();
        for topic_id in &changed.topics {
            let Some(cursor) = self.topics.get_mut(topic_id) else { continue };
            let numbers = std::mem::take(&mut cursor.changed);
            // A block means nothing without the epoch of its cursor.
            if !std::mem::take(&mut cursor.moved) && numbers.is_empty() {
                continue;
            }
            done.push((*topic_id, cursor.done));
            let topic = &cursor.entry.topic;
            let place = (key::cursor(&self.name, topic), Some(cursor.place().encode()));
            // Blocks must not be taken for those of a later epoch. Those of another place in the same
            // one say of messages that they are settled, which they are.
            if std::mem::take(&mut cursor.is_of_new_epoch) {
                let names = numbers.iter().map(|number| key::block(&self.name, topic, *number));
                removals.extend(names.map(|name| vec![(name, None)]));
            }
            let letters = changed.settled.get(topic_id);
            let mut first = vec![place];
            for number in numbers {
                let block = cursor.block(number);
                let is_first = letters.is_some_and(|blocks| blocks.contains(&number));
                let long = is_first && weights(&with) + weights(&first) > WITH_BYTES;
                let block = if long { block.lean() } else { block };
                let value = (!block.is_empty()).then(|| block.encode(number));
                let value = (key::block(&self.name, topic, number), value);
                if is_first { first.push(value) } else { rest.push(vec![value]) }
            }
            if letters.is_some() { with.append(&mut first) } else { pieces.push(first) }
        }
        pieces.append(&mut rest);
        pieces.extend(changed.returned.drain(..).map(|key| vec![(key, None)]));
        let key = key::group(&self.name);
        let mut all = changed.pieces(&key, &self.definition, with, piece_bytes);
        if changed.is_new {
            // A group that is not whole is none.
            std::mem::swap(&mut all, &mut pieces);
        }
        all.append(&mut pieces);
        all.splice(0..0, removals);
        if all.iter().map(|piece| weights(piece)).sum::<usize>() <= piece_bytes {
            all = vec![all.concat()];
        }
        (all, Stored { done })
    }

    /// What was gathered is stored.
    pub(crate) fn stored(&mut self, now: Now, stored: Stored) {
        for (topic_id, done) in stored.done {
            self.pin(now, topic_id, done + 1);
        }
    }
}

/// Bytes that a piece takes in the journal at most.
pub(crate) fn weights(piece: &[(Bytes, Option<Bytes>)]) -> usize {
    piece.iter().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use sampan_protocol::{Class, Pattern};

    use super::super::Seek;
    use super::super::cursor::{Job, State};
    use super::super::record::BLOCK;
    use super::super::tried::FAILURES_MAX;
    use super::*;
    use crate::class::Rule;
    use crate::config::Limits;
    use crate::journal::PUT_BYTES_MAX;

    const TOPIC: u64 = 1;

    /// A group with names as long as they may be, and as many messages of one topic as it holds, each
    /// of which has failed as often as it may.
    fn worst() -> (Group, Now) {
        let mut now = Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 };
        let long = |letter: &str| Topic::parse(&letter.repeat(255)).expect("valid");
        let bounds = Bounds::from(&Limits::default());
        let definition = Definition {
            pattern: Pattern::parse(">").expect("valid"),
            order: sampan_protocol::control::GroupOrder::Any,
            ack_wait: Duration::MAX,
            attempts_max: u32::MAX,
            is_used: true,
            since_ms: 0,
            letters: 0,
            next_letter: 1,
        };
        let mut group = Group::new(long("g"), definition, bounds, 1);
        let rule = Arc::new(Rule::new(Pattern::parse(">").expect("valid"), Class::Durable));
        let entry = Arc::new(Entry { id: TOPIC, topic: long("t"), owner: 0, rule });
        let mut cursor = Cursor::new(entry);
        cursor.is_known = true;
        for offset in 2..bounds.ahead_count as u64 + 2 {
            let (attributes, payload) = (Bytes::new(), Bytes::new());
            let (time_ms, key, state, returned) = (u64::MAX, None, State::Ready, None);
            cursor.add(offset, Job { time_ms, attributes, payload, key, state, returned });
            let tried = cursor.note(offset);
            (tried.attempts, tried.due_ms) = (u32::MAX - u32::from(offset % 2 == 0), now.unix_ms);
        }
        cursor.end = bounds.ahead_count as u64 + 2;
        cursor.next = cursor.end;
        group.open_count = cursor.open.len();
        group.open_bytes = cursor.open.values().map(Job::bytes).sum();
        group.topics.insert(TOPIC, cursor);
        let user = Arc::from("u".repeat(128));
        for _ in 0..FAILURES_MAX {
            for offset in 2..bounds.ahead_count as u64 + 2 {
                now.unix_ms += 1;
                group.note_failure(now, TOPIC, offset, &user, &"r".repeat(256));
            }
        }
        (group, now)
    }

    /// Blocks in which a group of one topic has settled all messages but the first.
    const BLOCKS: u64 = 20_000;

    /// A group that has settled so much, with what is stored of it.
    fn far_ahead() -> (Group, Now, BTreeMap<Bytes, Bytes>) {
        let (mut group, now) = worst();
        let mut cursor = Cursor::new(group.topics[&TOPIC].entry.clone());
        (cursor.epoch, cursor.is_known, cursor.end) = (7, true, BLOCKS * BLOCK);
        cursor.next = cursor.end;
        cursor.settle(2, cursor.end - 1);
        group.topics.insert(TOPIC, cursor);
        (group.open_count, group.open_bytes) = (0, 0);
        group.changed.topics.insert(TOPIC);
        let mut disk = BTreeMap::new();
        group.gather(256 * 1024).0.into_iter().for_each(|piece| write(&mut disk, piece));
        (group, now, disk)
    }

    fn write(disk: &mut BTreeMap<Bytes, Bytes>, piece: Piece) {
        for (key, value) in piece {
            match value {
                Some(value) => disk.insert(key, value),
                None => disk.remove(&key),
            };
        }
    }

    /// The cursor as it comes back after a crash.
    fn restored(group: &Group, disk: &BTreeMap<Bytes, Bytes>) -> Cursor {
        let entry = &group.topics[&TOPIC].entry;
        let bounds = Bounds::from(&Limits::default());
        let mut back = Group::new(group.name.clone(), group.definition.clone(), bounds, 1);
        let place = &disk[&key::cursor(&group.name, &entry.topic)];
        assert!(back.restore_place(entry, place));
        for (key, value) in disk.iter().filter(|(key, _)| key.starts_with(key::BLOCKS.as_bytes())) {
            let number = key::parts(key).and_then(|parts| parts.2).expect("a number");
            assert!(back.restore_block(entry, number, value));
        }
        back.topics.remove(&TOPIC).expect("there")
    }

    /// What comes back of a group after each of some crashes between the pieces of a gathering, the
    /// first before it and the last after it.
    fn crashes(
        group: &mut Group,
        disk: &mut BTreeMap<Bytes, Bytes>,
        mut check: impl FnMut(Cursor),
    ) {
        let (pieces, _) = group.gather(256 * 1024);
        assert!(pieces.len() as u64 > BLOCKS);
        assert!(pieces.iter().all(|piece| weights(piece) <= 256 * 1024), "bounded pieces");
        let last = pieces.len() - 1;
        check(restored(group, disk));
        for (index, piece) in pieces.into_iter().enumerate() {
            write(disk, piece);
            if index % 4999 == 1 || index == last {
                check(restored(group, disk));
            }
        }
    }

    #[test]
    fn a_seek_over_many_blocks_is_stored_in_bounded_pieces_and_no_crash_settles_anything() {
        for to in [1, 2 * BLOCK] {
            let (mut group, now, mut disk) = far_ahead();
            group.seek(now, TOPIC, Seek::Offset(to)).expect("known");
            let mut last = None;
            crashes(&mut group, &mut disk, |cursor| {
                assert!(to > 1 || !cursor.is_settled(1), "never handed out");
                assert!(cursor.done == 0 || cursor.done >= to - 1);
                last = Some((cursor.done, cursor.settled.count()));
            });
            assert_eq!(last, Some((to - 1, 0)), "once all is stored");
        }
    }

    #[test]
    fn no_crash_lets_blocks_of_one_epoch_settle_messages_of_the_next() {
        let (mut group, now, mut disk) = far_ahead();
        group.restart(now, TOPIC, 8, 0);
        // A message of the new epoch is settled before anything is stored.
        let cursor = group.topics.get_mut(&TOPIC).expect("there");
        cursor.settle(5000, 5000);
        let mut epochs = Vec::new();
        crashes(&mut group, &mut disk, |cursor| {
            epochs.push(cursor.epoch);
            let settled = cursor.settled.count();
            assert!(cursor.epoch == 7 || settled == u64::from(cursor.is_settled(5000)));
            assert_eq!(cursor.done, 0);
        });
        assert!(epochs.is_sorted() && epochs.first() < epochs.last(), "{epochs:?}");
        assert!(restored(&group, &disk).is_settled(5000));
    }

    /// The failures in each block of these pieces.
    fn failures(pieces: &[Piece]) -> Vec<usize> {
        let count = |(key, value): &(Bytes, Option<Bytes>)| {
            let value = value.as_ref().filter(|_| key.starts_with(key::BLOCKS.as_bytes()))?;
            assert!(value.len() <= 64 * 1024, "{}", value.len());
            let number = key::parts(key)?.2?;
            let block = Block::decode(number, value).expect("as it was written");
            Some(block.tried.values().map(|tried| tried.failures.len()).sum())
        };
        pieces.iter().flatten().filter_map(count).collect()
    }

    #[test]
    fn a_block_gives_up_its_oldest_failures_rather_than_outgrow_a_segment() {
        let (mut group, _) = worst();
        let (pieces, _) = group.gather(256 * 1024);
        let failures = failures(&pieces);
        assert_eq!(failures.len(), 10);
        assert!(failures.iter().all(|count| (40..=82).contains(count)), "{failures:?}");
        assert!(pieces.iter().all(|piece| weights(piece) <= 256 * 1024));
        assert!(!group.has_changed());
    }

    #[test]
    fn no_piece_is_larger_than_what_the_smallest_segment_takes() {
        let (mut group, now) = worst();
        // The last for which there is room is one as large as can be.
        let cursor = group.topics.get_mut(&TOPIC).expect("there");
        let last = cursor.end - 1;
        for (_, job) in cursor.open.range_mut(100..200) {
            job.attributes = Bytes::from(vec![0; usize::from(u16::MAX)]);
            job.payload = Bytes::from(vec![0; 1 << 20]);
        }
        group.open_bytes = cursor.open.values().map(Job::bytes).sum();
        for offset in (2..=last).step_by(2) {
            group.condemn(now, TOPIC, offset);
        }
        assert!(group.definition.letters > 40, "{}", group.definition.letters);
        let (pieces, _) = group.gather(256 * 1024);
        let largest = pieces.iter().map(|piece| weights(piece)).max().expect("some");
        assert!(largest > 1 << 20, "a large letter is in it: {largest}");
        assert!(largest <= PUT_BYTES_MAX, "{largest}");
    }
}
