//! What retention knows of each topic since it last looked at it, and what all of that comes to: so a
//! round looks at the topics that have changed, and at those whose time has come, and at no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How old the oldest messages of a topic are that may go: when they were written, and where.
pub(crate) type Age = (u64, u64, u64);

/// What is kept of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sheet {
    /// The rule that limits its bytes, together with those of other topics; none if it has no messages.
    pub(crate) pattern: Option<Arc<str>>,
    /// Bytes that the rule counts.
    pub(crate) bytes: u64,
    /// Bytes that the rule lets all its topics keep.
    pub(crate) limit: u64,
    /// Its oldest messages, if they are not the newest as well.
    pub(crate) spare: Option<Age>,
    /// When something of it will be too old.
    pub(crate) due_ms: Option<u64>,
    /// Bytes of messages that are kept, by segment.
    pub(crate) kept: BTreeMap<u64, u64>,
}

/// What is kept under one rule.
#[derive(Debug, Default, PartialEq, Eq)]
struct Total {
    bytes: u64,
    limit: u64,
    oldest: BTreeSet<(Age, u32)>,
}

/// All topics.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    sheets: BTreeMap<u32, Sheet>,
    totals: BTreeMap<Arc<str>, Total>,
    due: BTreeSet<(u64, u32)>,
    kept: BTreeMap<u64, u64>,
}

impl Ledger {
    /// Puts what is known of a topic in the place of what was.
    pub(crate) fn put(&mut self, topic: u32, sheet: Sheet) {
        if let Some(before) = self.sheets.remove(&topic) {
            self.take_out(topic, &before);
        }
        if sheet == Sheet::default() {
            return;
        }
        if let Some(pattern) = &sheet.pattern {
            let total = self.totals.entry(pattern.clone()).or_default();
            total.bytes += sheet.bytes;
            total.limit = sheet.limit;
            total.oldest.extend(sheet.spare.map(|age| (age, topic)));
        }
        self.due.extend(sheet.due_ms.map(|due_ms| (due_ms, topic)));
        for (segment, bytes) in &sheet.kept {
            *self.kept.entry(*segment).or_default() += bytes;
        }
        self.sheets.insert(topic, sheet);
    }

    fn take_out(&mut self, topic: u32, sheet: &Sheet) {
        if let Some(pattern) = &sheet.pattern
            && let Some(total) = self.totals.get_mut(pattern)
        {
            total.bytes = total.bytes.saturating_sub(sheet.bytes);
            sheet.spare.map(|age| total.oldest.remove(&(age, topic)));
            if total.bytes == 0 && total.oldest.is_empty() {
                self.totals.remove(pattern);
            }
        }
        sheet.due_ms.map(|due_ms| self.due.remove(&(due_ms, topic)));
        for (segment, bytes) in &sheet.kept {
            let left = self.kept(*segment).saturating_sub(*bytes);
            match left {
                0 => self.kept.remove(segment),
                left => self.kept.insert(*segment, left),
            };
        }
    }

    /// The topics of which something is too old.
    pub(crate) fn due(&self, now_ms: u64) -> impl Iterator<Item = u32> {
        self.due.range(..=(now_ms, u32::MAX)).map(|(_, topic)| *topic)
    }

    /// The topic with the oldest messages under a rule that keeps more than it may.
    pub(crate) fn over(&self) -> Option<u32> {
        let mut over = self.totals.values().filter(|total| total.bytes > total.limit);
        over.find_map(|total| total.oldest.first()).map(|(_, topic)| *topic)
    }

    /// Bytes of messages that are kept in a segment.
    pub(crate) fn kept(&self, segment: u64) -> u64 {
        self.kept.get(&segment).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(bytes: u64, time_ms: u64, segments: &[(u64, u64)]) -> Sheet {
        Sheet {
            pattern: Some(Arc::from("order.>")),
            bytes,
            limit: 100,
            spare: Some((time_ms, 1, 4096)),
            due_ms: Some(time_ms + 1000),
            kept: segments.iter().copied().collect(),
        }
    }

    #[test]
    fn sums_are_those_of_the_sheets_whatever_was_there_before() {
        let mut ledger = Ledger::default();
        ledger.put(1, sheet(60, 5, &[(1, 30), (2, 30)]));
        assert_eq!((ledger.over(), ledger.kept(1), ledger.kept(2)), (None, 30, 30));
        ledger.put(2, sheet(50, 3, &[(2, 50)]));
        assert_eq!((ledger.over(), ledger.kept(2)), (Some(2), 80), "the oldest goes first");
        assert_eq!(ledger.due(1003).collect::<Vec<_>>(), [2]);
        assert_eq!(ledger.due(1005).collect::<Vec<_>>(), [2, 1]);
        ledger.put(2, sheet(40, 8, &[(3, 40)]));
        assert_eq!((ledger.over(), ledger.kept(2), ledger.kept(3)), (None, 30, 40));
        assert_eq!(ledger.due(1005).collect::<Vec<_>>(), [1]);
        ledger.put(1, Sheet::default());
        ledger.put(2, Sheet::default());
        assert_eq!(ledger, Ledger::default());
    }
}
