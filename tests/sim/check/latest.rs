//! Whether every reader of a `latest` topic ends with the newest value of every key that the broker
//! has kept.

use std::collections::BTreeMap;

use sampan_protocol::control::Start;
use sampan_protocol::{AckLevel, Class};

use super::{Facts, Place, Rules, Streams, class, faithful, is_shared};
use crate::history::{History, Id, TopicNumber};

pub(super) fn check(
    history: &History,
    rules: &Rules,
    facts: &Facts,
    streams: &Streams,
) -> Vec<String> {
    let newest = newest(history, rules, facts, streams);
    let mut wrong = Vec::new();
    for (reader, joined) in faithful(history, streams) {
        let subscribed = &history.readers[reader as usize];
        for ((topic, key), (id, place)) in &newest {
            let name = &history.topics[*topic as usize];
            // Who starts later than with all that is kept is owed what comes after its join.
            let called = facts.called.get(id).map_or(0, |called| called.index);
            let replayed = subscribed.start == Start::Now && !is_shared(history, reader, *topic);
            let owed = replayed || called > joined;
            if !owed || !subscribed.pattern.matches(name) {
                continue;
            }
            let seen = streams.seen.get(&(reader, *topic, place.epoch));
            if seen.and_then(|seen| seen.at(place.offset)).is_none() {
                let at = format!("{}:{}", place.epoch, place.offset);
                wrong.push(format!("reader {reader} of {name} lacks {id:?}, last of k{key}, {at}"));
            }
        }
    }
    wrong
}

/// The last value of every key in the last epoch of its topic, by what was acknowledged, and by what
/// anybody has seen of publishes that wanted no ack.
fn newest(
    history: &History,
    rules: &Rules,
    facts: &Facts,
    streams: &Streams,
) -> BTreeMap<(TopicNumber, u32), (Id, Place)> {
    let acked = facts.acked.iter().filter(|(_, acked)| !acked.stale);
    let acked = acked.map(|(id, acked)| (*id, acked.place));
    let seen = streams.seen.iter().flat_map(|((_, topic, epoch), seen)| {
        let place = |offset| Place { topic: *topic, epoch: *epoch, offset };
        seen.messages.iter().map(move |(offset, id)| (*id, place(*offset)))
    });
    let mut newest: BTreeMap<(TopicNumber, u32), (Id, Place)> = BTreeMap::new();
    let mut epochs: BTreeMap<TopicNumber, u64> = BTreeMap::new();
    for (id, place) in acked.chain(seen) {
        if class(history, rules, place.topic) != Class::Latest {
            continue;
        }
        let epoch = epochs.entry(place.topic).or_default();
        *epoch = place.epoch.max(*epoch);
        let key = facts.called.get(&id).map_or(0, |called| called.key);
        let kept = newest.entry((place.topic, key)).or_insert((id, place));
        if place > kept.1 {
            *kept = (id, place);
        }
    }
    // What was no more than routed may also have failed to be stored before a crash.
    let forgotten = |id: &Id, place: &Place| {
        let called = facts.called.get(id).map_or(0, |called| called.index);
        let weak = facts.acked.get(id).is_none_or(|acked| acked.level == AckLevel::Routed);
        let crashed = facts.crashes.iter().any(|(at, _)| *at > called);
        (weak && crashed) || facts.is_lost(place.topic, place.offset)
    };
    newest.retain(|(topic, _), (id, place)| {
        epochs.get(topic) == Some(&place.epoch) && !forgotten(id, place)
    });
    newest
}
