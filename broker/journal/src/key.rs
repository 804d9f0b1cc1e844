//! Keys of values: those of the log itself and those of its owner, told apart by their first byte.

use bytes::{BufMut, Bytes, BytesMut};
use sampan_core::journal::Hole;
use sampan_protocol::limits::NUMBER_MAX;

/// What a value is about. The bytes are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Sort {
    /// The log was closed: its last commit number.
    Closed = b'c',
    /// The epoch of topics that are new.
    Epoch = b'e',
    /// Numbers of segments that were deleted, as ranges.
    Gone = b'g',
    /// A topic's epoch and name.
    Topic = b't',
    /// A topic's floor.
    Floor = b'f',
    /// The highest offset of a topic that may have been shown before it was stored.
    Reserved = b'r',
    /// Offsets of a topic that crashes and damage took.
    Lost = b'l',
    /// Somebody needs a topic from an offset on.
    Pin = b'p',
    /// The newest message of a key of a topic of kept values.
    Newest = b'n',
    /// A value of the log's owner.
    Owner = b'u',
}

const SORTS: [Sort; 10] = [
    Sort::Closed,
    Sort::Epoch,
    Sort::Gone,
    Sort::Topic,
    Sort::Floor,
    Sort::Reserved,
    Sort::Lost,
    Sort::Pin,
    Sort::Newest,
    Sort::Owner,
];

impl Sort {
    /// The key of the log's one value of this sort.
    pub(crate) fn alone(self) -> Bytes {
        Bytes::copy_from_slice(&[self as u8])
    }

    /// The key of a topic's value.
    pub(crate) fn of(self, topic: u32, name: &[u8]) -> Bytes {
        let mut key = BytesMut::with_capacity(5 + name.len());
        key.put_u8(self as u8);
        key.put_u32(topic);
        key.put_slice(name);
        key.freeze()
    }

    /// Whether values of this sort are read from the log when they are needed. All others are small
    /// and few, and kept in memory.
    pub(crate) fn is_located(self) -> bool {
        matches!(self, Sort::Newest | Sort::Owner)
    }
}

/// The owner's key.
pub(crate) fn owner(key: &[u8]) -> Bytes {
    let mut whole = BytesMut::with_capacity(1 + key.len());
    whole.put_u8(Sort::Owner as u8);
    whole.put_slice(key);
    whole.freeze()
}

/// What a key is of: the sort, the topic (0 if it has none), the rest.
pub(crate) fn parse(key: &[u8]) -> Option<(Sort, u32, &[u8])> {
    let (first, rest) = key.split_first()?;
    let sort = SORTS.into_iter().find(|sort| *sort as u8 == *first)?;
    match sort {
        Sort::Closed | Sort::Epoch | Sort::Gone | Sort::Owner => Some((sort, 0, rest)),
        _ => {
            let (topic, name) = rest.split_first_chunk::<4>()?;
            Some((sort, u32::from_be_bytes(*topic), name))
        }
    }
}

/// A value that is one number.
pub(crate) fn number(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

/// The number in a value, if it is one that may be.
pub(crate) fn to_number(value: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(value.try_into().ok()?);
    Some(number).filter(|number| *number <= NUMBER_MAX)
}

/// A value that is ranges of numbers, both ends included.
pub(crate) fn ranges(ranges: &[Hole]) -> Bytes {
    let numbers = ranges.iter().flat_map(|range| [range.from, range.to]);
    numbers.flat_map(u64::to_le_bytes).collect()
}

/// The ranges in a value.
pub(crate) fn to_ranges(value: &[u8]) -> Option<Vec<Hole>> {
    let (pairs, rest) = value.as_chunks::<16>();
    let range = |pair: &[u8; 16]| {
        let (from, to) = (to_number(&pair[..8])?, to_number(&pair[8..])?);
        (from <= to).then_some(Hole { from, to })
    };
    pairs.iter().map(range).collect::<Option<_>>().filter(|_| rest.is_empty())
}

/// Adds a range to ascending ones, joined with those that it meets.
pub(crate) fn join(ranges: &mut Vec<Hole>, mut new: Hole) {
    ranges.retain(|range| {
        let apart = range.to.saturating_add(1) < new.from || new.to.saturating_add(1) < range.from;
        if !apart {
            new = Hole { from: new.from.min(range.from), to: new.to.max(range.to) };
        }
        apart
    });
    let at = ranges.partition_point(|range| range.from < new.from);
    ranges.insert(at, new);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_come_back() {
        assert_eq!(parse(&Sort::Pin.of(7, b"g")), Some((Sort::Pin, 7, &b"g"[..])));
        assert_eq!(parse(&Sort::Gone.alone()), Some((Sort::Gone, 0, &b""[..])));
        assert_eq!(parse(&owner(b"k")), Some((Sort::Owner, 0, &b"k"[..])));
        assert_eq!((parse(b""), parse(b"t12"), parse(b"?1234")), (None, None, None));
        assert_eq!(to_number(&number(9)), Some(9));
        assert_eq!((to_number(b"1"), to_number(&number(NUMBER_MAX + 1))), (None, None));
        let holes = vec![Hole { from: 1, to: 2 }, Hole { from: 5, to: 5 }];
        assert_eq!(to_ranges(&ranges(&holes)), Some(holes));
        assert_eq!(to_ranges(&[0; 15]), None);
        assert_eq!(to_ranges(&ranges(&[Hole { from: 2, to: 1 }])), None);
    }

    #[test]
    fn ranges_that_meet_are_one() {
        let mut all = Vec::new();
        for (from, to) in [(5, 6), (1, 2), (9, 9), (3, 3), (7, 8)] {
            join(&mut all, Hole { from, to });
        }
        assert_eq!(all, [Hole { from: 1, to: 3 }, Hole { from: 5, to: 9 }]);
    }
}
