//! What a reader has seen, as the id of an event: `JOINED_MS;TOPIC=EPOCH:OFFSET;...`.

use std::collections::VecDeque;

use sampan_protocol::control::TopicPosition;
use sampan_protocol::limits::{NUMBER_MAX, POSITIONS_MAX};
use sampan_protocol::{Code, Pattern, Position, Topic};

use crate::failure::Failure;

/// Bytes of an id. Positions that do not fit are left out, least recently used first; their topics
/// resume at the join.
const BYTES_MAX: usize = 2048;

/// The last message seen of each topic.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// When the reader joined first, by the broker's clock.
    pub(super) joined_ms: u64,
    /// Least recently used first.
    topics: VecDeque<(Topic, Position)>,
    bytes: usize,
}

impl Seen {
    /// What an id says.
    pub(super) fn parse(id: &str) -> Result<Self, Failure> {
        let bad = || Failure::new(Code::BAD_FIELD, "this is the id of no event of ours");
        let mut parts = id.split(';');
        let joined_ms = parts.next().and_then(|text| text.parse::<u64>().ok());
        let joined_ms = joined_ms.filter(|ms| *ms <= NUMBER_MAX).ok_or_else(bad)?;
        // Nothing is older than 1, while to a subscription 0 is no time at all.
        let mut seen = Seen { joined_ms: joined_ms.max(1), ..Seen::default() };
        for part in parts {
            let (topic, position) = part.split_once('=').ok_or_else(bad)?;
            let topic = Topic::parse(topic).map_err(|_| bad())?;
            seen.put(topic, position.parse().map_err(|_| bad())?);
            if seen.topics.len() > POSITIONS_MAX {
                return Err(bad());
            }
        }
        Ok(seen)
    }

    /// The positions of the topics that the pattern matches.
    pub(super) fn positions(&self, pattern: &Pattern) -> Vec<TopicPosition> {
        let matching = self.topics.iter().filter(|(topic, _)| pattern.matches(topic));
        let position = |(topic, at): &(Topic, Position)| {
            let topic = topic.as_str().to_owned();
            TopicPosition { topic, epoch: at.epoch, offset: at.offset }
        };
        matching.map(position).collect()
    }

    /// The reader has seen the topic up to this position.
    pub(super) fn note(&mut self, topic: &str, position: Position) {
        // From the newest on, since topics that speak speak again.
        if let Some(at) = self.topics.iter().rposition(|(known, _)| known.as_str() == topic) {
            if let Some((known, before)) = self.topics.remove(at) {
                self.bytes -= bytes(&known, before);
                self.put(known, position);
            }
        } else if let Ok(topic) = Topic::parse(topic) {
            self.put(topic, position);
        }
    }

    /// As [`Seen::note`], unless something of the topic has been seen.
    pub(super) fn note_first(&mut self, topic: &str, position: Position) {
        if !self.topics.iter().any(|(known, _)| known.as_str() == topic) {
            self.note(topic, position);
        }
    }

    /// Appends the id.
    pub(super) fn write(&self, out: &mut String) {
        out.push_str(&self.joined_ms.to_string());
        for (topic, position) in &self.topics {
            for part in [";", topic.as_str(), "=", &position.to_string()] {
                out.push_str(part);
            }
        }
    }

    fn put(&mut self, topic: Topic, position: Position) {
        self.bytes += bytes(&topic, position);
        self.topics.push_back((topic, position));
        while self.bytes > BYTES_MAX {
            let Some((topic, position)) = self.topics.pop_front() else { return };
            self.bytes -= bytes(&topic, position);
        }
    }
}

/// Bytes of a position in an id.
fn bytes(topic: &Topic, position: Position) -> usize {
    topic.as_str().len() + position.to_string().len() + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 1_795_376_191_129, offset }
    }

    fn id(seen: &Seen) -> String {
        let mut out = String::new();
        seen.write(&mut out);
        out
    }

    #[test]
    fn an_id_says_all_positions_and_reads_back() {
        let mut seen = Seen { joined_ms: 5, ..Seen::default() };
        seen.note("order.1", at(1));
        seen.note("order.2", at(7));
        seen.note("order.1", at(2));
        seen.note_first("order.2", at(1));
        assert_eq!(id(&seen), "5;order.2=1795376191129:7;order.1=1795376191129:2");
        assert_eq!(Seen::parse(&id(&seen)), Ok(seen));
    }

    #[test]
    fn an_id_stays_short_and_the_newest_stay_in_it() {
        let mut seen = Seen::default();
        for n in 0..1000 {
            seen.note(&format!("order.{n}"), at(n));
            seen.note("order.often", at(n));
        }
        let text = id(&seen);
        assert!((BYTES_MAX - 64..BYTES_MAX + 32).contains(&text.len()), "{}", text.len());
        assert!(text.contains(";order.999=") && text.contains(";order.often="));
        assert_eq!(Seen::parse(&text).map(|seen| seen.bytes), Ok(seen.bytes));
    }

    #[test]
    fn nothing_is_older_than_the_id_0() {
        assert_eq!(Seen::parse("0").map(|seen| seen.joined_ms), Ok(1));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in ["", "x", "-1", "5;", "5;a", "5;a=1", "5;a b=1:2", "5;*=1:2", "9007199254740992"]
        {
            assert_eq!(Seen::parse(bad).map_err(|f| f.code), Err(Code::BAD_FIELD), "{bad}");
        }
    }
}
