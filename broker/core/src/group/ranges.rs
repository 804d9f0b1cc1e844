//! A set of offsets, kept as ranges.

use std::collections::BTreeMap;

/// Offsets, as first and last of each run of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds `from..=to`.
    pub(crate) fn insert(&mut self, from: u64, to: u64) {
        if from > to {
            return;
        }
        let (mut from, mut to) = (from, to);
        // From the one that reaches up to `from` on, all that touch become one.
        while let Some((&first, &last)) = self.0.range(..=to.saturating_add(1)).next_back() {
            if last.saturating_add(1) < from {
                break;
            }
            self.0.remove(&first);
            (from, to) = (from.min(first), to.max(last));
        }
        self.0.insert(from, to);
    }

    /// Whether the offset is in the set.
    pub(crate) fn contains(&self, offset: u64) -> bool {
        self.0.range(..=offset).next_back().is_some_and(|(_, last)| *last >= offset)
    }

    /// How many offsets there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|(from, to)| to - from + 1).sum()
    }

    /// Takes the first range if it starts at or below `at`.
    pub(crate) fn take_reaching(&mut self, at: u64) -> Option<(u64, u64)> {
        self.0.first_entry().filter(|first| *first.key() <= at).map(|first| first.remove_entry())
    }

    /// The ranges within `from..=to`, cut to it.
    pub(crate) fn within(&self, from: u64, to: u64) -> Vec<(u64, u64)> {
        let before = self.0.range(..from).next_back().filter(|(_, last)| **last >= from);
        let all = before.into_iter().chain(self.0.range(from..=to));
        all.map(|(first, last)| ((*first).max(from), (*last).min(to))).collect()
    }

    /// Every range.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().map(|(from, to)| (*from, *to))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_the_set_of_what_was_put_in(
            list in prop::collection::vec((1u64..60, 0u64..9), 0..20), at in 1u64..70, more in 0u64..20,
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (from, more) in list {
                ranges.insert(from, from + more);
                set.extend(from..=from + more);
            }
            prop_assert_eq!(ranges.count(), set.len() as u64);
            prop_assert_eq!(ranges.contains(at), set.contains(&at));
            let cut: BTreeSet<u64> =
                ranges.within(at, at + more).into_iter().flat_map(|(a, b)| a..=b).collect();
            prop_assert_eq!(cut, set.range(at..=at + more).copied().collect::<BTreeSet<_>>());
            let list: Vec<_> = ranges.iter().collect();
            prop_assert!(list.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        }
    }
}
