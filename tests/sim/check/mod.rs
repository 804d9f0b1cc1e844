//! The checker: what every history must satisfy, whatever went wrong on the way.
//!
//! It reads the history alone and shares no code with the broker. `tests` holds histories that
//! cheat, each of which it has to catch.

mod complete;
mod latest;
mod publishes;
mod requests;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use sampan_core::class::Table;
use sampan_protocol::{AckLevel, Class};

use self::streams::Streams;
use crate::history::{History, Id, ReaderNumber, TopicNumber, What};

/// What holds for the broker that was under test.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) classes: Table,
    /// What its journals give. Whatever was acknowledged with this survives a crash.
    pub(crate) best: AckLevel,
}

/// Everything that is wrong with the history, as far as it has come to rest.
pub(crate) fn check(history: &History, rules: &Rules) -> Vec<String> {
    let (streams, mut wrong) = streams::read(history, rules);
    let facts = Facts::of(history);
    wrong.extend(publishes::check(history, rules, &facts, &streams));
    wrong.extend(complete::check(history, rules, &facts, &streams));
    wrong.extend(latest::check(history, rules, &facts, &streams));
    wrong.extend(requests::check(history));
    wrong
}

/// A message's place in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) topic: TopicNumber,
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
}

/// What was given to a session to publish.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called {
    /// Its place in the history.
    pub(crate) index: usize,
    pub(crate) topic: TopicNumber,
    pub(crate) key: u32,
    pub(crate) wants_ack: bool,
}

/// What an ack said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) index: usize,
    pub(crate) place: Place,
    pub(crate) level: AckLevel,
    pub(crate) stale: bool,
}

/// What a crash took: topic, first and last offset.
pub(crate) type Gone = (TopicNumber, u64, u64);

/// What is known of all messages.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) called: BTreeMap<Id, Called>,
    pub(crate) acked: BTreeMap<Id, Acked>,
    /// Whether disks failed.
    pub(crate) faulty: bool,
    /// Where in the history the broker crashed, and what was gone.
    pub(crate) crashes: Vec<(usize, Vec<Gone>)>,
}

impl Facts {
    fn of(history: &History) -> Self {
        let mut facts = Facts::default();
        for (index, record) in history.records.iter().enumerate() {
            match &record.what {
                What::Called { id, topic, key, wants_ack, .. } => {
                    let (topic, key, wants_ack) = (*topic, *key, *wants_ack);
                    facts.called.insert(*id, Called { index, topic, key, wants_ack });
                }
                What::Acked { id, epoch, offset, level, stale, .. } => {
                    let Some(called) = facts.called.get(id) else { continue };
                    let place = Place { topic: called.topic, epoch: *epoch, offset: *offset };
                    let (level, stale) = (*level, *stale);
                    facts.acked.insert(*id, Acked { index, place, level, stale });
                }
                What::Faulty => facts.faulty = true,
                What::Crashed { lost } => facts.crashes.push((index, lost.clone())),
                _ => {}
            }
        }
        facts
    }

    /// Whether a crash took this offset.
    fn is_lost(&self, topic: TopicNumber, offset: u64) -> bool {
        let takes =
            |lost: &(TopicNumber, u64, u64)| lost.0 == topic && (lost.1..=lost.2).contains(&offset);
        self.crashes.iter().any(|(_, lost)| lost.iter().any(takes))
    }
}

/// The topic's class.
fn class(history: &History, rules: &Rules, topic: TopicNumber) -> Class {
    rules.classes.rule(&history.topics[topic as usize]).class
}

/// Whether the topic's messages may travel as datagrams, which the network loses without a word.
fn is_datagram(history: &History, rules: &Rules, topic: TopicNumber) -> bool {
    rules.classes.rule(&history.topics[topic as usize]).datagrams
}

/// Readers whose subscription stood to the end, with where in the history it was confirmed.
fn faithful(history: &History, streams: &Streams) -> Vec<(u32, usize)> {
    let numbers = 0..u32::try_from(history.readers.len()).expect("few readers");
    let stood = numbers.filter(|reader| !streams.left.contains(reader));
    stood.filter_map(|reader| Some((reader, *streams.joined.get(&reader)?))).collect()
}

/// Whether another reader of the same client gets the topic: what flows to a session already is not
/// replayed for one subscription more.
fn is_shared(history: &History, reader: ReaderNumber, topic: TopicNumber) -> bool {
    let topic = &history.topics[topic as usize];
    let seat = history.readers[reader as usize].seat;
    let own = history.readers.iter().filter(|reader| reader.seat == seat);
    own.filter(|reader| reader.pattern.matches(topic)).count() > 1
}
