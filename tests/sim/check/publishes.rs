//! What became of every publish: settled, stored once, under one offset, in the order of its
//! publisher, and known to all as the same message.

use std::collections::{BTreeMap, BTreeSet};

use sampan_protocol::{AckLevel, Class, Topic};

use super::{Acked, Facts, Place, Rules, Streams, class};
use crate::history::{History, Id, What};

pub(super) fn check(
    history: &History,
    rules: &Rules,
    facts: &Facts,
    streams: &Streams,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let (refused, closed) = (refused(history), closed(history));
    for (id, called) in &facts.called {
        let waits = called.wants_ack && !closed.contains(&id.seat);
        if waits && !facts.acked.contains_key(id) && !refused.contains_key(id) {
            wrong.push(format!("{id:?} was neither acknowledged nor refused"));
        }
    }
    let places = places(facts, streams, &mut wrong);
    for (id, found) in &places {
        // A message that a crash took may be stored once more.
        let lost = found.iter().filter(|place| facts.is_lost(place.topic, place.offset)).count();
        let Some(called) = facts.called.get(id) else {
            wrong.push(format!("{id:?} was never published, and stands at {found:?}"));
            continue;
        };
        if found.iter().any(|place| place.topic != called.topic) {
            wrong.push(format!("{id:?} was published to another topic: {found:?}"));
        }
        if refused.get(id).is_some_and(|may_have_happened| !may_have_happened) {
            wrong.push(format!("{id:?} was refused for sure, and stands at {found:?}"));
        }
        let settled = facts.acked.get(id).map_or(usize::MAX, |acked| acked.index);
        let class = class(history, rules, called.topic);
        let chances = repeats(history, rules, *id, called.index, settled, class);
        if found.len() > 1 + lost + chances {
            wrong.push(format!("{id:?} was stored {} times: {found:?}", found.len()));
        }
    }
    wrong.extend(order(history, facts));
    wrong.extend(levels(history, rules, facts));
    wrong.extend(visible(history, rules, facts, streams));
    wrong
}

/// Publishes that were refused, with whether they may have happened all the same.
fn refused(history: &History) -> BTreeMap<Id, bool> {
    let refused = history.records.iter().filter_map(|record| match &record.what {
        What::Refused { id, may_have_happened, .. } => Some((*id, *may_have_happened)),
        _ => None,
    });
    refused.collect()
}

/// Clients that did not wait for what became of their publishes.
fn closed(history: &History) -> BTreeSet<u32> {
    let closed = history.records.iter().filter_map(|record| match &record.what {
        What::Closed { seat, .. } => Some(*seat),
        _ => None,
    });
    closed.collect()
}

/// Where each message stands, by acks and by what readers were given. One offset of one epoch is
/// one message, for everybody and for ever.
fn places(
    facts: &Facts,
    streams: &Streams,
    wrong: &mut Vec<String>,
) -> BTreeMap<Id, BTreeSet<Place>> {
    let mut held: BTreeMap<Place, Id> = BTreeMap::new();
    let mut places: BTreeMap<Id, BTreeSet<Place>> = BTreeMap::new();
    // The offset in a stale ack is the kept value's.
    let acks = facts.acked.iter().filter(|(_, acked)| !acked.stale);
    let acks = acks.map(|(id, acked)| (acked.place, *id));
    let messages = streams.seen.iter().flat_map(|((_, topic, epoch), seen)| {
        let place = |offset| Place { topic: *topic, epoch: *epoch, offset };
        seen.messages.iter().map(move |(offset, id)| (place(*offset), *id))
    });
    for (place, id) in acks.chain(messages) {
        let holder = *held.entry(place).or_insert(id);
        if holder != id {
            wrong.push(format!("{place:?} is both {holder:?} and {id:?}"));
        }
        places.entry(id).or_default().insert(place);
    }
    places
}

/// How often the message may have been sent again to a broker that could not know the first one:
/// topics without memory forget at once, the others when a broker without a disk crashes.
fn repeats(
    history: &History,
    rules: &Rules,
    id: Id,
    from: usize,
    to: usize,
    class: Class,
) -> usize {
    let while_open = &history.records[from..to.min(history.records.len())];
    let forgets = while_open.iter().filter(|record| match (&record.what, class) {
        (What::Live { seat }, Class::Ephemeral) => *seat == id.seat,
        (What::Crashed { .. }, _) => rules.best == AckLevel::Routed || class == Class::Ephemeral,
        _ => false,
    });
    forgets.count()
}

/// Messages of one publisher stand in each topic in the order in which they were published.
fn order(history: &History, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut last: BTreeMap<(u32, u32, u64), (usize, Id, u64)> = BTreeMap::new();
    let mut acked: Vec<(usize, Id, Acked)> = Vec::new();
    for (id, ack) in facts.acked.iter().filter(|(_, ack)| !ack.stale) {
        if let Some(called) = facts.called.get(id) {
            acked.push((called.index, *id, *ack));
        }
    }
    acked.sort_by_key(|(index, _, _)| *index);
    for (index, id, Acked { place, .. }) in acked {
        let key = (id.seat, place.topic, place.epoch);
        let before = last.insert(key, (index, id, place.offset));
        if let Some((_, earlier, offset)) = before.filter(|(_, _, offset)| *offset >= place.offset)
        {
            let topic: &Topic = &history.topics[place.topic as usize];
            let at = place.offset;
            wrong.push(format!("{id:?} at {at} of {topic} follows {earlier:?} at {offset}"));
        }
    }
    wrong
}

/// No ack names more than was asked for or than there is, nor less than was asked for.
fn levels(history: &History, rules: &Rules, facts: &Facts) -> Vec<String> {
    let mut wrong = Vec::new();
    for record in &history.records {
        let What::Called { id, topic, level, .. } = &record.what else { continue };
        let Some(acked) = facts.acked.get(id) else { continue };
        let ephemeral = class(history, rules, *topic) == Class::Ephemeral;
        let best = if ephemeral { AckLevel::Routed } else { rules.best };
        if acked.level > best || level.is_some_and(|asked| acked.level < asked) {
            // A repeat is told what is true of the first one at least.
            let repeat = history
                .records
                .get(acked.index)
                .is_some_and(|record| matches!(record.what, What::Acked { duplicate: true, .. }));
            if acked.level > best || !repeat {
                wrong.push(format!("{id:?} asked for {level:?} and was told {:?}", acked.level));
            }
        }
    }
    wrong
}

/// Nobody is shown what a crash takes back, unless nothing survives a crash.
fn visible(history: &History, rules: &Rules, facts: &Facts, streams: &Streams) -> Vec<String> {
    let mut wrong = Vec::new();
    if rules.best <= AckLevel::Logged {
        return wrong;
    }
    for ((reader, topic, _), seen) in &streams.seen {
        if class(history, rules, *topic) != Class::Durable {
            continue;
        }
        for (offset, id) in seen.messages.iter().filter(|(at, _)| facts.is_lost(*topic, *at)) {
            let topic = &history.topics[*topic as usize];
            wrong.push(format!("reader {reader} saw {id:?} at {offset} of {topic}, then lost"));
        }
    }
    wrong
}
