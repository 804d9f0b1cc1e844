//! What damage has taken of each topic.

use sampan_core::journal::Hole;

use crate::api::Damage;
use crate::recover::Found;
use crate::state::State;

/// A place in the log.
type At = (u64, u64);

/// Marks what damage took of each topic; the topics of which it may have taken the end.
pub(crate) fn find_damage<F>(state: &mut State<F>, found: &Found<F>) -> Vec<u32> {
    if found.damaged.is_empty() {
        return Vec::new();
    }
    let within = |low: u64, high: u64| found.damaged.iter().any(|d| (low..=high).contains(d));
    let last = end_of_unknown(state, found);
    let newest = newest_values(state);
    let (mut unnamed, mut cut) = (Vec::new(), Vec::new());
    for ((number, topic), newest) in state.topics.iter_mut().zip(newest) {
        let (mut holes, mut next, mut segment) = (Vec::new(), topic.floor, 0);
        for extent in topic.extents.values().filter(|extent| !extent.is_bare()) {
            let (before, after) = (extent.segment.min(segment), extent.segment.max(segment));
            if extent.total.from > next && within(before, after) {
                holes.push(Hole { from: next, to: extent.total.from - 1 });
            }
            (next, segment) = (next.max(extent.total.to + 1), extent.segment);
        }
        for hole in holes {
            apart(hole, &topic.lost).into_iter().for_each(|hole| topic.damage(hole));
        }
        let ends = topic.extents.values();
        let ends = ends.map(|extent| (extent.segment, extent.total.at + extent.total.length));
        if last > ends.max().unwrap_or_default().max(newest) {
            cut.push(number);
        }
        if topic.name.is_none() {
            unnamed.extend(topic.extents.values().map(|extent| extent.segment));
        }
    }
    for segment in unnamed {
        let what = "messages of a topic whose declaration is lost";
        state.damage(Damage { segment, at: 0, bytes: 0, what });
    }
    cut
}

/// Where the last damage ends of which no index tells what it took.
fn end_of_unknown<F>(state: &State<F>, found: &Found<F>) -> At {
    let unknown = state.damaged.iter().filter(|d| !found.indexed.contains(&d.segment));
    let end = |d: &Damage| (d.segment, if d.bytes == 0 { u64::MAX } else { d.at + d.bytes });
    unknown.map(end).max().unwrap_or_default()
}

/// Where the newest message of each topic of kept values is.
fn newest_values<F>(state: &State<F>) -> Vec<At> {
    let newest = state.topics.iter().map(|(_, topic)| {
        let values = topic.newest.values().filter_map(|key| state.values.get(key));
        values.map(|value| (value.place.segment, value.place.at)).max().unwrap_or_default()
    });
    newest.collect()
}

/// The parts of a range that are in none of the others.
pub(crate) fn apart(range: Hole, others: &[Hole]) -> Vec<Hole> {
    let (mut out, mut from) = (Vec::new(), range.from);
    for other in others.iter().filter(|other| other.to >= range.from && other.from <= range.to) {
        if other.from > from {
            out.push(Hole { from, to: other.from - 1 });
        }
        from = from.max(other.to + 1);
    }
    if from <= range.to {
        out.push(Hole { from, to: range.to });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_apart_from_others_is_what_none_of_them_has() {
        let hole = |(from, to)| Hole { from, to };
        let others = [(2, 3), (6, 6), (9, 20)].map(hole);
        assert_eq!(apart(hole((1, 10)), &others), [(1, 1), (4, 5), (7, 8)].map(hole));
        assert_eq!(apart(hole((9, 10)), &others), []);
        assert_eq!(apart(hole((4, 5)), &[]), [hole((4, 5))]);
    }
}
