//! What each reader was given of each topic: in order, once, intact, and with every jump announced.

use std::collections::{BTreeMap, BTreeSet};

use sampan_protocol::Class;
use sampan_protocol::control::{GapReason, Start};
use sampan_protocol::limits::NUMBER_MAX;

use super::{Rules, class, is_datagram, is_shared};
use crate::history::{History, Id, ReaderNumber, TopicNumber, What};

/// What one reader has of one topic in one epoch.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Messages by rising offset.
    pub(crate) messages: Vec<(u64, Id)>,
    /// Gaps as they came.
    pub(crate) gaps: Vec<(u64, u64, GapReason)>,
}

impl Seen {
    /// The message at this offset.
    pub(crate) fn at(&self, offset: u64) -> Option<Id> {
        let at = self.messages.binary_search_by_key(&offset, |(offset, _)| *offset).ok()?;
        Some(self.messages[at].1)
    }

    /// The first offset that was given or announced as missing.
    pub(crate) fn first(&self) -> Option<u64> {
        let message = self.messages.first().map(|(offset, _)| *offset);
        message.into_iter().chain(self.gaps.first().map(|gap| gap.0)).min()
    }

    /// Why there is none.
    pub(crate) fn gap_at(&self, offset: u64) -> Option<GapReason> {
        let holds = |gap: &&(u64, u64, GapReason)| (gap.0..=gap.1).contains(&offset);
        self.gaps.iter().find(holds).map(|gap| gap.2)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) seen: BTreeMap<(ReaderNumber, TopicNumber, u64), Seen>,
    /// Where in the history each subscription was confirmed, and for one topic after what.
    pub(crate) joined: BTreeMap<ReaderNumber, usize>,
    pub(crate) positions: BTreeMap<ReaderNumber, (u64, u64)>,
    /// Subscriptions that have ended.
    pub(crate) left: BTreeSet<ReaderNumber>,
}

const JUMP: &str = "a jump ahead of a gap";

/// Where a reader stands in a topic.
#[derive(Debug, Default)]
struct Cursor {
    epoch: u64,
    /// The offset that follows, once one is known.
    next: Option<u64>,
    /// Offsets of which only the newest of each key follow.
    free: Option<(u64, u64)>,
    /// Whether a gap to the end of all offsets has ended the epoch.
    ended: bool,
}

/// What all readers were given, and what is wrong with it.
pub(super) fn read(history: &History, rules: &Rules) -> (Streams, Vec<String>) {
    let (mut streams, mut wrong) = (Streams::default(), Vec::new());
    let mut cursors: BTreeMap<(ReaderNumber, TopicNumber), Cursor> = BTreeMap::new();
    for (index, record) in history.records.iter().enumerate() {
        let (reader, topic, found) = match &record.what {
            What::Joined { reader, position } => {
                streams.joined.insert(*reader, index);
                streams.positions.extend(position.map(|position| (*reader, position)));
                begin(history, rules, *reader, *position, &mut cursors);
                continue;
            }
            What::Left { reader } | What::Ended { reader, .. } => {
                streams.left.insert(*reader);
                continue;
            }
            What::Closed { seat, .. } => {
                let own = (0..).zip(&history.readers).filter(|(_, reader)| reader.seat == *seat);
                streams.left.extend(own.map(|(number, _)| number));
                continue;
            }
            What::Message { reader, topic, epoch, offset, id } => {
                let cursor = cursors.entry((*reader, *topic)).or_default();
                let lanes = !is_silent(history, rules, *reader, *topic);
                let durable = class(history, rules, *topic) == Class::Durable;
                let found = cursor.message(*epoch, *offset, lanes, durable);
                if let Some(id) = id {
                    let seen = streams.seen.entry((*reader, *topic, *epoch)).or_default();
                    seen.messages.push((*offset, *id));
                }
                let damaged = id.is_none().then_some("a damaged message");
                (*reader, *topic, damaged.or(found))
            }
            What::Gap { reader, topic, epoch, from, to, reason } => {
                let seen = streams.seen.entry((*reader, *topic, *epoch)).or_default();
                seen.gaps.push((*from, *to, *reason));
                let cursor = cursors.entry((*reader, *topic)).or_default();
                let class = class(history, rules, *topic);
                let silent = is_silent(history, rules, *reader, *topic);
                let found = cursor.gap(*epoch, (*from, *to), *reason, class);
                let found = found.filter(|found| !(silent && *found == JUMP));
                (*reader, *topic, found)
            }
            _ => continue,
        };
        let late = streams.left.contains(&reader).then_some("told after it had left");
        if let Some(found) = found.or(late) {
            let topic = &history.topics[topic as usize];
            let what = &record.what;
            wrong.push(format!("{:?} reader {reader} of {topic}: {found}: {what:?}", record.at));
        }
    }
    (streams, wrong)
}

/// Whether offsets may be missing without a gap that the reader is told: the network loses datagrams
/// without a word, and what was conflated may have been told before the reader came to its client's
/// others.
fn is_silent(history: &History, rules: &Rules, reader: ReaderNumber, topic: TopicNumber) -> bool {
    let values = class(history, rules, topic) == Class::Latest;
    is_datagram(history, rules, topic) || (values && is_shared(history, reader, topic))
}

/// A reader of one topic that asked for what comes next starts behind its join point.
fn begin(
    history: &History,
    rules: &Rules,
    reader: ReaderNumber,
    position: Option<(u64, u64)>,
    cursors: &mut BTreeMap<(ReaderNumber, TopicNumber), Cursor>,
) {
    let subscribed = &history.readers[reader as usize];
    let (Some((epoch, offset)), Start::Now) = (position, &subscribed.start) else { return };
    let Some(name) = subscribed.pattern.as_topic() else { return };
    let Some(topic) = history.topics.iter().position(|topic| *topic == name) else { return };
    let topic = TopicNumber::try_from(topic).expect("few topics");
    if class(history, rules, topic) == Class::Latest {
        return;
    }
    // A message may overtake the confirmation.
    cursors.entry((reader, topic)).or_insert(Cursor {
        epoch,
        next: Some(offset + 1),
        ..Cursor::default()
    });
}

impl Cursor {
    fn message(
        &mut self,
        epoch: u64,
        offset: u64,
        lanes: bool,
        durable: bool,
    ) -> Option<&'static str> {
        let mut found = None;
        if epoch < self.epoch {
            return Some("an earlier epoch");
        }
        if epoch > self.epoch {
            if durable && self.next.is_some() && !self.ended {
                found = Some("a new epoch without a gap");
            }
            *self = Cursor { epoch, ..Cursor::default() };
        }
        let next = self.next.unwrap_or(offset);
        let free = self.free.is_some_and(|(from, to)| from <= next && offset <= to + 1);
        if offset < next {
            return Some("out of order, or twice");
        }
        if offset > next && lanes && !free {
            found = Some("a jump without a gap");
        }
        self.next = Some(offset + 1);
        found
    }

    fn gap(
        &mut self,
        epoch: u64,
        (from, to): (u64, u64),
        reason: GapReason,
        class: Class,
    ) -> Option<&'static str> {
        if to < from {
            return Some("a gap of nothing");
        }
        let fits = match class {
            Class::Durable => !matches!(reason, GapReason::SlowReader | GapReason::Conflated),
            Class::Latest => reason != GapReason::SlowReader,
            Class::Ephemeral => reason != GapReason::Conflated,
        };
        if !fits {
            return Some("a gap of a reason that the class does not have");
        }
        if epoch < self.epoch {
            return Some("a gap of an epoch that has ended");
        }
        if epoch > self.epoch {
            *self = Cursor { epoch, ..Cursor::default() };
        }
        if reason == GapReason::Conflated {
            self.free = Some(self.free.map_or((from, to), |(a, b)| (a.min(from), b.max(to))));
            return None;
        }
        let next = self.next.unwrap_or(from);
        let free = self.free.is_some_and(|(start, end)| start <= next && from <= end + 1);
        self.next = Some(to.saturating_add(1));
        self.ended = to >= NUMBER_MAX;
        if from < next {
            return Some("a gap of what was given before");
        }
        (from > next && !free).then_some(JUMP)
    }
}
