//! Whether readers have everything: each acknowledged message of a durable or an ephemeral topic
//! reaches every reader that was there, or a gap says that it does not and has a reason to.

use std::collections::BTreeMap;

use sampan_protocol::control::{GapReason, Start};
use sampan_protocol::{AckLevel, Class};

use super::{Acked, Facts, Rules, Streams, class, faithful, is_datagram};
use crate::history::{History, Id, Reader, ReaderNumber, TopicNumber};

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
        let gap = seen.and_then(|seen| seen.gap_at(place.offset));
        let excused = match gap {
            None | Some(GapReason::NeverUsed | GapReason::Conflated) => false,
            Some(GapReason::UnsyncedLost) => self.may_be_lost(acked),
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

    /// Whether the message comes after the reader's join, by offset or, for a pattern, because it
    /// was published when the reader had been confirmed.
    fn owes(&self, id: Id, acked: &Acked) -> bool {
        let Reader { start, .. } = &self.history.readers[self.reader as usize];
        match (self.streams.positions.get(&self.reader), start) {
            (Some((epoch, offset)), _) if *epoch == acked.place.epoch => {
                let replayed = if let Start::Last(count) = start { u64::from(*count) } else { 0 };
                acked.place.offset > offset.saturating_sub(replayed)
            }
            // A later epoch is owed as a whole where it is kept.
            (Some((epoch, _)), _) if *epoch < acked.place.epoch && !self.ephemeral => true,
            _ => {
                let called = self.facts.called.get(&id).map_or(0, |called| called.index);
                called > self.joined && (!self.ephemeral || self.is_present(called, acked))
            }
        }
    }

    /// Whether nothing happened between the call and the ack of an ephemeral message that could
    /// have let its topic begin anew.
    fn is_present(&self, called: usize, acked: &Acked) -> bool {
        !self.facts.crashes.iter().any(|(at, _)| (called..=acked.index).contains(at))
    }

    /// Whether a crash may have taken a message that was acknowledged like this.
    fn may_be_lost(&self, acked: &Acked) -> bool {
        let crashed = self.facts.crashes.iter().any(|(at, _)| *at > acked.index);
        let crashed = crashed || self.facts.is_lost(acked.place.topic, acked.place.offset);
        let survives = acked.level >= AckLevel::Synced && self.rules.best >= AckLevel::Synced;
        crashed && (self.ephemeral || !survives)
    }
}
