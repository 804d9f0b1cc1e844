//! Whether readers have everything: each acknowledged message of a durable or an ephemeral topic
//! reaches every reader that was there, or a gap says that it does not and has a reason to.

use std::collections::BTreeMap;
use std::ops::Range;

use sampan_protocol::control::{GapReason, Start};
use sampan_protocol::limits::NUMBER_MAX;
use sampan_protocol::{AckLevel, Class};

use super::{Acked, Facts, Place, Rules, Streams, class, faithful, is_datagram, is_shared};
use crate::history::{History, Id, Reader, ReaderNumber, TopicNumber, What};

pub(super) fn check(
    history: &History,
    rules: &Rules,
    facts: &Facts,
    streams: &Streams,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut by_topic: BTreeMap<TopicNumber, Vec<(Id, Acked)>> = BTreeMap::new();
    for (id, acked) in facts.acked.iter().filter(|(_, acked)| !acked.stale) {
        by_topic.entry(acked.place.topic).or_default().push((*id, *acked));
    }
    for (reader, joined) in faithful(history, streams) {
        let Reader { pattern, .. } = &history.readers[reader as usize];
        let topics = by_topic.iter().filter(|(topic, _)| {
            let class = class(history, rules, **topic);
            let told = class != Class::Latest && !is_datagram(history, rules, **topic);
            told && pattern.matches(&history.topics[**topic as usize])
        });
        for (topic, acked) in topics {
            let ephemeral = class(history, rules, *topic) == Class::Ephemeral;
            let owed = Owed { history, rules, facts, streams, reader, joined, ephemeral };
            wrong.extend(acked.iter().filter_map(|(id, acked)| owed.missing(*id, acked)));
        }
    }
    wrong
}

/// What one reader is owed of one topic.
struct Owed<'a> {
    history: &'a History,
    rules: &'a Rules,
    facts: &'a Facts,
    streams: &'a Streams,
    reader: ReaderNumber,
    /// Where in the history its subscription was confirmed.
    joined: usize,
    ephemeral: bool,
}

impl Owed<'_> {
    /// What is wrong with this message for the reader.
    fn missing(&self, id: Id, acked: &Acked) -> Option<String> {
        let place = acked.place;
        if !self.owes(id, acked) {
            return None;
        }
        let seen = self.streams.seen.get(&(self.reader, place.topic, place.epoch));
        if seen.and_then(|seen| seen.at(place.offset)).is_some() {
            // That it is the same message is checked for everybody at once.
            return None;
        }
        let gap = seen.and_then(|seen| seen.gap_at(place.offset)).or_else(|| self.passed_by(acked));
        let excused = match gap {
            None => {
                let silent = self.is_unheard_of(acked) || self.is_last(acked);
                silent && self.may_be_lost(id, acked)
            }
            // A broker that has crashed no longer knows that an offset was lost to its disk before.
            Some(GapReason::NeverUsed) => {
                self.facts.faulty && self.is_weak(acked) && self.may_be_lost(id, acked)
            }
            // No disk here damages what it holds.
            Some(GapReason::Conflated | GapReason::Damaged) => false,
            Some(GapReason::UnsyncedLost) => self.may_be_lost(id, acked),
            // What a class without history does not keep, or what a slow reader of one lost.
            Some(GapReason::SlowReader | GapReason::Retention) => self.ephemeral,
        };
        (!excused).then(|| {
            let Reader { seat, pattern, .. } = &self.history.readers[self.reader as usize];
            let topic = &self.history.topics[place.topic as usize];
            let (epoch, offset) = (place.epoch, place.offset);
            let why = gap.map_or("without a word", GapReason::name);
            let who = format!("reader {} ({pattern} on seat {seat})", self.reader);
            format!("{who} lacks {id:?} at {epoch}:{offset} of {topic}: {why}")
        })
    }

    /// The gap that ended an earlier epoch, for a message of an epoch that began and ended while the
    /// reader was away.
    fn passed_by(&self, acked: &Acked) -> Option<GapReason> {
        let Place { topic, epoch, .. } = acked.place;
        let of = |epochs: Range<u64>| {
            let [from, to] = [epochs.start, epochs.end].map(|epoch| (self.reader, topic, epoch));
            self.streams.seen.range(from..to)
        };
        if of(epoch..epoch + 1).next().is_some() {
            return None;
        }
        let mut earlier = of(0..epoch).flat_map(|(_, seen)| &seen.gaps);
        earlier.find(|gap| gap.1 == NUMBER_MAX).map(|gap| gap.2)
    }

    /// Whether nobody has seen a later message in the epoch: what is missing at the end of a topic is
    /// told with the next message.
    fn is_last(&self, acked: &Acked) -> bool {
        let Place { topic, epoch, offset } = acked.place;
        let streams = self.streams.seen.iter().filter(|((_, t, e), _)| (*t, *e) == (topic, epoch));
        streams.filter_map(|(_, seen)| seen.messages.last()).all(|(last, _)| *last < offset)
    }

    /// Whether the reader of a pattern, or of all since a time, has heard nothing of the topic before
    /// the message, so that it has no position of which it could be told what is missing behind it.
    fn is_unheard_of(&self, acked: &Acked) -> bool {
        let Place { topic, epoch, offset } = acked.place;
        let [from, to] = [0, epoch + 1].map(|epoch| (self.reader, topic, epoch));
        let since = matches!(self.history.readers[self.reader as usize].start, Start::Since(_));
        let position = self.streams.positions.contains_key(&self.reader);
        let mut heard = self.streams.seen.range(from..to);
        (since || !position)
            && heard.all(|((_, _, of), seen)| {
                *of == epoch && seen.first().is_none_or(|first| first > offset)
            })
    }

    /// Whether the message comes after the reader's join, by offset or, for a pattern, because it
    /// was published when the reader had been confirmed.
    fn owes(&self, id: Id, acked: &Acked) -> bool {
        let Reader { start, .. } = &self.history.readers[self.reader as usize];
        let Place { epoch, offset, .. } = acked.place;
        // Who resumes by a time, and not behind a position, is told nothing of what was not kept.
        let timed = self.ephemeral && matches!(start, Start::Since(_));
        let position = self.streams.positions.get(&self.reader).filter(|_| !timed);
        if let Some((joined, at)) = position {
            let replayed = match start {
                Start::Last(count)
                    if !self.ephemeral
                        && !is_shared(self.history, self.reader, acked.place.topic) =>
                {
                    u64::from(*count)
                }
                _ => 0,
            };
            return epoch > *joined || (epoch == *joined && offset > at.saturating_sub(replayed));
        }
        let called = self.facts.called.get(&id).map_or(0, |called| called.index);
        called > self.joined && (!self.ephemeral || self.follows(called, acked))
    }

    /// Whether the reader of a pattern knew of an ephemeral topic when the message came: it had
    /// heard of it, or it had a session all the time.
    fn follows(&self, called: usize, acked: &Acked) -> bool {
        let Place { topic, epoch, offset } = acked.place;
        if let Some(seen) = self.streams.seen.get(&(self.reader, topic, epoch)) {
            return seen.first().is_some_and(|first| first < offset);
        }
        let Reader { seat, .. } = &self.history.readers[self.reader as usize];
        let away = |what: &What| matches!(what, What::Away { seat: other, .. } if other == seat);
        let records = &self.history.records;
        let lost = records[called..].iter().any(|record| away(&record.what));
        let live = records[..called].iter().rev().find_map(|record| match &record.what {
            What::Live { seat: other } if other == seat => Some(true),
            What::Away { seat: other, .. } if other == seat => Some(false),
            _ => None,
        });
        live == Some(true) && !lost
    }

    /// Whether a crash or a failing disk may have taken a message that was acknowledged like this.
    fn may_be_lost(&self, id: Id, acked: &Acked) -> bool {
        // The ack may have been on its way while the broker crashed.
        let called = self.facts.called.get(&id).map_or(0, |called| called.index);
        let crashed = self.facts.crashes.iter().any(|(at, _)| *at > called);
        let gone = crashed || (self.facts.faulty && !self.ephemeral);
        gone && (self.ephemeral || self.is_weak(acked))
    }

    /// Whether the ack promised nothing for a crash: less than what the disks give, or disks that
    /// give nothing.
    fn is_weak(&self, acked: &Acked) -> bool {
        acked.level < self.rules.best || self.rules.best == AckLevel::Routed
    }
}
