//! Where a reader stands in a topic.

use crate::limits::NUMBER_MAX;

/// The last message of a topic that a reader has seen.
///
/// Offsets start at 1; offset 0 means "before the first message". The epoch changes only when
/// history is lost or cut, so that a position of another epoch cannot be resumed silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    /// Which incarnation of the topic's history the offset belongs to; 1 or more.
    pub epoch: u64,
    /// Offset of the last message seen.
    pub offset: u64,
}

impl Position {
    /// A position, if both numbers are within the protocol's range.
    #[must_use]
    pub fn new(epoch: u64, offset: u64) -> Option<Self> {
        (epoch <= NUMBER_MAX && offset <= NUMBER_MAX).then_some(Position { epoch, offset })
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.epoch, self.offset)
    }
}

impl std::str::FromStr for Position {
    type Err = ParsePositionError;

    /// Parses `EPOCH:OFFSET` in decimal.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (epoch, offset) = text.split_once(':').ok_or(ParsePositionError)?;
        let number = |s: &str| {
            let digits = !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| s.parse().ok()).flatten()
        };
        let (epoch, offset) = number(epoch).zip(number(offset)).ok_or(ParsePositionError)?;
        Position::new(epoch, offset).ok_or(ParsePositionError)
    }
}

/// The text is not `EPOCH:OFFSET` with two decimal numbers below 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsePositionError;

impl std::fmt::Display for ParsePositionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a position is EPOCH:OFFSET, two decimal numbers below 2^53")
    }
}

impl std::error::Error for ParsePositionError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_rejects_what_is_not_a_position() {
        let position = Position { epoch: 7, offset: 42 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in ["", ":", "1:", ":1", "1:2:3", "-1:2", "+1:2", "1:9007199254740992", "a:b"] {
            assert_eq!(bad.parse::<Position>(), Err(ParsePositionError), "{bad:?}");
        }
    }
}
